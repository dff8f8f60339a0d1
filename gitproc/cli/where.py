"""Where the manager's socket is, found with built-in modules alone, for the fast path.

`daemon/paths.py` and `daemon/config.py` decide it; this says the same for the plain cases and None for the
others (a test holds the two together), whereupon the slow path asks them.
"""

import posix

_SIZE = 1 << 20  # bytes of config.toml that are looked at


def variable(name: bytes) -> str:
    """An environment variable, "" if unset; `os` is not needed for it."""
    return posix.environ.get(name, b"").decode("utf-8", "surrogateescape")


def socket_path(
    root: str = "", user: bool = False, config: str = "", socket: str = ""
) -> str | None:
    """The path of the socket: the one given, or configured, or the place that belongs to root or user."""
    if socket:
        return socket
    root = root.rstrip("/")
    if user and not root:
        places = variable(b"XDG_CONFIG_HOME"), variable(b"XDG_RUNTIME_DIR")
        if places[0][:1] != "/" or places[1][:1] != "/":
            return None
        file, default = f"{places[0]}/gitproc/config.toml", f"{places[1]}/gitproc/gitproc.sock"
    else:
        file, default = f"{root}/etc/gitproc/config.toml", f"{root}/run/gitproc.sock"
    configured = _configured(config or file)
    if configured and root:
        return None
    return default if configured == "" else configured


def _configured(path: str) -> str | None:
    """What a configuration file says: "" for nothing, None where it takes a TOML parser to tell."""
    try:
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        return ""
    try:
        text = posix.read(file, _SIZE).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        posix.close(file)
    if '"""' in text or "'''" in text:
        return None
    for line in text.split("\n"):
        words = line.strip()
        if words[:1] == "[":
            break
        key, equals, value = words.partition("=")
        if equals and key.strip().strip("\"'") == "socket":
            return _string(value.strip())
    return ""


def _string(value: str) -> str | None:
    quote = value[:1]
    body, closing, rest = value[1:].partition(quote) if quote in {'"', "'"} else ("", "", "")
    rest = rest.strip()
    if body[:1] != "/" or not closing or "\\" in body or rest[:1] not in {"", "#"}:
        return None
    return body
