"""What a start leaves out, and who goes along with what loses what it is bound to.

Only the standard library: the same tables are held against systemd, in the virtual machine.
"""

from __future__ import annotations

#: What `x` says, what the others say -> who runs once `x` was started, who was left out.
CHOICES: tuple[tuple[str, dict[str, str], str, str], ...] = (
    # Whom the other one names gives way, whichever of them comes first.
    ("Wants=a.service b.service", {"a": "Conflicts=b.service", "b": ""}, "ax", "b"),
    ("Wants=a.service b.service", {"a": "", "b": "Conflicts=a.service"}, "bx", "a"),
    # What is required stays, whoever says that they conflict; so does who was asked for.
    ("Wants=a.service\nRequires=b.service", {"a": "Conflicts=b.service", "b": ""}, "bx", "a"),
    ("Wants=a.service\nRequires=b.service", {"a": "", "b": "Conflicts=a.service"}, "bx", "a"),
    (
        "Wants=a.service\nBindsTo=b.service",
        {"a": "Conflicts=c.service", "b": "Requires=c.service", "c": ""},
        "bcx",
        "a",
    ),
    ("Wants=a.service", {"a": "Conflicts=x.service"}, "x", "a"),
    ("Wants=a.service\nConflicts=a.service", {"a": ""}, "x", "a"),
    # One that conflicts with what needs itself cannot be.
    (
        "Wants=a.service c.service",
        {"a": "Requires=b.service", "b": "Conflicts=a.service", "c": ""},
        "cx",
        "a",
    ),
    # What is left out takes nobody along whom others pull in as well.
    (
        "Wants=a.service c.service",
        {"a": "Wants=d.service", "d": "", "c": "Conflicts=a.service\nWants=d.service"},
        "cdx",
        "a",
    ),
)
#: The same, where systemd is of two minds: it starts what is upheld over and over again, and whether it leaves
#: out who needs what another one conflicts with, or that other one, is up to the order of a hash.
OWN_CHOICES: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("Upholds=a.service b.service", {"a": "Conflicts=b.service", "b": ""}, "ax", "b"),
    # With it goes who cannot do without it, and what only that one pulled in.
    (
        "Wants=a.service c.service",
        {"a": "Requires=b.service\nWants=d.service", "b": "", "d": "", "c": "Conflicts=b.service"},
        "cx",
        "ab",
    ),
    # By way of whomever, and even if two cannot do without one another; who is not to start is not spoken of.
    (
        "Wants=a.service c.service",
        {
            "a": "BindsTo=b.service d.service",
            "b": "",
            "c": "Conflicts=b.service",
            "d": "Requires=a.service",
            "e": "Requires=b.service",
        },
        "cx",
        "abd",
    ),
)
#: What `x` says, what the others say -> nothing of it can be started.
REFUSED: tuple[tuple[str, dict[str, str]], ...] = (
    ("Requires=a.service b.service", {"a": "Conflicts=b.service", "b": ""}),
    ("Requires=a.service", {"a": "Conflicts=x.service"}),
    (
        "Requires=a.service\nWants=b.service",
        {"a": "BindsTo=c.service", "c": "Conflicts=a.service", "b": ""},
    ),
)

#: The first of them dies: who goes along, and who does not.
FAMILY = {
    "a.service": "",
    "b.service": "BindsTo=a.service\nAfter=a.service",
    "c.service": "Requires=b.service",
    "d.service": "PartOf=b.service",
    "e.service": "Requires=c.service\nAfter=c.service",
    "f.service": "Requisite=b.service\nAfter=b.service",
    "g.service": "StopPropagatedFrom=b.service",
    "h.service": "Wants=b.service\nAfter=b.service",
    "i.service": "Requires=a.service",
}
ALONG = ("b.service", "c.service", "d.service", "e.service", "f.service", "g.service")
APART = ("h.service", "i.service")
