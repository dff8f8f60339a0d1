import pytest

from gitproc.units.wildcards import is_pattern


@pytest.mark.parametrize(
    ("text", "expected"),
    [("web*", True), ("web-?.service", True), ("[ab]", True), ("web@1]!.service", False), ("", False)],
)  # fmt: skip
def test_what_stands_for_others(text, expected):
    assert is_pattern(text) is expected
