"""The daily digest: what is overdue, due soon or blocked, sent to the officers. No identifiers."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from erasure.models import ErasureRequest
from erasure.runs import dues, modelling

LISTED = 50


def send_digest(now: datetime) -> int:
    """Send what needs somebody to the addresses of LETHE_DIGEST_TO; returns how many requests it
    tells of. Nothing is sent to nobody, nor when there is nothing to tell."""
    text, told = compose(now)
    alarms = modelling.alarmed()
    if alarms:
        listed = "\n".join(f"  {words}" for words in alarms[:LISTED])
        text = f"{text}\nModels that raise an alarm: {len(alarms)}\n{listed}\n"
    if (told or alarms) and settings.LETHE_DIGEST_TO:
        send_mail(
            f"Requests to be forgotten: {told} need attention",
            text,
            settings.DEFAULT_FROM_EMAIL,
            settings.LETHE_DIGEST_TO,
        )
    return told


def compose(now: datetime) -> tuple[str, int]:
    """The digest's text, and how many requests it tells of; a long list is cut and says so."""
    requests = ErasureRequest.objects.order_by("due_at", "received_at")
    parts = [
        ("Overdue", dues.overdue(requests, now)),
        ("To answer within a week", dues.due_soon(requests, now)),
        ("Receipt still to be confirmed", dues.unacknowledged(requests, now)),
        ("Extended, and the person not told yet", dues.to_tell_extended(requests)),
        ("Blocked", requests.filter(state="blocked")),
        ("Waiting for the person", dues.standing_still(requests)),
    ]
    shown = [
        {"title": title, "count": count, "cases": found[:LISTED], "more": max(0, count - LISTED)}
        for title, found in parts
        if (count := found.count())
    ]
    complaints = dues.complaints_due(now)
    told = requests.filter(_any(now)).count() + (said := complaints.count())
    zone = timezone.get_default_timezone_name()
    told_of = {"complaints": complaints[:LISTED], "said": said, "more": max(0, said - LISTED)}
    context = {"parts": shown, "now": now, "zone": zone, **told_of}
    return render_to_string("mail/digest.txt", context), told


def _any(now: datetime) -> Q:
    urgent = dues.unanswered(ErasureRequest.objects.all()).filter(
        Q(due_at__lt=now + dues.SOON)
        | Q(due_at=None)
        | Q(state="blocked")
        | Q(acknowledged_at=None, acknowledge_by__lt=now + dues.SOON)
    )
    untold = dues.to_tell_extended(ErasureRequest.objects.all())
    return Q(pk__in=urgent.values("pk")) | Q(pk__in=untold.values("pk"))
