"""config.toml: defaults, places, and every mistake told with its line."""

import math
import re
from pathlib import Path

import pytest

from gitproc.daemon.config import Config, Defaults, Logs, load
from gitproc.daemon.paths import default_paths
from gitproc.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "packaging" / "config.toml"


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Config:
        file = tmp_path / "config.toml"
        file.write_text(text)
        return load(file)

    return write


def refusal(write, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        write(text)
    return caught.value


def test_without_a_file_everything_has_its_default(tmp_path):
    config = load(root=tmp_path)
    assert config.repository == tmp_path / "etc/gitproc/services"
    assert config.socket == tmp_path / "run/gitproc.sock"
    assert config.run_dir == tmp_path / "run/gitproc"
    assert config.state_dir == tmp_path / "var/lib/gitproc"
    assert config.log_dir == tmp_path / "var/log/gitproc"
    assert (config.branch, config.group, config.readers) == ("main", "gitproc", False)
    assert config.logs == Logs()
    assert config.defaults == Defaults()
    assert config.on_missing_isolation is None
    assert config.file is None
    assert config.root == tmp_path


def test_the_systems_places(written):
    config = written("")
    assert config.repository == Path("/etc/gitproc/services")
    assert config.socket == Path("/run/gitproc.sock")
    assert config.cgroup_root == "gitproc"
    assert config.root is None


def test_two_roots_have_two_cgroups(tmp_path):
    names = {load(root=tmp_path / part / "demo").cgroup_root for part in ("a", "b")}
    assert len(names) == 2
    assert all(re.fullmatch(r"gitproc-demo-[0-9a-f]{8}", name) for name in names)


def test_a_relative_root_is_meant_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(root=Path("demo")).socket == tmp_path / "demo/run/gitproc.sock"


def test_under_a_root_no_path_leads_outside(tmp_path):
    file = tmp_path / "etc/gitproc/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'log_dir = "/var/log/other"\nstate_dir = "{tmp_path}/state"\n')
    config = load(root=tmp_path)
    assert config.log_dir == tmp_path / "var/log/other"
    assert config.state_dir == tmp_path / "state"
    assert config.file == file


def test_a_users_places():
    environ = {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"}
    places = default_paths(user=True, environ=environ)
    assert places.config == "/home/u/.config/gitproc/config.toml"
    assert places.repository == "/home/u/.config/gitproc/services"
    assert places.run_dir == "/run/user/7/gitproc"
    assert places.socket == "/run/user/7/gitproc/gitproc.sock"
    assert places.state_dir == "/home/u/.local/state/gitproc"
    assert places.log_dir == "/home/u/.local/state/gitproc/log"
    other = default_paths(
        user=True, environ={"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "x"}
    )
    assert other.config == "/c/gitproc/config.toml"
    assert other.state_dir == "/h/.local/state/gitproc"  # a relative value does not count
    assert other.run_dir == "/h/.local/state/gitproc/run/gitproc"


def test_a_users_configuration(tmp_path):
    config = load(user_mode=True, environ={"HOME": str(tmp_path)})
    assert config.user_mode
    assert config.state_dir == tmp_path / ".local/state/gitproc"


def test_values(written):
    config = written(
        """
        repository = "/srv/units"
        branch = "refs/heads/prod/eu"
        cgroup_root = "/a/b"
        group = ""
        readers = true
        allow_unenforced = ["RestrictAddressFamilies", "*"]
        default_private_pids = true
        on_missing_isolation = "fail"
        settle_seconds = 2
        poll_interval = "5min"
        [logs]
        max_bytes = "1.5G"
        files = 0
        [defaults]
        timeout_start = "1min 30s"
        timeout_stop = "infinity"
        restart_sec = 0
        start_limit_interval = 0
        start_limit_burst = 1
        """
    )
    assert config.repository == Path("/srv/units")
    assert (config.branch, config.cgroup_root, config.group) == ("prod/eu", "a/b", "")
    assert config.readers and config.default_private_pids
    assert config.allow_unenforced == ("RestrictAddressFamilies", "*")
    assert config.on_missing_isolation == "fail"
    assert (config.settle_seconds, config.poll_interval) == (2.0, 300.0)
    assert config.logs == Logs(1536 << 20, 0)
    assert config.defaults == Defaults(90.0, math.inf, 0.0, 0.0, 1)


def test_a_timeout_of_0_is_none_at_all(written):
    assert written("[defaults]\ntimeout_stop = 0").defaults.timeout_stop == math.inf


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("\nbrunch = 'x'", 2, "brunch", "unknown key; did you mean branch?"),
        ("[logs]\nmax_byte = 1", 2, "logs.max_byte", "did you mean max_bytes in section [logs]?"),
        ("max_bytes = 1", 1, "max_bytes", "did you mean max_bytes in section [logs]?"),
        ("[logs]\nbranch = 'x'", 2, "logs.branch", "did you mean branch?"),
        ("[log]\nfiles = 1", 1, "log", "unknown section; did you mean logs?"),
        ("logs = 3", 1, "logs", "write [logs]"),
        ("zzz = 1", 1, "zzz", "unknown key"),
        ("branch = 'a'\nreaders = 'yes'", 2, "readers", "expected true or false, not 'yes'"),
        ("branch = 3", 1, "branch", "expected a text in quotes, not 3"),
        ("branch = 'a..b'", 1, "branch", "no name of a branch"),
        ("socket = 'run/x'", 1, "socket", "absolute path"),
        ("socket = '/run/../x'", 1, "socket", "without .."),
        ("cgroup_root = '..'", 1, "cgroup_root", "cgroup"),
        ("allow_unenforced = '*'", 1, "allow_unenforced", "list of texts"),
        ("allow_unenforced = [1]", 1, "allow_unenforced", "list of texts"),
        ("on_missing_isolation = 'maybe'", 1, "on_missing_isolation", '"fail" or "warn"'),
        ("settle_seconds = -1", 1, "settle_seconds", "out of range"),
        ("settle_seconds = inf", 1, "settle_seconds", "out of range"),
        ("settle_seconds = nan", 1, "settle_seconds", "out of range"),
        ("settle_seconds = true", 1, "settle_seconds", "time span"),
        ("poll_interval = 0", 1, "poll_interval", "out of range"),
        ("[defaults]\n\ntimeout_start = 'soon'", 3, "defaults.timeout_start", "soon"),
        ("[logs]\nmax_bytes = '10X'", 2, "logs.max_bytes", "10X"),
        ("[logs]\nmax_bytes = 1", 2, "logs.max_bytes", "4096"),
        ("[logs]\nfiles = -1", 2, "logs.files", "0 or more"),
        ("[logs]\nfiles = true", 2, "logs.files", "whole number"),
        ("logs.files = 1.5", 1, "logs.files", "whole number"),
        ("[logs] # here\n 'files' = 1.5", 2, "logs.files", "whole number"),
    ],
)
def test_mistakes_are_told_with_file_line_and_key(written, tmp_path, text, line, key, message):
    error = refusal(written, text)
    assert str(error).startswith(f"{tmp_path}/config.toml:{line}: {key}: ")
    assert message in str(error)
    assert error.data == {"file": f"{tmp_path}/config.toml", "line": line, "key": key}


@pytest.mark.parametrize(
    ("text", "where"), [("a = 1\nb =", ":2"), ("a = 1\na = 2", ":2"), ("= 1", ":1:1")]
)
def test_what_is_no_toml_is_told_with_its_line(written, tmp_path, text, where):
    assert str(refusal(written, text)).startswith(f"{tmp_path}/config.toml{where}")


def test_a_file_that_was_asked_for_has_to_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml"):
        load(tmp_path / "none.toml")


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"branch = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "config.toml")


def test_a_config_json_alone_is_refused_with_a_pointer(tmp_path):
    folder = tmp_path / "etc/gitproc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json is not read.*config\.toml"):
        load(root=tmp_path)
    with pytest.raises(ConfigError, match=r"write config\.toml"):
        load(folder / "config.json")
    (folder / "config.toml").write_text("")
    assert load(root=tmp_path).branch == "main"


def test_what_a_failed_commit_leads_to_and_who_hears_of_it(written):
    config = written(
        '[deploy]\non_failure = "revert"\n[notify]\ncommand = ["/bin/tell", "ops"]\n'
        'webhook = "http://localhost:1/x"\ntimeout = "3s"\n'
    )
    assert config.deploy.on_failure == "revert"
    assert config.notify.command == ("/bin/tell", "ops")
    assert (config.notify.webhook, config.notify.timeout) == ("http://localhost:1/x", 3.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[deploy]\non_failure = "undo"', 'expected "hold" or "revert" or "keep"'),
        ('[notify]\ncommand = ["tell"]', "expected a program"),
        ('[notify]\ncommand = "/bin/tell"', "expected a list"),
        ('[notify]\nwebhook = "ftp://x/"', "begins with none of"),
        ('resync = "always"', 'expected "off" or "heal"'),
    ],
)
def test_refused_values_of_deploy_and_notify(written, text, words):
    assert words in refusal(written, text).message


def test_the_shipped_file_changes_nothing():
    assert load(SHIPPED) == load_defaults(SHIPPED)


def load_defaults(file: Path) -> Config:
    places = default_paths()
    return Config(
        repository=Path(places.repository),
        socket=Path(places.socket),
        run_dir=Path(places.run_dir),
        state_dir=Path(places.state_dir),
        log_dir=Path(places.log_dir),
        file=file,
    )


def test_the_shipped_file_shows_every_key_with_its_default(tmp_path):
    text = re.sub(r"^#(?=[a-z_]+ = )", "", SHIPPED.read_text(), flags=re.MULTILINE)
    file = tmp_path / "config.toml"
    file.write_text(text)
    config = load(file)
    expected = load_defaults(file)
    from gitproc.immutable import replaced

    assert replaced(config, on_missing_isolation=None) == expected
    assert config.on_missing_isolation == "warn"
    shown = set(re.findall(r"^#?([a-z_]+) = ", SHIPPED.read_text(), flags=re.MULTILINE))
    from gitproc.daemon import config as module

    known = set(module._KEYS).union(*(keys for _, keys in module._SECTIONS.values()))
    assert shown == known
