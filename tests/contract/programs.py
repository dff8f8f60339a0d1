"""What the programs of the contract do: for the real machine a script, for the pretended one a `Program`.

A script says that it has come to its end of preparations (traps set, children made) by the file `ready.PID`
in `HERE`; `Surroundings.prepared` waits for it.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.core.fake_kernel import INSTANT, PROGRAMS, RUN, TERM, Program

USR1 = 10
SEGV = 11
READY = ': > "$HERE/ready.$$"'
PYTHON = "#!/usr/bin/python3 -IS\nimport os, signal, socket, sys\n"
_PREPARED = "open(os.environ['HERE'] + f'/ready.{os.getpid()}', 'x').close()\n"
_SAY = (
    "def say(text):\n"
    "    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:\n"
    "        it.connect(os.environ['NOTIFY_SOCKET'])\n"
    "        it.send(text.encode())\n"
)
_BARRIER = (
    "def barrier():\n"
    "    mine, theirs = os.pipe()\n"
    "    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:\n"
    "        it.connect(os.environ['NOTIFY_SOCKET'])\n"
    "        socket.send_fds(it, [b'BARRIER=1'], [theirs])\n"
    "    os.close(theirs)\n"
    "    return len(os.read(mine, 1))\n"
)


class Double(NamedTuple):
    """One program, twice; `lines` let the real one's set-up fail. No script: no such file."""

    script: str
    program: Program
    lines: tuple[str, ...] = ()


def _shell(*lines: str) -> str:
    return "\n".join(("#!/bin/sh", *lines, ""))


_NEVER = _shell("exit 99")
DOUBLES = {
    "run": Double(_shell("exec sleep 1000"), RUN),
    "true": Double(_shell("exit 0"), PROGRAMS["true"]),
    "false": Double(_shell("exit 1"), PROGRAMS["false"]),
    "crash": Double(_shell("exit 3"), PROGRAMS["crash"]),
    "killed": Double(_shell("kill -USR1 $$"), Program(lasts=INSTANT, dies_of=USR1)),
    "dumps": Double(
        _shell("ulimit -c unlimited", "kill -SEGV $$"),
        Program(lasts=INSTANT, dies_of=SEGV, dumps=True),
    ),
    "stubborn": Double(
        _shell("trap '' TERM", READY, "exec sleep 1000"), Program(ignores=frozenset({TERM}))
    ),
    "obeys": Double(
        f"{PYTHON}signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        f"{_PREPARED}signal.sigwait([signal.SIGTERM])\nsys.exit(7)\n",
        Program(on_signal=7),
    ),
    "brood": Double(
        _shell("sleep 1000 & sleep 1000 &", READY, "exec sleep 1000"),
        Program(children=(RUN, RUN)),
    ),
    "leaves": Double(  # somebody behind, out of its session and of its process group
        _shell("(setsid sleep 1000 &)", "exit 0"),
        Program(lasts=INSTANT, daemon=RUN),
    ),
    "breeds": Double(
        _shell("(sleep 1000 &)", READY, "while :; do (sleep 1000 &) ; sleep 0.005; done"),
        Program(children=(RUN, RUN, RUN)),
    ),
    "forks": Double(  # the real one waits for the mark before it writes its PID file
        _shell(
            'setsid sh -c \'until [ -e "$HERE/mark" ]; do sleep 0.02; done; '
            'echo $$ > "$HERE/pid"; exec sleep 1000\' &',
            "exit 0",
        ),
        Program(lasts=INSTANT, daemon=RUN, pid_file=0.02),
    ),
    "twins": Double(
        _shell("setsid sleep 1000 & setsid sleep 1000 &", "exit 0"),
        Program(lasts=INSTANT, daemon=RUN, children=(RUN,)),
    ),
    "notify": Double(
        f"{PYTHON}{_SAY}say('READY=1')\nos.execv('/bin/sleep', ['sleep', '1000'])\n",
        Program(ready=0.0),
    ),
    "notifies-by-child": Double(
        f"{PYTHON}{_SAY}if os.fork() == 0:\n    say('READY=1')\n"
        "os.execv('/bin/sleep', ['sleep', '1000'])\n",
        Program(children=(Program(ready=0.0),)),
    ),
    "waits-to-be-heard": Double(  # its helper ends as soon as the barrier is answered
        f"{PYTHON}{_SAY}{_BARRIER}if os.fork() == 0:\n    say('READY=1')\n    sys.exit(barrier())\n"
        "_, status = os.wait()\nsys.exit(7 if status == 0 else 1)\n",
        Program(lasts=2 * INSTANT, status=7, children=(Program(ready=0.0, lasts=INSTANT),)),
    ),
    "notifies-late": Double(
        f"{PYTHON}{_SAY}signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        f"{_PREPARED}while signal.sigwait([signal.SIGUSR1]): say('READY=1')\n",
        Program(says_on=USR1),
    ),
    "missing": Double("", PROGRAMS["missing"]),
    "homeless": Double(
        _NEVER, Program(setup_error="CHDIR"), ("WorkingDirectory=/gitproc-nowhere",)
    ),
    "nobody": Double(_NEVER, PROGRAMS["nobody"], ("User=gitproc-nobody-has-this",)),
    "nogroup": Double(_NEVER, Program(refused="GROUP"), ("Group=gitproc-nobody-has-this",)),
    "refused": Double(_NEVER, PROGRAMS["refused"], ("EnvironmentFile=/gitproc-nowhere",)),
    "eats": Double(
        f"{PYTHON}x = bytearray(200 << 20)\n",
        Program(lasts=INSTANT, dies_of=9, out_of_memory=True),
    ),
}
