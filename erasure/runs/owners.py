"""Telling the owner of a model what became of it. No identifier in it."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail

from lineage.graph import Dataset

_LOG = logging.getLogger(__name__)


def tell(dataset: Dataset, what: str, text: str) -> bool:
    """By mail to ``model.tell`` of the catalogue, else to LETHE_DIGEST_TO; and always to the log.
    Returns whether somebody was written to: what happens to a model does not wait for a mail
    server."""
    _LOG.warning("%s %s: %s", dataset.address, what, text)
    to = list(dataset.model.get("tell") or settings.LETHE_DIGEST_TO)
    if not to:
        return False
    try:
        return bool(send_mail(f"{dataset.address} {what}", text, settings.DEFAULT_FROM_EMAIL, to))
    except (OSError, smtplib.SMTPException):
        _LOG.warning("%s: its owner could not be written to", dataset.address)
        return False
