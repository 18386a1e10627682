"""The desk's part in a case's clock: extending it, asking who somebody is, confirming a receipt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from erasure.admin import words
from erasure.admin.doing import Doing
from erasure.domain import states
from erasure.domain.identity import UNPROVED
from erasure.flow import decide, extend, identify, intake
from erasure.models import ErasureRequest
from erasure.runs import clock, given, reasoning
from erasure.runs.case import begun

_REFUSED_FOR = {
    "exempt": "the law exempts it",
    "ground_not_met": "its ground is not met",
    "unfounded": "manifestly unfounded",
    "excessive": "manifestly excessive",
    "fee_unpaid": "the fee was not paid",
}
_ABOUT = {
    "identity_doubt": "Why proof of identity was asked for",
    "unidentifiable": "Why the person cannot be identified",
    "extension": "Why the time to answer was extended",
    "exception": "Why a dataset is kept",
    "balancing": "Whose interests prevail",
    "opinion": "Opinion of the data protection officer",
    "fee": "Why a fee is asked",
    "reopening": "Why the case was reopened",
    "answer": "What was done, as the person is told",
    "approved": "What was said with the approval",
    "refused": "Why the request was refused",
    "withdrawn": "Why the request was withdrawn",
    "forwarded": "To whom it was handed on, and why",
    "undoing": "Why it was undone",
}


def shown(case: ErasureRequest) -> dict[str, Any]:
    """What the page of a case says of its clock, and what can be done about it."""
    found = clock.clock_of(case)
    today, moves = timezone.localdate(), states.REQUEST[case.state]
    if begun(case):
        moves = moves - {"identity_required", "withdrawn", "refused"}
    decided = case.state in states.CLOSED
    in_time = found.first is None or today <= found.first
    return {
        "clock": found,
        "pauses": list(case.pauses.all()),
        "may_extend": found.can_be_extended and in_time and not decided,
        "may_doubt": "identity_required" in moves,
        "waits_for_identity": case.state in UNPROVED,
        "may_give_up": "unidentifiable" in moves,
        "may_withdraw": "withdrawn" in moves,
        "may_refuse": "refused" in moves,
        "refusals": [(code, _REFUSED_FOR[code]) for code in decide.REFUSALS],
        "identifiers": case.identifiers.order_by("kind"),
        "to_prove": given.readable(case).order_by("kind"),
        "asked_by": words.ASKERS[case.asked_by],
        "may_acknowledge": bool(case.acknowledge_by) and not case.acknowledged_at and not decided,
    }


def reasons(case: ErasureRequest) -> list[dict[str, Any]]:
    """What reasoning is on record; its words are a look of their own."""
    return [{"about": about(e), "by": e.by, "at": e.at} for e in reasoning.given_in(case)]


def about(entry: reasoning.Given) -> str:
    """Which decision it is about, in words."""
    more = ", ".join(filter(None, (entry.place, entry.verdict)))
    return f"{_ABOUT[entry.about]} ({more})" if more else _ABOUT[entry.about]


class Times(Doing):
    """The addresses of these deeds, for the admin of requests."""

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
