"""One letter as one mail: its exact bytes, and what the mail server said in words without an
address. A letter's bytes are the same at every try, so that a repeat is recognised."""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from email.message import Message
from email.utils import format_datetime, parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from erasure.domain.letters import checked_text
from erasure.models import Letter
from erasure.runs import letters

_PERMANENT = range(500, 600)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a mail was not taken. ``permanent``: trying again would not help."""

    words: str
    permanent: bool


def mail_of(letter: Letter) -> EmailMessage:
    """The mail of a letter that is being sent. Raises KeyDestroyed and UsageError."""
    to, body = letters.read(letter)
    assert letter.begun_at is not None  # noqa: S101 - it is being sent
    return EmailMessage(
        subject=letter.subject,
        body=body,
        from_email=checked_text("LETHE_MAIL_FROM", settings.DEFAULT_FROM_EMAIL, one_line=True),
        to=[to],
        headers={"Message-ID": message_id(letter), "Date": format_datetime(letter.begun_at)},
    )


def message_id(letter: Letter) -> str:
    """Derived from the letter's own number, so the same at every try (RFC 5322, 3.6.4)."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<letter.{letter.id}@{domain}>"


def bytes_of(mail: EmailMessage) -> bytes:
    """The message as it goes over the wire."""
    message: Message = mail.message()
    # Django's own message classes take the line end; the stub of the standard library does not.
    return message.as_bytes(linesep="\r\n")  # type: ignore[call-arg]


def deliver(mail: EmailMessage) -> Fault | None:
    """Hand a mail to the mail server; None once it took it. What a server answers may repeat the
    address, so only its code is told."""
    try:
        taken = mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        return _refused("the recipient", *(code for code, _ in error.recipients.values()))
    except smtplib.SMTPSenderRefused as error:
        return _refused("the sender, LETHE_MAIL_FROM", error.smtp_code)
    except smtplib.SMTPAuthenticationError as error:
        return _refused("the login in LETHE_MAIL_URL", error.smtp_code)
    except smtplib.SMTPResponseException as error:
        return _refused("the message", error.smtp_code)
    except smtplib.SMTPNotSupportedError:
        return Fault(words="the mail server cannot do what LETHE_MAIL_URL asks", permanent=True)
    except OSError:  # also every other fault of smtplib: the connection is not there, or broke
        return Fault(words="the mail server of LETHE_MAIL_URL cannot be reached", permanent=False)
    except ValueError:
        return Fault(words="cannot be written as a mail", permanent=True)
    return None if taken else Fault(words="no mail backend took the message", permanent=True)


def _refused(what: str, *codes: int) -> Fault:
    code = max(codes, default=0)
    permanent = code in _PERMANENT
    return Fault(words=f"the mail server refused {what} ({code})", permanent=permanent)
