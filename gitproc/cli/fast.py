"""The fast path: the common verbs in the time the bare interpreter takes.

A status line that costs 40 ms of imports is felt in every shell prompt and every script. So the common verbs
are recognised here by hand and nothing is imported but what is built into Python (`posix`, `_socket`): no
argparse, no json, no typing. The manager renders the text; here it is only copied to standard output.

Whatever is not plain (other options, other verbs, mistakes, a manager that does not answer) is left to the
slow path, which says everything the fast path says and more: `run()` returns None and has changed nothing.
"""

import posix

from gitproc.api.dial import AT_MOST_ONCE, HUNG_UP, TRIES, UNSURE, dial, redial
from gitproc.cli.where import socket_path, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

READ_TIMEOUT = 30.0  # seconds to wait for an answer that waits for nobody
INTERRUPTED = 130
BROKEN_PIPE = 141

_JOB = ("no-block",)
_IN_NAMES = "-.:@_\\"  # stand in units' names besides letters and digits
# verb: (least and most units, options)
_VERBS = {
    "status": (0, 1 << 20, ("lines",)),
    "list": (0, 1 << 20, ()),
    "start": (1, 1 << 20, _JOB),
    "stop": (1, 1 << 20, _JOB),
    "restart": (1, 1 << 20, _JOB),
    "reload": (1, 1 << 20, _JOB),
    "try-restart": (1, 1 << 20, _JOB),
    "reload-or-restart": (1, 1 << 20, _JOB),
    "try-reload-or-restart": (1, 1 << 20, _JOB),
    "is-active": (1, 1 << 20, ()),
    "is-failed": (1, 1 << 20, ()),
    "show": (1, 1 << 20, ("property", "value")),
    "logs": (1, 1, ("lines", "since")),
    "why": (1, 1, ()),
    "diff": (0, 0, ()),
}
_ALIASES = {"list-units": "list"}
_ANYWHERE = ("socket", "root", "config", "user", "no-pager", "quiet")
_FLAGS = {
    "--no-pager": "no-pager",
    "--user": "user",
    "-q": "quiet",
    "--quiet": "quiet",
    "--no-block": "no-block",
    "--value": "value",
}
_VALUES = {
    "--socket": "socket",
    "--root": "root",
    "--config": "config",
    "-n": "lines",
    "--lines": "lines",
    "-p": "property",
    "--property": "property",
    "-P": "property",
    "--since": "since",
    "-S": "since",
}


def run(argv: list[str]) -> int | None:
    """Do what `argv` (without the program's name) asks and return the exit status; None: not for us."""
    options: dict[str, str] = {}
    words: list[str] = []
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        if word[:1] != "-":
            words.append(word)
            continue
        if word in _FLAGS:
            option = _FLAGS[word]
            if not words and option not in _ANYWHERE:
                return None  # an option of the verb stands behind it
            options[option] = "1"
            continue
        name, equals, value = word.partition("=")
        if name not in _VALUES or (equals and name[:2] != "--"):
            return None
        if not equals:
            if at == len(argv) or argv[at][:1] == "-":
                return None
            value = argv[at]
            at += 1
        if name == "-P":
            options["value"] = "1"
        name = _VALUES[name]
        if not words and name not in _ANYWHERE:
            return None
        options[name] = (
            f"{options[name]},{value}" if name == "property" and name in options else value
        )
    if not words:
        return None
    verb = _ALIASES.get(words[0], words[0])
    units = words[1:]
    if verb not in _VERBS:
        return None
    least, most, known = _VERBS[verb]
    if not least <= len(units) <= most:
        return None
    for name in options:
        if name not in known and name not in _ANYWHERE:
            return None
    request = _request(verb, units, options)
    path = socket_path(
        options.get("root", ""),
        "user" in options,
        options.get("config", ""),
        options.get("socket", ""),
    )
    if request is None or path is None:
        return None
    try:
        connection = dial(path, 5.0)
    except OSError:
        return None
    once, attempt = verb in AT_MOST_ONCE, 0
    try:
        connection.settimeout(None if known is _JOB else READ_TIMEOUT)
        while not (begun := _asked(connection, request.encode())):
            if once or attempt == TRIES:
                return _complain(f"the daemon {UNSURE if once else HUNG_UP}")
            connection.close()
            try:
                connection = redial(path, 5.0, attempt)
            except OSError:
                return _complain(f"the daemon {HUNG_UP}, and none has come in its place")
            attempt += 1
            connection.settimeout(None if known is _JOB else READ_TIMEOUT)
        return _copy(connection, begun, "quiet" in options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except _Unwritable as error:
        return _complain(f"cannot write the output: {error}")
    except OSError as error:
        return _complain(f"cannot hear the daemon's answer: {error.strerror or error}")
    finally:
        connection.close()


# ------------------------------------------------------------------ asking


def quote(text: str) -> str:
    """A JSON string, in ASCII."""
    out = ['"']
    for char in text:
        code = ord(char)
        if char in {'"', "\\"}:
            out.append("\\" + char)
        elif 0x20 <= code < 0x7F:
            out.append(char)
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            code -= 0x10000
            out.append(f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}")
    out.append('"')
    return "".join(out)


def terminal() -> tuple[int, bool]:
    """The columns of standard output (0: not a terminal) and whether it shall be coloured."""
    try:
        if not posix.isatty(1):
            return 0, False
        columns = posix.get_terminal_size(1).columns or 80
    except OSError:
        return 0, False
    colored = not variable(b"NO_COLOR") and variable(b"TERM") not in {"", "dumb"}
    return columns, colored


def _request(verb: str, units: list[str], options: dict[str, str]) -> str | None:
    width, colored = terminal()
    params = [f'"width":{width},"color":{"true" if colored else "false"}']
    if verb == "logs" and not all(char.isalnum() or char in _IN_NAMES for char in units[0]):
        return None  # a pattern, or what has to be escaped
    if verb in {"logs", "why"}:
        params.append(f'"unit":{quote(units[0])}')
    elif units:
        params.append(f'"units":[{",".join([quote(unit) for unit in units])}]')
    if "no-block" in options:
        params.append('"wait":false')
    if "value" in options:
        params.append('"value":true')
    if "since" in options:
        params.append(f'"since":{quote(options["since"])}')
    if "lines" in options:
        count = options["lines"]
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            return None
        params.append(f'"lines":{int(count)}')
    if "property" in options:
        names = [quote(name) for name in options["property"].split(",") if name]
        params.append(f'"properties":[{",".join(names)}]')
    request = f'"jsonrpc":"2.0","id":1,"reply":"text","method":"{verb}"'
    return f'{{{request},"params":{{{",".join(params)}}}}}\n'


# ------------------------------------------------------------------ the answer


def _asked(connection: "_socket.socket", request: bytes) -> bytes:
    """How the answer begins, with its first line; empty if the daemon hung up before."""
    try:  # noqa: SIM105 -- contextlib would have to be imported
        connection.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have said why before
    data = chunk = b""
    while b"\n" not in data:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return b""
        if not chunk:
            return b""
        data += chunk
    return data


def _copy(connection: "_socket.socket", data: bytes, quiet: bool) -> int:
    """Copy the answer's text, of which `data` was heard, to standard output and error; its exit status."""
    head, _, data = data.partition(b"\n")
    words = head.split()
    if words[:2] != [b"gitproc-text", b"1"] or len(words) != 5:
        return _complain(f"cannot understand the daemon: {head[:200].decode('ascii', 'replace')}")
    status, left = int(words[2]), int(words[3])
    for file, length in ((1, left), (2, int(words[4]))):
        while length:
            if not data:
                data = connection.recv(1 << 20)
                if not data:
                    return _complain("the daemon hung up in the middle of its answer")
            part, data = data[:length], data[length:]
            length -= len(part)
            if file == 2 or not quiet:
                _write(file, part)
    return status


class _Unwritable(Exception):
    """What we write to refuses it: a full disk, say."""


def _write(file: int, data: bytes) -> None:
    try:
        while data:
            data = data[posix.write(file, data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _Unwritable(error.strerror) from None


def _complain(text: str) -> int:
    try:
        _write(2, f"gitproc: {text}\n".encode("utf-8", "surrogateescape"))
    except (_Unwritable, BrokenPipeError):
        return 1  # with nobody to tell why
    return 1
