"""The desk's part in a case's clock: extending it, asking who somebody is, confirming a receipt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from erasure.admin import words
from erasure.domain import states
from erasure.domain.errors import KeyDestroyed
from erasure.domain.roles import Actor
from erasure.flow import extend, identify, intake
from erasure.models import ErasureRequest, Reasoning
from erasure.runs import clock, reasoning

Deed = Callable[[ErasureRequest, Actor], object]
_ABOUT = {
    "identity_doubt": "Why proof of identity was asked for",
    "unidentifiable": "Why the person cannot be identified",
    "extension": "Why the time to answer was extended",
    "exception": "Why a dataset is kept",
    "balancing": "Whose interests prevail",
    "opinion": "Opinion of the data protection officer",
    "fee": "Why a fee is asked",
}


def shown(case: ErasureRequest) -> dict[str, Any]:
    """What the page of a case says of its clock, and what can be done about it."""
    found = clock.clock_of(case)
    today, moves = timezone.localdate(), states.REQUEST[case.state]
    decided = case.state in states.CLOSED
    in_time = found.first is None or today <= found.first
    return {
        "clock": found,
        "pauses": list(case.pauses.all()),
        "may_extend": found.can_be_extended and in_time and not decided,
        "may_doubt": "identity_required" in moves,
        "waits_for_identity": case.state in ("identity_required", "confirmed"),
        "identifiers": case.identifiers.order_by("kind"),
        "asked_by": words.ASKERS[case.asked_by],
        "may_acknowledge": bool(case.acknowledge_by) and not case.acknowledged_at and not decided,
    }


def reasons(case: ErasureRequest) -> list[dict[str, Any]]:
    """The reasoning that is on record, for those who decide."""
    entries = case.reasoning.select_related("request")
    return [
        {"about": _about(entry), "by": entry.by, "at": entry.at, "text": _text(entry)}
        for entry in entries
    ]


def _about(entry: Reasoning) -> str:
    more = ", ".join(filter(None, (entry.place, entry.verdict)))
    return f"{_ABOUT[entry.about]} ({more})" if more else _ABOUT[entry.about]


def _text(entry: Reasoning) -> str:
    try:
        return reasoning.read(entry)
    except KeyDestroyed:
        return "destroyed with the record of the case"


class Times:
    """The addresses of these deeds, for the admin of requests."""

    admin_site: AdminSite

    def _deed(self, request: HttpRequest, pk: UUID, deed: Deed, said: str) -> HttpResponse:
        raise NotImplementedError

    def clock_urls(self) -> list[URLPattern]:
        """Each a POST of its own."""
        return [
            path(f"<uuid:pk>/{place}/", self.admin_site.admin_view(view), name=f"erasure_{place}")
            for place, view in (
                ("extend", self.extend),
                ("doubt", self.doubt),
                ("proved", self.proved),
                ("unidentifiable", self.unidentifiable),
                ("acknowledge", self.acknowledge),
            )
        ]

    def extend(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Extend the time to answer, with reasons."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda case, by: extend.extend_deadline(case, by=by, because=because),
            "Extended. Tell the person today, with these reasons.",
        )

    def doubt(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask for proof of identity."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda case, by: identify.ask_identity(case, by=by, doubt=because),
            "Recorded. Ask the person for no more than is needed to be sure.",
        )

    def proved(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Record how identity was proved."""
        method, mandate = request.POST.get("method", ""), request.POST.get("mandate", "")
        proves = request.POST.getlist("proves")
        return self._deed(
            request,
            pk,
            lambda case, by: identify.confirm_identity(
                case, by=by, method=method, mandate=mandate, proves=proves
            ),
            "Recorded. Delete the proof now; the plan is being made.",
        )

    def unidentifiable(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Close a case whose person cannot be identified."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda case, by: identify.give_up_identifying(case, by=by, because=because),
            "Closed: the person cannot be identified. What was given has been destroyed.",
        )

    def acknowledge(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Record that the receipt was confirmed."""
        return self._deed(
            request,
            pk,
            lambda case, by: intake.acknowledge(case, by=by),
            "Recorded: the receipt was confirmed.",
        )
