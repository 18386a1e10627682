"""A real mail server on this machine that keeps what it is given, or says what it is told to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from aiosmtpd.controller import Controller
from django.conf import LazySettings


class Inbox:
    """``mails``: (recipients, text); ``raw``: the same as they came. ``says``: what it answers to
    the next mails' recipients instead of taking them."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.raw: list[bytes] = []
        self.says: list[str] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """SMTP's RCPT."""
        if self.says:
            return self.says.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """SMTP's DATA."""
        self.raw.append(envelope.original_content)
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    return port


def mail_through(settings: LazySettings, port: int) -> None:
    """Settings that lead to a mail server on that port."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS = "127.0.0.1", False
    settings.EMAIL_PORT = port


Kept = TypeVar("Kept", bound=Inbox)


@contextmanager
def serving(port: int, kept: Kept) -> Iterator[Kept]:
    """The server runs on that port."""
    controller = Controller(kept, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()
