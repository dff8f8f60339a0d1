"""Targets of health checks are judged before they are used."""

import pytest

from gitproc.health.url import Target, check_address, check_url


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://localhost", Target("localhost", 80, path="/", host_header="localhost")),
        ("http://h:8080/a", Target("h", 8080, path="/a", host_header="h:8080")),
        ("https://h/a?b=c", Target("h", 443, tls=True, path="/a?b=c", host_header="h")),
        ("http://[::1]:81/", Target("::1", 81, path="/", host_header="[::1]:81")),
        ("HTTP://H/", Target("h", 80, path="/", host_header="h")),
        ("http://h/%20ü", Target("h", 80, path="/%20%C3%BC", host_header="h")),
        ("http://h/#part", Target("h", 80, path="/", host_header="h")),
        (
            "http+unix://%2Frun%2Fa.sock/x",
            Target("", 0, socket="/run/a.sock", path="/x", host_header="localhost"),
        ),
    ],
)
def test_good_urls(text, target):
    assert check_url(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:80",
        "/health",
        "ftp://h/",
        "http://",
        "http:///path",
        "http://:80/",
        "http://h:99999/",
        "http://h:0/",
        "http://h:x/",
        "http://[::1/",
        "http://user:secret@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http+unix://run/x",
        "http://" + "ü" * 80 + "/",
    ],
)
def test_bad_urls(text):
    with pytest.raises(ValueError, match=r"\S"):
        check_url(text)


def test_a_secret_is_not_repeated_in_the_message():
    with pytest.raises(ValueError, match="not supported") as caught:
        check_url("http://user:secret@h/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:80", "localhost", 80),
        ("[::1]:65535", "::1", 65535),
        ("10.0.0.1:1", "10.0.0.1", 1),
    ],
)
def test_good_addresses(text, host, port):
    assert check_address(text) == Target(host, port)


@pytest.mark.parametrize(
    "text", ["", "80", ":80", "h:", "h:0", "h:65536", "::1:80", "h:80/", "a b:80"]
)
def test_bad_addresses(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        check_address(text)
