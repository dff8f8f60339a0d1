"""Commands compiled into specs, on this machine's users and files."""

from __future__ import annotations

import grp
import marshal
import os
import pwd
import resource
from pathlib import Path

import pytest

from gitproc.core.events import Process, Slot
from gitproc.kernel.spawn_spec import LaunchContext, LaunchError, LogOutput, compile_spec
from gitproc.units import directives as d
from gitproc.units.specifiers import Host
from tests.kernel.parts import unit

INVOCATION = "0123456789abcdef0123456789abcdef"
NOBODY = pwd.getpwnam("nobody")


def compiled(text, *, slot=Slot.MAIN, variables=(), **context):
    made = unit(text)
    process = Process(made.name, INVOCATION, slot, 1, made.fingerprint)
    context.setdefault("host", Host())
    return compile_spec(
        made, made[d.EXEC_START][0], process, LaunchContext(**context), tuple(variables)
    )


def environment(plan):
    return dict(entry.split("=", 1) for entry in plan.spec["env"])


def test_the_environment_has_a_fixed_base_and_nothing_of_the_manager():
    env = environment(compiled("", environment={"SECRET": "1", "LANG": "C.UTF-8", "PATH": "/x"}))
    assert env.pop("PATH").startswith("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    assert env == {"LANG": "C.UTF-8", "INVOCATION_ID": INVOCATION}


def test_sources_of_variables_win_in_systemds_order(tmp_path):
    (tmp_path / "first").write_text("FILE=1\nBOTH=file\nQUOTED='a b'\n")
    (tmp_path / "second").write_text("FILE=2\n")
    plan = compiled(
        f"Environment=BOTH=unit PASSED=unit MAINPID=unit GONE=1 KEPT=yes\n"
        f"PassEnvironment=PASSED OTHER MISSING\n"
        f"EnvironmentFile={tmp_path}/first\nEnvironmentFile={tmp_path}/second\n"
        f"EnvironmentFile=-{tmp_path}/none\nUnsetEnvironment=GONE KEPT=no QUOTED=\n",
        environment={"PASSED": "manager", "OTHER": "manager"},
        variables=["MAINPID=7", "EXIT_CODE=exited"],
    )
    env = environment(plan)
    assert env["BOTH"] == "file"
    assert env["FILE"] == "2"
    assert env["QUOTED"] == "a b"
    assert env["PASSED"] == "unit"
    assert env["OTHER"] == "manager"
    assert env["MAINPID"] == "unit"
    assert env["EXIT_CODE"] == "exited"
    assert env["KEPT"] == "yes"
    assert "GONE" not in env
    assert "MISSING" not in env


def test_environment_files_are_read_at_each_start_and_may_be_patterns(tmp_path):
    text = f"EnvironmentFile={tmp_path}/*.env\n"
    with pytest.raises(LaunchError, match="no environment file matches") as caught:
        compiled(text)
    assert caught.value.step == "ENVIRONMENT_FILE"
    (tmp_path / "b.env").write_text("A=b\n")
    (tmp_path / "a.env").write_text("A=a\n")
    assert environment(compiled(text))["A"] == "b"
    (tmp_path / "b.env").write_text("A=c\n")
    assert environment(compiled(text))["A"] == "c"


def test_a_missing_environment_file_is_an_error_unless_optional(tmp_path):
    with pytest.raises(LaunchError, match="does not exist"):
        compiled(f"EnvironmentFile={tmp_path}/none\n")
    assert compiled(f"EnvironmentFile=-{tmp_path}/none\n").warnings == []


def test_a_fifo_as_environment_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(LaunchError, match="not a regular file"):
        compiled(f"EnvironmentFile={tmp_path}/fifo\n")


def test_arguments_see_the_final_environment(tmp_path):
    (tmp_path / "env").write_text("ARGS=a  b\nONE=x y\n")
    plan = compiled(f"ExecStart=/bin/echo $ARGS ${{ONE}} $$x $NONE\nEnvironmentFile={tmp_path}/env")
    assert plan.spec["argv"] == ["/bin/echo", "a", "b", "x y", "$x"]


def test_a_bare_command_is_found_on_the_fixed_path():
    assert compiled("ExecStart=sh -c true\nEnvironment=PATH=/nowhere").spec["path"] == "/usr/bin/sh"
    with pytest.raises(LaunchError, match="no-such-command-anywhere") as caught:
        compiled("ExecStart=no-such-command-anywhere")
    assert caught.value.step == "EXEC"


def test_a_user_brings_groups_and_login_variables():
    plan = compiled("User=nobody")
    assert plan.spec["uid"] == NOBODY.pw_uid
    assert plan.spec["gid"] == NOBODY.pw_gid
    assert plan.spec["groups"] == os.getgrouplist("nobody", NOBODY.pw_gid)
    env = environment(plan)
    assert env["USER"] == env["LOGNAME"] == "nobody"
    assert "HOME" not in env, "systemd makes nobody up, without one"
    assert "SHELL" not in env, "nologin is no shell"
    assert environment(compiled("User=daemon"))["HOME"] == pwd.getpwnam("daemon").pw_dir
    assert environment(compiled("User=root"))["SHELL"] == pwd.getpwnam("root").pw_shell


def test_users_and_groups_may_be_numbers():
    spec = compiled(f"User={NOBODY.pw_uid}\nGroup=0").spec
    assert (spec["uid"], spec["gid"]) == (NOBODY.pw_uid, 0)
    assert environment(compiled(f"User={NOBODY.pw_uid}"))["USER"] == "nobody"


def test_supplementary_groups_are_added():
    daemon = grp.getgrnam("daemon").gr_gid
    assert compiled("Group=daemon").spec["groups"] == []
    assert compiled("User=root").spec["groups"] == []
    assert compiled("SupplementaryGroups=daemon").spec["groups"] == [daemon]
    assert daemon in compiled("User=nobody\nSupplementaryGroups=daemon").spec["groups"]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("User=no-such-user", "USER"),
        ("User=54321", "USER"),
        ("Group=no-such-group", "GROUP"),
        ("User=nobody\nSupplementaryGroups=no-such-group", "GROUP"),
    ],
)
def test_who_does_not_exist_is_fatal(text, step):
    with pytest.raises(LaunchError, match="does not exist") as caught:
        compiled(text)
    assert caught.value.step == step


@pytest.mark.parametrize("prefix", ["+", "!"])
def test_prefixes_keep_the_managers_identity(prefix):
    plan = compiled(f"ExecStart={prefix}/bin/true\nUser=nobody\nStateDirectory=x\nLimitCORE=0")
    assert ("rlimits" in plan.spec) is (prefix == "!")
    assert "uid" not in plan.spec
    assert "groups" not in plan.spec
    assert environment(plan)["USER"] == "nobody"
    assert plan.spec["directories"][0][3] == NOBODY.pw_uid


def test_without_a_user_no_identity_is_set():
    assert {"uid", "gid", "groups"}.isdisjoint(compiled("").spec)


def test_directories_are_named_made_and_owned():
    plan = compiled(
        "User=nobody\nRuntimeDirectory=a b/c\nRuntimeDirectoryMode=0750\n"
        "StateDirectory=s\nCacheDirectory=k\nLogsDirectory=l\nConfigurationDirectory=e\n"
    )
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert plan.spec["directories"] == [
        ["RUNTIME_DIRECTORY", "/run/a", 0o750, uid, gid],
        ["RUNTIME_DIRECTORY", "/run/b/c", 0o750, uid, gid],
        ["STATE_DIRECTORY", "/var/lib/s", 0o755, uid, gid],
        ["CACHE_DIRECTORY", "/var/cache/k", 0o755, uid, gid],
        ["LOGS_DIRECTORY", "/var/log/l", 0o755, uid, gid],
        ["CONFIGURATION_DIRECTORY", "/etc/e", 0o755, -1, -1],
    ]
    env = environment(plan)
    assert env["RUNTIME_DIRECTORY"] == "/run/a:/run/b/c"
    assert env["STATE_DIRECTORY"] == "/var/lib/s"
    assert env["CONFIGURATION_DIRECTORY"] == "/etc/e"


@pytest.mark.parametrize(
    ("text", "main", "control"),
    [
        ("", False, False),
        ("Type=notify", True, False),
        ("NotifyAccess=main", True, False),
        ("NotifyAccess=exec", True, True),
        ("Type=notify\nNotifyAccess=all", True, True),
    ],
)
def test_who_gets_the_notify_socket(text, main, control):
    for slot, wanted in ((Slot.MAIN, main), (Slot.CONTROL, control), (Slot.HEALTH, False)):
        env = environment(compiled(text, slot=slot, notify_socket="/run/gitproc/notify"))
        assert env.get("NOTIFY_SOCKET") == ("/run/gitproc/notify" if wanted else None), slot


def test_who_may_hand_in_descriptors_is_told_how_many():
    for text, told in (("", None), ("FileDescriptorStoreMax=7", "7")):
        text = f"Type=notify\n{text}"
        env = environment(compiled(text, slot=Slot.MAIN, notify_socket="/run/gitproc/notify"))
        assert env.get("FDSTORE") == told
    assert "FDSTORE" not in environment(compiled("FileDescriptorStoreMax=7"))


def test_working_directory():
    assert compiled("").spec["cwd"] == "/"
    assert compiled("WorkingDirectory=/tmp").spec["cwd"] == "/tmp"
    assert compiled("WorkingDirectory=-/none").spec["cwd_optional"] is True
    assert compiled("WorkingDirectory=~").spec["cwd"] == "/root"
    assert compiled("WorkingDirectory=~\nUser=daemon").spec["cwd"] == pwd.getpwnam("daemon").pw_dir


def test_limits_are_numbers_and_capped_where_even_root_is():
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    plan = compiled("LimitNOFILE=4096:infinity\nLimitCORE=0\nLimitNPROC=5:infinity")
    assert [resource.RLIMIT_NOFILE, 4096, most] in plan.spec["rlimits"]
    assert [resource.RLIMIT_CORE, 0, 0] in plan.spec["rlimits"]
    assert [resource.RLIMIT_NPROC, 5, -1] in plan.spec["rlimits"]
    assert plan.warnings == []
    plan = compiled(f"LimitNOFILE={most + 1}")
    assert plan.spec["rlimits"] == [[resource.RLIMIT_NOFILE, most, most]]
    assert "LimitNOFILE" in plan.warnings[0]


def test_an_ordinary_users_manager_is_capped_and_warned():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    plan = compiled("LimitNOFILE=infinity\nNice=-20", privileged=False)
    assert plan.spec["rlimits"] == [[resource.RLIMIT_NOFILE, hard, hard]]
    assert plan.spec["nice"] > -20
    assert len(plan.warnings) == 2


def test_an_ordinary_users_manager_runs_as_itself_alone():
    me = pwd.getpwuid(os.getuid())
    plan = compiled(
        f"User={me.pw_name}", privileged=False, environment={"XDG_RUNTIME_DIR": "/run/user/9"}
    )
    assert {"uid", "gid", "groups"}.isdisjoint(plan.spec)
    env = environment(plan)
    assert env["USER"] == me.pw_name
    assert env["XDG_RUNTIME_DIR"] == "/run/user/9"
    other = "nobody" if me.pw_name != "nobody" else "daemon"
    with pytest.raises(LaunchError, match="not root") as caught:
        compiled(f"User={other}", privileged=False)
    assert caught.value.step == "USER"
    with pytest.raises(LaunchError, match="not root") as caught:
        compiled(f"Group={other if other == 'daemon' else 'nogroup'}", privileged=False)
    assert caught.value.step == "GROUP"


def test_only_what_is_asked_for_is_set():
    spec = compiled("").spec
    assert "nice" not in spec
    assert "oom_score_adjust" not in spec
    assert spec["umask"] == 0o022
    assert spec["ignore_sigpipe"] is True
    spec = compiled("Nice=0\nOOMScoreAdjust=-500\nUMask=0077\nIgnoreSIGPIPE=no").spec
    assert (spec["nice"], spec["oom_score_adjust"], spec["umask"]) == (0, -500, 0o077)
    assert spec["ignore_sigpipe"] is False


def test_output_goes_to_the_log_or_nowhere():
    log = {"log": "/var/log/gitproc/test.log", "max_bytes": 10, "files": 2}
    where = LogOutput("/var/log/gitproc/test.log", 10, 2)
    spec = compiled("", log=where).spec
    assert spec["output"] == log
    assert "error" not in spec, "as the output"
    spec = compiled("StandardOutput=null\nStandardError=journal", log=where).spec
    assert (spec["output"], spec["error"]) == ("null", log)


LOG = LogOutput("/x.log", 10, 2)
INTO = {"log": "/x.log", "max_bytes": 10, "files": 2}


@pytest.mark.parametrize(
    ("text", "stdin", "output", "error"),
    [
        ("", "null", INTO, None),
        ("StandardOutput=inherit", "null", INTO, None),
        ("StandardOutput=kmsg\nStandardError=null", "null", INTO, "null"),
        (
            "StandardOutput=append:/a\nStandardError=truncate:/b",
            "null",
            {"file": "/a", "how": "append"},
            {"file": "/b", "how": "truncate"},
        ),
        (
            "StandardOutput=file:/a\nStandardError=file:/a",
            "null",
            {"file": "/a", "how": "write"},
            None,
        ),
        ("StandardInput=file:/a", {"file": "/a", "how": "read"}, INTO, None),
        (
            "StandardInput=file:/a\nStandardOutput=file:/a",
            {"file": "/a", "how": "both"},
            "stdin",
            None,
        ),
        (
            "StandardInputText=a\nStandardError=fd:two",
            {"data": b"a\n"},
            INTO,
            {"fd": 1},
        ),
        ("StandardInput=fd:two", {"fd": 1}, "stdin", None),
        ("StandardOutput=fd", "null", {"fd": 2}, None),
        (
            "StandardInput=tty-force\nTTYPath=/dev/tty9",
            {"tty": "/dev/tty9", "acquire": "force"},
            "stdin",
            None,
        ),
        ("StandardOutput=tty", "null", {"tty": "/dev/console", "acquire": ""}, None),
    ],
)
def test_standard_streams(text, stdin, output, error):
    spec = compiled(text, log=LOG, fd_names=("one", "two", "stdout")).spec
    assert (spec["stdin"], spec["output"], spec.get("error")) == (stdin, output, error)


def test_a_socket_as_input_is_the_only_descriptor_there_is():
    spec = compiled("StandardInput=socket", log=LOG, fd_names=("connection",)).spec
    assert (spec["stdin"], spec["output"]) == ({"fd": 0}, "stdin")
    spec = compiled("StandardInput=socket\nStandardError=journal", log=LOG, fd_names=("c",)).spec
    assert (spec["output"], spec["error"]) == ("stdin", INTO)
    for names in ((), ("a", "b")):
        with pytest.raises(LaunchError, match="socket") as caught:
            compiled("StandardInput=socket", log=LOG, fd_names=names)
        assert caught.value.step == "RESOURCES"
    with pytest.raises(LaunchError, match="named x"):
        compiled("StandardOutput=fd:x", log=LOG, fd_names=("a",))


def test_side_commands_do_without_terminal_and_socket():
    spec = compiled("StandardInput=socket", log=LOG, slot=Slot.HEALTH).spec
    assert (spec["stdin"], spec["output"]) == ("null", INTO)
    spec = compiled("StandardInput=tty", log=LOG, slot=Slot.CONTROL).spec
    assert (spec["stdin"], spec["output"]) == ("null", {"tty": "/dev/console", "acquire": ""})


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("", None),
        ("SyslogLevel=err", None),
        ("LogLevelMax=warning", (4, 6, True, 0.0, 10_000)),
        ("LogLevelMax=1\nSyslogLevel=debug\nSyslogLevelPrefix=no", (1, 7, False, 0.0, 10_000)),
        ("LogRateLimitBurst=5", (-1, 6, True, 30.0, 5)),
        ("LogRateLimitIntervalSec=2s", (-1, 6, True, 2.0, 10_000)),
        ("LogRateLimitIntervalSec=0", (-1, 6, True, 0.0, 10_000)),
    ],
)
def test_rules_of_the_log_are_made_only_for_units_that_set_them(text, rules):
    assert compiled(text, log=LOG).spec["output"].get("rules") == rules


def test_terminals_have_a_type():
    assert environment(compiled("StandardInput=tty\nTTYPath=/dev/tty3"))["TERM"] == "linux"
    assert environment(compiled("TTYPath=/dev/ttyS0"))["TERM"] == "vt220"
    plan = compiled("StandardOutput=tty", environment={"TERM": "xterm"})
    assert environment(plan)["TERM"] == "xterm"
    assert "TERM" not in environment(compiled("", environment={"TERM": "xterm"}))


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("CPUSchedulingPolicy=batch", "scheduling", [os.SCHED_BATCH, 0, False]),
        ("CPUSchedulingPolicy=fifo", "scheduling", [os.SCHED_FIFO, 1, False]),
        (
            "CPUSchedulingPolicy=rr\nCPUSchedulingPriority=9\nCPUSchedulingResetOnFork=yes",
            "scheduling",
            [os.SCHED_RR, 9, True],
        ),
        ("CPUSchedulingPriority=9", "scheduling", [os.SCHED_OTHER, 0, False]),
        ("CPUSchedulingResetOnFork=yes", "scheduling", None),
        ("CPUAffinity=1 0", "cpus", [0, 1]),
        ("IOSchedulingClass=idle", "io_priority", [3, 4]),
        ("IOSchedulingPriority=7", "io_priority", [2, 7]),
        ("IOSchedulingClass=none", "io_priority", [2, 4]),
        ("TimerSlackNSec=5us", "timer_slack", 5000),
        ("MemoryKSM=no", "memory_ksm", False),
        ("", "memory_ksm", None),
    ],
)
def test_scheduling(text, key, value):
    assert compiled(text).spec.get(key) == value


def test_each_service_has_a_keyring_of_its_own():
    assert compiled("").spec["keyring"] == "private"
    assert compiled("KeyringMode=shared").spec["keyring"] == "shared"
    assert "keyring" not in compiled("KeyringMode=inherit").spec
    assert "keyring" not in compiled("", privileged=False).spec


def test_a_search_path_finds_commands_and_becomes_path(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    plan = compiled(f"ExecStart=tool\nExecSearchPath=/none:{tmp_path}")
    assert plan.spec["path"] == f"{tmp_path}/tool"
    assert environment(plan)["PATH"] == f"/none:{tmp_path}"
    plan = compiled(f"ExecStart=tool\nExecSearchPath={tmp_path}\nEnvironment=PATH=/mine")
    assert environment(plan)["PATH"] == "/mine"
    with pytest.raises(LaunchError, match="cannot find the command sh in"):
        compiled(f"ExecStart=sh\nExecSearchPath={tmp_path}")


def test_login_variables_on_request():
    env = environment(compiled("User=daemon\nSetLoginEnvironment=no"))
    assert env["USER"] == "daemon"
    assert {"HOME", "LOGNAME", "SHELL"}.isdisjoint(env)
    me = pwd.getpwuid(os.getuid())
    env = environment(compiled("SetLoginEnvironment=yes"))
    assert (env["USER"], env["HOME"]) == (me.pw_name, me.pw_dir)


def test_the_childs_own_pid_is_known_to_it_alone():
    assert compiled("").spec["pid_env"] == ["SYSTEMD_EXEC_PID"]
    assert "pid_env" not in compiled("UnsetEnvironment=SYSTEMD_EXEC_PID").spec
    plan = compiled("Environment=SYSTEMD_EXEC_PID=5")
    assert "pid_env" not in plan.spec
    assert environment(plan)["SYSTEMD_EXEC_PID"] == "5"


def test_links_to_directories_are_relative():
    spec = compiled("StateDirectory=a/b:c a/b:d/e\nRuntimeDirectory=r:s").spec
    assert [row[1] for row in spec["directories"]] == ["/run/r", "/var/lib/a/b"]
    assert spec["links"] == [
        ["RUNTIME_DIRECTORY", "r", "/run/s"],
        ["STATE_DIRECTORY", "a/b", "/var/lib/c"],
        ["STATE_DIRECTORY", "../a/b", "/var/lib/d/e"],
    ]
    with pytest.raises(LaunchError, match="manager's own"):
        compiled("StateDirectory=a:gitproc", own=("/var/lib/gitproc",))


def test_permissions_for_the_start_alone():
    text = "User=nobody\nPermissionsStartOnly=yes\nLimitCORE=0"
    assert compiled(text).spec["uid"] == NOBODY.pw_uid
    spec = compiled(text, slot=Slot.CONTROL).spec
    assert {"uid", "gid", "groups", "rlimits"}.isdisjoint(spec)


def test_cgroups_and_tree_are_handed_on():
    plan = compiled("", cgroup="/c", cgroup_procs=("/p",), tree="/t")
    assert (plan.spec["cgroup"], plan.spec["cgroup_procs"]) == ("/c", ["/p"])
    assert environment(plan)["GITPROC_TREE"] == "/t"


def test_a_pid_namespace_is_given_to_the_main_process_or_refused():
    assert compiled("PrivatePIDs=yes").spec["pid_namespace"] == "init"
    assert "pid_namespace" not in compiled("PrivatePIDs=yes", slot=Slot.CONTROL).spec
    with pytest.raises(LaunchError, match="no such thing") as caught:
        compiled("PrivatePIDs=yes", no_namespaces={"pid": "no such thing"})
    assert caught.value.step == "NAMESPACE"
    plan = compiled("PrivatePIDs=yes", no_namespaces={"pid": "no such thing"}, warn_isolation=True)
    assert "pid_namespace" not in plan.spec
    assert "no such thing" in plan.warnings[0]


def test_a_spec_travels_to_the_shim():
    plan = compiled("User=nobody\nStateDirectory=x\nLimitNOFILE=9\nEnvironment=A=1")
    assert marshal.loads(marshal.dumps(plan.spec, 2)) == plan.spec


def test_a_terminal_is_made_fit_and_recorded_for_the_main_process_alone():
    text = "TTYPath=/dev/tty9\nTTYReset=yes\nTTYRows=5\nUtmpIdentifier=%N-9\nUtmpMode=user\nUser=daemon"
    spec = compiled(text).spec
    assert spec["terminal"] == ["/dev/tty9", False, True, 5, None, False]
    assert spec["utmp"] == ["/run/utmp", "/var/log/wtmp", "test-9", "tty9", "user", "daemon"]
    spec = compiled(text, slot=Slot.CONTROL).spec
    assert not {"terminal", "utmp"} & spec.keys()
    assert not {"terminal", "utmp"} & compiled("TTYPath=/dev/tty9").spec.keys()
    assert compiled("UtmpIdentifier=x").spec["utmp"][3:] == ["", "init", "root"]
