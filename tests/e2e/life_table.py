"""Which commands of a service run when one of them fails, and of whom its words are taken (systemd.service(5)).

Only the standard library: the same tables are held against systemd, in the virtual machine.
"""

from __future__ import annotations

from pathlib import Path

BEGIN = "condition pre-1 pre-2 main"
SUCCESS = ("dead", "success")
FAILED = ("failed", "exit-code")
STAYS = "Type=oneshot\nRemainAfterExit=yes"
#: What ends how, settings -> what runs, state and result.
CASES: dict[str, tuple[dict[str, int], str, str, tuple[str, str]]] = {
    "well": ({}, "Type=oneshot", f"{BEGIN} post stop after", SUCCESS),
    "stays": ({}, STAYS, f"{BEGIN} post", ("exited", "success")),
    "skipped": ({"condition": 1}, STAYS, "condition after", ("dead", "exec-condition")),
    "broken": ({"condition": 255}, STAYS, "condition after", FAILED),
    "unprepared": ({"pre-1": 1}, STAYS, "condition pre-1 after", FAILED),
    "half": ({"pre-2": 1}, STAYS, "condition pre-1 pre-2 after", FAILED),
    "fails": ({"main": 1}, STAYS, f"{BEGIN} after", FAILED),
    "late": ({"post": 1}, STAYS, f"{BEGIN} post after", FAILED),
    "forgiven": (
        {"-pre-1": 1, "-main": 1, "-post": 1},
        STAYS,
        f"{BEGIN} post",
        ("exited", "success"),
    ),
    "unstopped": ({"stop": 1}, "Type=oneshot", f"{BEGIN} post stop after", FAILED),
    "unforgiven": ({"-stop": 1, "after": 1}, "Type=oneshot", f"{BEGIN} post stop after", FAILED),
    "exits": ({}, "Type=exec", f"{BEGIN} post stop after", SUCCESS),
    "crashes": ({"main": 1}, "Type=exec", f"{BEGIN} post after", FAILED),
}
COMMANDS = {
    "condition": "ExecCondition",
    "pre-1": "ExecStartPre",
    "pre-2": "ExecStartPre",
    "main": "ExecStart",
    "post": "ExecStartPost",
    "reload": "ExecReload",
    "stop": "ExecStop",
    "after": "ExecStopPost",
}


def commands(name: str, file: Path) -> str:
    """The lines of [Service] of a case, whose commands write their names into a file."""
    ends, settings, _, _ = CASES[name]
    found = [settings]
    for word, directive in COMMANDS.items():
        mark = "-" if f"-{word}" in ends else ""
        status = ends.get(mark + word, 0)
        main = f"until grep -q main {file}; do sleep 0.05; done; " if word == "post" else ""
        found.append(f"{directive}={mark}/bin/sh -c '{main}echo {word} >>{file}; exit {status}'")
    return "\n".join(found)


#: The signal that ends a service during its reload -> the commands that run then; how it ends.
LOST = {
    "KILL": ("reloaded after", "failed", "signal"),
    "TERM": ("reloaded stop after", "inactive", "success"),
}


def losing(signal: str, file: Path) -> str:
    """The lines of [Service] of one whose reload ends its main process and goes on."""
    gone = "while kill -0 $$MAINPID; do sleep 0.05; done"
    lines = {
        "ExecReload": f"kill -{signal} $$MAINPID; {gone}; echo reloaded >>{file}",
        "ExecStop": f"echo stop >>{file}",
        "ExecStopPost": f"echo after >>{file}",
    }
    return "\n".join(f"{key}=/bin/sh -c '{text}'" for key, text in lines.items())


def told(file: Path) -> str:
    """What the commands of a case have written."""
    return " ".join(file.read_text().split()) if file.exists() else ""


# Arguments: a file that says that it is done, and whether to speak by a child.
SAY = """
import array, os, socket, sys, time
def say():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.connect(os.environ["NOTIFY_SOCKET"])
        it.send(b"STATUS=heard")
        mine, theirs = os.pipe()
        socket.send_fds(it, [b"BARRIER=1"], [theirs])
        os.close(theirs)
        os.read(mine, 1)
    open(sys.argv[1], "x").close()
if "NOTIFY_SOCKET" not in os.environ: open(sys.argv[1], "x").close()
elif "child" not in sys.argv: say()
elif os.fork() == 0: say()
while "stays" in sys.argv: time.sleep(100)
os.wait() if "child" in sys.argv else None
"""
SPEAKERS = ("main", "control", "child")
HEARD = {
    "none": (),
    "main": ("main",),
    "exec": ("main", "control"),
    "all": SPEAKERS,
}


def speaker(run: str, access: str, who: str, file: Path) -> str:
    """The lines of [Service] of one in which a process speaks. `run`: the command that runs SAY."""
    words = f"{run} {file}"
    if who == "control":
        return f"ExecStart=/bin/sleep 1000\nNotifyAccess={access}\nExecStartPost={words}"
    return f"ExecStart={words} {who} stays\nNotifyAccess={access}"
