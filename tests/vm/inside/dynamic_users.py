"""Inside the machine: the name service knows the users that GitProc makes up, beside those of systemd's."""

import os
import signal
from pathlib import Path

from tests.vm.inside.machine import UNIT, commit, pid, run, shown, wait_for
from tests.vm.inside.machine import up as all_up

RECORDS = Path("/run/userdb")
NSSWITCH = Path("/etc/nsswitch.conf")
SAYS = "/bin/sh -c 'id -un; id -gn; getent passwd $$(id -u); stat -c %%U $$STATE_DIRECTORY/.'"
SHOP = f"""\
[Service]
DynamicUser=yes
StateDirectory=shop
ExecStartPre={SAYS}
ExecStart=/usr/bin/python3 -c 'import getpass, time; print(getpass.getuser(), flush=True); time.sleep(9999)'
"""


def known(*what):
    return run("getent", *what, check=False)


def said(times):
    """What the service has said since its last start; `times` it was started."""
    return wait_for(
        lambda: (
            len(lines := run("gitproc", "logs", "-n", "999", "shop").splitlines()) == 5 * times
            and lines[-5:]
        )
    )


def test_a_made_up_user_has_a_name_as_long_as_it_runs():
    all_up()
    commit({"shop.service": SHOP})
    entry = wait_for(lambda: known("passwd", "shop"))
    uid = entry.split(":")[2]
    assert entry == f"shop:x:{uid}:{uid}:Dynamic User (GitProc):/:/usr/sbin/nologin"
    assert known("passwd", uid) == entry
    assert known("group", "shop") == known("group", uid) == f"shop:x:{uid}:"
    assert said(1) == ["shop", "shop", entry, "shop", "shop"]
    assert entry in run("getent", "passwd").splitlines()
    assert run("ps", "-o", "user=", "-p", str(pid("shop"))) == "shop"
    assert run("stat", "-c", "%U:%G", "/var/lib/private/shop") == "shop:shop"
    assert "shop" in run("runuser", "-u", "nobody", "--", "getent", "passwd", uid)

    before, main = pid("shop"), shown("MainPID")
    os.kill(int(main), signal.SIGKILL)
    wait_for(lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", main))
    wait_for(lambda: pid("shop") == before)
    assert known("passwd", "shop") == entry
    run("gitproc", "restart", "shop")
    assert said(2) == ["shop", "shop", entry, "shop", "shop"]
    assert Path("/var/lib/shop").is_symlink()  # as that of a made up user, though its name is known

    run("gitproc", "stop", "shop")
    assert known("passwd", "shop") == known("group", "shop") == known("passwd", uid) == ""
    assert list(RECORDS.iterdir()) == []


def test_systemd_gives_nobody_the_number_of_a_user_of_ours():
    run("gitproc", "start", "shop")
    theirs = [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "-p",
        "DynamicUser=yes",
        "-p",
        "User=shop",
    ]
    assert run(*theirs, "id", "-u") == known("passwd", "shop").split(":")[2]  # a user that is there
    mine = [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "-p",
        "DynamicUser=yes",
        "-p",
        "User=other",
    ]
    assert run(*mine, "sh", "-c", "id -u; id -un").split()[1] == "other"


def test_without_nss_systemd_the_doctor_says_what_is_missing():
    assert "dynamic users" in run("gitproc", "doctor", check=False)
    text = NSSWITCH.read_text()
    try:
        NSSWITCH.write_text(text.replace(" systemd", ""))
        assert "only numbers are known of shop" in run("gitproc", "doctor", check=False)
        assert known("passwd", "shop") == ""
    finally:
        NSSWITCH.write_text(text)
    commit({"shop.service": None})
    wait_for(lambda: not list(RECORDS.iterdir()))
    assert shown("ActiveState", UNIT) == "active"
