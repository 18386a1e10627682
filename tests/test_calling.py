"""Calls to machines elsewhere go where they were meant to, in time, or not at all."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from django.conf import LazySettings

from erasure import calling
from erasure.domain.errors import CallFailed

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET = b"a secret of both sides"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes."


@contextmanager
def answering(*parts: bytes, hold: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A peer that answers one call with these bytes; its address and what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        with peer:
            got.append(peer.recv(65536))
            for part in parts:
                peer.sendall(part)
            if hold:
                peer.recv(1)  # until the caller hangs up

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook?a=b", got
    finally:
        listener.close()
        thread.join(5)


@pytest.fixture
def debugging(settings: LazySettings) -> None:
    """Plain HTTP to this machine is let through."""
    settings.DEBUG = True


@pytest.mark.usefixtures("debugging")
def test_what_is_posted_arrives_and_the_answer_comes_back() -> None:
    with answering(OK) as (url, got):
        answer = calling.post(url, b"body", headers=calling.sign(SECRET, b"body", AT), timeout=5)
    assert (answer.status, answer.taken, answer.body) == (200, True, b"yes.")
    assert got[0].startswith(b"POST /hook?a=b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Lethe-Signature: v1=" in got[0]


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize(
    ("parts", "told", "permanent"),
    [
        ([b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\n\r\n"], "redirect", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"x" * 99], "more than 64", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"], "broke off", False),
        ([b"nonsense\r\n\r\n"], "broke off", False),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line(
    parts: list[bytes], told: str, permanent: bool
) -> None:
    with answering(*parts) as (url, _), pytest.raises(CallFailed, match=told) as raised:
        calling.get(url, timeout=5, limit=64)
    assert raised.value.permanent is permanent
    assert "/hook" not in str(raised.value)


@pytest.mark.usefixtures("debugging")
def test_whoever_never_ends_is_cut_off_at_the_deadline() -> None:
    slow = b"HTTP/1.1 200 OK\r\n\r\nand so on"  # no length: it would end when the peer hangs up
    with (
        answering(slow, hold=True) as (url, _),
        pytest.raises(CallFailed, match="in time") as raised,
    ):
        calling.get(url, timeout=1)
    assert raised.value.permanent is False


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",  # no TLS
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https:///nothing",
        "https://example.com:port/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "file:///etc/passwd",
        "ftp://example.com/",
    ],
)
def test_an_address_that_is_never_called_is_refused_before_it_is_looked_up(url: str) -> None:
    with pytest.raises(CallFailed) as raised:
        calling.post(url, b"", headers={}, timeout=1)
    assert raised.value.permanent is True
    assert "password" not in str(raised.value)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]",
     "0.0.0.0", "[64:ff9b::a00:1]", "[2002:a00:1::]", "224.0.0.1"],
)  # fmt: skip
def test_nothing_inside_a_network_is_called_unless_it_is_listed(host: str) -> None:
    with pytest.raises(CallFailed, match="LETHE_INTERNAL_HOSTS"):
        calling.post(f"https://{host}:1/", b"", headers={}, timeout=1)


def test_a_host_that_is_listed_is_called_and_still_with_tls(settings: LazySettings) -> None:
    settings.LETHE_INTERNAL_HOSTS = ["127.0.0.1"]
    with answering(b"not TLS") as (url, _), pytest.raises(CallFailed, match="reached"):
        calling.get(url.replace("http:", "https:"), timeout=5)
    with pytest.raises(CallFailed, match="TLS"):
        calling.get(url, timeout=5)


@pytest.mark.usefixtures("debugging")
def test_a_header_that_would_begin_another_is_refused_and_nothing_is_sent() -> None:
    with answering(OK) as (url, got), pytest.raises(CallFailed, match="header"):
        calling.post(url, b"", headers={"X": "a\r\nY: b"}, timeout=1)
    assert got in ([], [b""])


def test_a_signature_holds_for_its_body_its_time_and_its_secret_alone() -> None:
    headers = calling.sign(SECRET, b"body", AT)

    def holds(secret: bytes, body: bytes, now: datetime) -> bool:
        return calling.is_signed(secret, body, headers, now=now)

    assert holds(SECRET, b"body", AT + timedelta(minutes=4))
    assert not holds(SECRET, b"body", AT + timedelta(minutes=6))
    assert not holds(SECRET, b"bodY", AT)
    assert not holds(b"another", b"body", AT)
    assert not calling.is_signed(SECRET, b"body", {}, now=AT)
