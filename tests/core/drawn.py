"""Random commits: a dense graph of few units, each commit a one-line edit of the last one."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

from tests.core.fake_kernel import Program

NAMES = [f"{letter}.service" for letter in "abcdef"]
TARGET = "group.target"
GUEST = "guest@x.service"
TYPES = ("simple", "simple", "simple", "exec", "notify", "oneshot", "forking")
PROGRAMS = {
    "simple": ("run", "run", "slow", "brood", "quits", "crash", "missing", "lingers"),
    "exec": ("run", "slow", "missing", "crash"),
    "notify": ("notify", "notify", "mute"),
    "oneshot": ("true", "false", "takes"),
    "forking": ("forks", "forks", "false"),
}
# They fail within the order. Who is bound to one of them and not ordered after it may have begun by then or
# not: two runs of one history need not agree about that.
AT_ONCE = ("nobody", "refused")
EXTRA = {
    "quits": Program(lasts=2.0),
    "takes": Program(lasts=1.5),
    "lingers": Program(children=(Program(takes=0.5, on_signal=0),), takes=0.2),
    "reload": Program(lasts=0.3),
    "probe": Program(lasts=0.2),
    "allow": Program(lasts=0.1),
    "deny": Program(lasts=0.1, status=1),
    "beats": Program(ready=0.3, beats=1.0),
    "reloads": Program(ready=0.3, reloads=0.4),
    "deaf": Program(ready=0.3, ignores=frozenset({1})),
}
TALE = {
    f"unit.{turn}"
    for turn in ("starting", "started", "stopping", "stopped", "failed", "restarting", "reloaded")
}
RICH_TYPES = (*TYPES, "notify-reload", "notify-reload", "idle")
RICH_PROGRAMS = {
    **PROGRAMS,
    "notify": ("notify", "beats", "beats", "mute"),
    "notify-reload": ("reloads", "reloads", "deaf", "mute"),
    "idle": ("run", "quits"),
}
RICH = ("guard", "allow", "unneeded", "direct", "steps") * 2
TIMED = ("watchdog", "runtime")  # what a crash of the manager may put off
RICH_RELATIONS = (
    "Requires", "Wants", "BindsTo", "After", "After", "After", "Conflicts",
    "Requisite", "Upholds", "PropagatesStopTo", "OnFailure", "OnFailure", "OnSuccess",
)  # fmt: skip
MARK = "/mark"
RELATIONS = ("Requires", "Wants", "BindsTo", "PartOf", "After", "After", "After", "Conflicts")


@dataclass
class Model:
    """The text of one unit, as choices that an edit changes one of."""

    name: str
    type: str = "simple"
    program: str = "run"
    restart: str = "no"
    relations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    environment: int = 0
    memory: int = 100
    trigger: int = 0
    pre: bool = False
    post: bool = False
    stop: str = ""
    stop_post: bool = False
    reload: bool = False
    remain: bool = False
    health: bool = False
    installed: bool = True
    there: bool = True
    guard: str = ""  # what must exist, or not, for it to start
    allow: str = ""  # the program that says whether it may
    unneeded: bool = False
    direct: bool = False
    steps: bool = False
    watchdog: bool = False
    runtime: bool = False

    def text(self) -> str:
        lines = ["[Unit]"]
        for relation, others in sorted(self.relations.items()):
            lines += [f"{relation}={other}" for other in sorted(others)]
        if self.guard:
            lines.append(f"{self.guard}={MARK}")
        if self.unneeded:
            lines.append("StopWhenUnneeded=yes")
        lines += ["[Service]", f"Type={self.type}", f"ExecStart=/bin/{self.program}"]
        lines += [f"Environment=V={self.environment}", f"MemoryMax={self.memory}M"]
        lines += [f"Restart={self.restart}", "TimeoutStopSec=2", "TimeoutStartSec=4"]
        if self.allow:
            lines.append(f"ExecCondition=/bin/{self.allow}")
        if self.direct:
            lines.append("RestartMode=direct")
        if self.steps:
            lines += ["RestartSec=0.1", "RestartSteps=3", "RestartMaxDelaySec=2"]
        if self.watchdog:
            lines.append("WatchdogSec=3")
        if self.runtime:
            lines.append("RuntimeMaxSec=5")
        if self.pre:
            lines.append("ExecStartPre=/bin/true")
        if self.post:
            lines.append("ExecStartPost=/bin/true")
        if self.stop:
            lines.append(f"ExecStop=/bin/{self.stop}")
        if self.stop_post:
            lines.append("ExecStopPost=/bin/true")
        if self.reload and self.type != "notify-reload":
            lines.append("ExecReload=/bin/reload")
        if self.remain:
            lines.append("RemainAfterExit=yes")
        lines.append("[X-GitProc]")
        lines.append("ReloadTriggers=conf")
        if self.health:
            lines += ["HealthCheckExec=/bin/probe", "HealthCheckInterval=3"]
        if self.installed:
            lines += ["[Install]", f"WantedBy={TARGET}"]
        return "\n".join(lines) + "\n"


class Draw:
    """The commits of a history, and whoever makes its choices. `rough`: whatever can happen, happens.

    `rich`: units have what few units have: conditions, hands on what follows their ends, watchdogs.
    """

    def __init__(self, choices: random.Random, *, rough: bool = True, rich: bool = False) -> None:
        self.random = choices
        self.rough = rough
        self.rich = rich
        order = NAMES[:]
        self.random.shuffle(order)
        self.order = order
        self.models = {name: Model(name) for name in order}
        self.conf = 0
        for name in order:
            for _ in range(self.random.randint(0, 2)):
                self.edit(name)

    def files(self) -> dict[str, str]:
        files = {m.name: m.text() for m in self.models.values() if m.there}
        files[TARGET] = "[Install]\nWantedBy=multi-user.target\n"
        files["guest@.service"] = (
            f"[Unit]\nRequires={self.order[0]}\nAfter={self.order[0]}\n"
            f"[Service]\nExecStart=/bin/run\nEnvironment=V={self.conf}\n"
        )
        files["conf"] = str(self.conf // 2)
        return files

    def plain(self) -> None:
        """Begin with units that say nothing of each other."""
        self.models = {name: Model(name) for name in self.order}

    def edit(self, name: str) -> None:
        """Change one line of one unit."""
        model = self.models.get(name) or self.models[NAMES[0]]
        choose = self.random.choice
        possible: tuple[str, ...] = (
            ("relation",) * 6
            + ("program", "program", "type", "environment", "memory", "restart", "installed")
            + ("there", "pre", "post", "stop", "stop_post", "reload", "remain", "health", "conf")
        )
        if self.rich:
            possible += ("relation",) * 4 + RICH + (TIMED if self.rough else ())
        types, programs = (RICH_TYPES, RICH_PROGRAMS) if self.rich else (TYPES, PROGRAMS)
        what = choose(possible)
        match what:
            case "relation":
                relation = choose(RICH_RELATIONS if self.rich else RELATIONS)
                if relation == "Conflicts" and self.random.random() < 0.7:
                    relation = "Requires"
                index = self.order.index(model.name)
                earlier = self.order[:index] or self.order
                pool = earlier if self.random.random() < 0.8 else self.order
                other = choose(pool)
                if other != model.name:
                    model.relations[relation] ^= {other}
            case "program":
                at_once = AT_ONCE if self.rough and model.type != "forking" else ()
                model.program = choose(programs[model.type] + at_once)
            case "type":
                model.type = choose(types)
                model.program = programs[model.type][0]
                model.restart = "no" if model.type == "oneshot" else model.restart
            case "restart":
                allowed = (
                    ("no", "on-failure")
                    if model.type == "oneshot"
                    else ("no", "on-failure", "always")
                )
                model.restart = choose(allowed)
            case "environment" | "memory":
                setattr(model, what, getattr(model, what) + 1)
            case "stop":
                model.stop = choose(("", "true", "false"))
            case "guard":
                model.guard = choose(
                    ("", "ConditionPathExists", "ConditionPathExists", "AssertPathExists")
                )
            case "allow":
                model.allow = choose(("", "allow", "allow", "deny"))
            case "conf":
                self.conf += 1
            case _:
                setattr(model, what, not getattr(model, what))
