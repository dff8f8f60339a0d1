"""What a probe may be pointed at: the URLs and addresses of health checks, judged before they are used."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from gitproc.immutable import NamedTuple

_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where to connect and what to ask. `socket` is a unix socket's path and then host and port are unused."""

    host: str
    port: int
    socket: str = ""
    tls: bool = False
    path: str = "/"
    host_header: str = ""


def check_url(text: str) -> Target:
    """Parse `http://`, `https://` or `http+unix://%2Frun%2Fapp.sock/path`.

    Raises ValueError, with a message for the operator: unknown scheme, no host, bad port, white space,
    a user name or password (they would end up in unit files and logs).
    """
    if not text or re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("a URL has no white space or control characters" if text else "empty URL")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https", "http+unix"):
        raise ValueError(f"{text}: begins with none of http://, https://, http+unix://")
    if not parts.netloc:
        raise ValueError(f"{text}: names no host")
    if "@" in parts.netloc:
        raise ValueError("a user or password in a health check's URL is not supported")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    if parts.scheme == "http+unix":
        socket = unquote(parts.netloc)
        if not socket.startswith("/"):
            raise ValueError(f"{text}: the socket is no absolute path (write / as %2F)")
        return Target("", 0, socket=socket, path=path, host_header="localhost")
    if not parts.hostname:
        raise ValueError(f"{text}: names no host")
    if port == 0:
        raise ValueError(f"{text}: no port 0")
    try:
        host = (
            parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        )
    except UnicodeError as error:
        raise ValueError(f"{text}: not a host name: {error}") from error
    bracketed = f"[{host}]" if ":" in host else host
    header = bracketed if port is None else f"{bracketed}:{port}"
    number = port if port is not None else _PORTS[parts.scheme]
    return Target(host, number, tls=parts.scheme == "https", path=path, host_header=header)


def check_address(text: str) -> Target:
    """Parse `HOST:PORT` (`[::1]:80` for IPv6) of a TCP probe. Raises ValueError with a message."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]]+)):(\d{1,5})", text)
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Target(match[1] or match[2], int(match[3]))
