"""Which level a line of a service has, and what is left of it (sd-daemon(3), SyslogLevelPrefix=)."""

import pytest

from gitproc.daemon.log_levels import level_and_text
from tests.kernel.parts import unit


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("<3>loud", (3, "loud")),
        ("<0>", (0, "")),
        ("<007>old", (7, "old")),
        ("<3><4>twice", (3, "<4>twice")),
        ("plain <3>", (6, "plain <3>")),
        ("<8>text", (6, "<8>text")),
        ("<30>a facility", (6, "<30>a facility")),
        ("<0003>text", (6, "<0003>text")),
        ("<>text", (6, "<>text")),
        ("<3", (6, "<3")),
        ("<\u0663>text", (6, "<\u0663>text")),
        ("<p>text</p>", (6, "<p>text</p>")),
        ("", (6, "")),
    ],
)
def test_what_is_taken_from_the_front_of_a_line(line, found):
    assert level_and_text(None, line) == found
    assert level_and_text(unit("ExecStart=/bin/true"), line) == found
    other = unit("ExecStart=/bin/true\nSyslogLevel=notice\nSyslogLevelPrefix=no")
    assert level_and_text(other, line) == (5, line)
