"""Calls to machines that are not ours: webhooks, recipes by HTTP. One way out, and a narrow one.

HTTPS only, outside debugging; no redirect is followed and no proxy taken; the address is resolved
once, refused unless it is a public one or that of a host in ``LETHE_INTERNAL_HOSTS``, and that
very address is connected to. One deadline is over the whole call, and an answer that is too long
is not read on. What fails is told in one line that names the host alone: neither path nor body.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address, ip_network
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from erasure.domain.errors import CallFailed

TIMESTAMP, SIGNATURE = "Lethe-Timestamp", "Lethe-Signature"
_PORTS = {"https": 443, "http": 80}
# 6to4, Teredo, NAT64: what looks public may lead inside.
_TUNNELS = [ip_network(text) for text in ("2002::/16", "2001::/32", "64:ff9b::/96")]


@dataclass(frozen=True)
class Answer:
    """What came back: any status but a redirect; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def taken(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300


def post(
    url: str, body: bytes, *, headers: Mapping[str, str], timeout: float, limit: int = 65536
) -> Answer:
    """POST ``body``. ``timeout``: seconds for everything after the name was resolved; ``limit``:
    the most bytes of an answer. Raises CallFailed; its ``permanent`` says whether a retry can
    help. The answer's status is the caller's to judge."""
    return _call("POST", url, body, headers, timeout, limit)


def get(
    url: str, *, headers: Mapping[str, str] | None = None, timeout: float, limit: int = 65536
) -> Answer:
    """As :func:`post`, without a body."""
    return _call("GET", url, None, headers or {}, timeout, limit)


def sign(secret: bytes, body: bytes, at: datetime) -> dict[str, str]:
    """Headers by which the other side knows us and that nothing was changed or kept for later:
    HMAC-SHA-256, as hex, over the Unix time in seconds, a full stop and the body."""
    stamp = str(int(at.timestamp()))
    return {TIMESTAMP: stamp, SIGNATURE: f"v1={_mac(secret, stamp, body)}"}


def is_signed(
    secret: bytes, body: bytes, headers: Mapping[str, str], *, now: datetime, within: float = 300
) -> bool:
    """Whether ``headers`` are those of :func:`sign`, made at most ``within`` seconds from now."""
    stamp = headers.get(TIMESTAMP, "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        return False
    given = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    fresh = abs(now.timestamp() - int(stamp)) <= within
    return fresh and hmac.compare_digest(given, f"v1={_mac(secret, stamp, body)}".encode())


def refuse_address(url: str) -> SplitResult:
    """Raises CallFailed, permanently, for an address that would never be called; looks nothing
    up."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        raise CallFailed("web address", "is not one; correct it", permanent=True) from None
    host = parts.hostname or ""
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise CallFailed("web address", "is not one; correct it", permanent=True)
    if parts.scheme != "https" and not (settings.DEBUG and parts.scheme == "http"):
        raise CallFailed(host, "is not called without TLS; use https://", permanent=True)
    if parts.username is not None or parts.fragment:
        told = "its address holds a login or a fragment; take that out"
        raise CallFailed(host, told, permanent=True)
    return parts


def _mac(secret: bytes, stamp: str, body: bytes) -> str:
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _call(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout: float,
    limit: int,
) -> Answer:
    parts = refuse_address(url)
    host = parts.hostname or ""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connected(parts, timeout) as connection:
            connection.request(method, target, body, dict(headers))
            with connection.getresponse() as answer:
                if 300 <= answer.status < 400:
                    told = "answers with a redirect, which is not followed; name the address itself"
                    raise CallFailed(host, told, permanent=True)
                return Answer(answer.status, _lower(answer), _read(answer, host, limit))
    except ssl.SSLCertVerificationError:
        told = "its certificate is not valid for that name; renew it there"
        raise CallFailed(host, told, permanent=False) from None
    except TimeoutError:
        told = "does not answer in time; it is tried again"
        raise CallFailed(host, told, permanent=False) from None
    except ValueError:
        raise CallFailed(host, "a header is not one; correct it", permanent=True) from None
    except (OSError, HTTPException):
        told = "cannot be reached, or broke off; it is tried again"
        raise CallFailed(host, told, permanent=False) from None


def _lower(answer: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _read(answer: HTTPResponse, host: str, limit: int) -> bytes:
    body = answer.read(limit + 1)
    if len(body) > limit:
        raise CallFailed(host, f"answers with more than {limit} bytes", permanent=True)
    if answer.length:  # fewer came than were promised
        raise HTTPException
    return body


class _Deadline:
    """Cuts a connection when the time is up, whatever is waited for; a slow drip would otherwise
    keep it open for ever."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock, self.passed = sock, False
        self.timer = Timer(seconds, self._cut)
        self.timer.daemon = True
        self.timer.start()

    def _cut(self) -> None:
        self.passed = True
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def _connected(parts: SplitResult, timeout: float) -> Iterator[HTTPConnection]:
    """A connection to the address that was checked."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    deadline = _Deadline(socket.create_connection((_checked(host, port), port), timeout), timeout)
    connection = HTTPConnection(host, port, timeout=timeout)
    connection.default_port = _PORTS[parts.scheme]  # so that the Host header does not name it
    try:
        if parts.scheme == "https":
            deadline.sock = ssl.create_default_context().wrap_socket(
                deadline.sock, server_hostname=host, do_handshake_on_connect=False
            )
            deadline.sock.do_handshake()
        connection.sock = deadline.sock
        yield connection
        if deadline.passed:
            raise TimeoutError
    except (OSError, HTTPException):
        if deadline.passed:
            raise TimeoutError from None
        raise
    finally:
        deadline.timer.cancel()
        connection.close()
        deadline.sock.close()


def _checked(host: str, port: int) -> str:
    """The address of ``host``, if all that it has may be called."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CallFailed(host, "has no address; correct it", permanent=False) from None
    addresses = [str(entry[4][0]) for entry in found]
    if host not in settings.LETHE_INTERNAL_HOSTS and not settings.DEBUG:
        for address in addresses:
            if not _is_public(address):
                told = "is inside a network; if it is meant, list it in LETHE_INTERNAL_HOSTS"
                raise CallFailed(host, told, permanent=True)
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ip_address(address.split("%")[0])
    tunnelled = any(found in network for network in _TUNNELS if found.version == network.version)
    return found.is_global and not found.is_multicast and not tunnelled
