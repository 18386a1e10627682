"""The desk's part in what stands in the way: legal holds, exceptions, grounds, fees, opinions."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from erasure.admin import words
from erasure.admin.doing import Doing, accepted, refused
from erasure.admin.filters import ReleasedFilter, worded
from erasure.admin.pairs import pairs_of
from erasure.admin.roles import allowed, at_desk, required
from erasure.domain import states
from erasure.domain.grounds import GROUNDS
from erasure.domain.keeping import REASONS, reasons_of
from erasure.flow import charge, disclose, exempt, hold, route, weigh
from erasure.models import ErasureRequest, Hold, KeptDataset
from erasure.runs import holding
from erasure.runs.case import begun

_REASONS = [(code, words.plain(code)) for code in REASONS]
_LISTED = 20
_TEXT = forms.TextInput(attrs={"autocomplete": "off"})


class HoldForm(forms.Form):
    """What may not go, whose, and why. What is typed of a person is never shown again."""

    datasets = forms.CharField(
        label="Datasets",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One per line, DATASET.TABLE. Empty: everything of the person below.",
    )
    person = forms.CharField(
        label="Person",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text="One identifier per line, KIND=VALUE; kept as keyed pseudonyms only. "
        "Empty: everybody.",
    )
    matter = forms.CharField(required=False, widget=_TEXT, help_text="Released as one.")
    code = forms.ChoiceField(label="Reason", choices=_REASONS, initial="legal_claims")
    legal_reference = forms.CharField(label="Provision", widget=_TEXT)
    because = forms.CharField(
        label="Because", widget=_TEXT, help_text="Stands in clear: no name, address or number."
    )

    def clean_datasets(self) -> list[str]:
        """The lines."""
        return [line.strip() for line in self.cleaned_data["datasets"].splitlines() if line.strip()]

    def clean_person(self) -> list[tuple[str, str]]:
        """The lines as (kind, value)."""
        return pairs_of(self.cleaned_data["person"])


@admin.register(Hold)
class HoldAdmin(Doing):
    """Legal holds: in force first."""

    list_display = ("state", "about", "matter", "reason", "placed", "released")
    list_filter = (ReleasedFilter, worded("code", dict(_REASONS), "reason"))
    list_display_links = ("state",)
    ordering = (F("released_at").desc(nulls_first=True), "-placed_at")
    change_form_template = "admin/erasure/hold/hold.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may place one."""
        return at_desk(request).may("hold")

    @admin.display(description="State")
    def state(self, row: Hold) -> str:
        """In force, or released."""
        return "released" if row.released_at else "in force"

    @admin.display(description="About")
    def about(self, row: Hold) -> str:
        """What and whose, never who."""
        what = ", ".join(row.datasets) or "everything"
        return f"{what} of {'certain people' if row.of_people else 'everybody'}"

    @admin.display(description="Reason", ordering="code")
    def reason(self, row: Hold) -> str:
        """In words."""
        return words.plain(row.code)

    @admin.display(description="Placed", ordering="placed_at")
    def placed(self, row: Hold) -> str:
        """When, and by whom."""
        return f"{words.day(row.placed_at)}, {row.placed_by}"

    @admin.display(description="Released", ordering="released_at")
    def released(self, row: Hold) -> str:
        """When."""
        return words.day(row.released_at) if row.released_at else ""

    def get_urls(self) -> list[URLPattern]:
        """Releasing, and reading why, is each a POST of its own."""
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/release/", wrap(self.release), name="erasure_release"),
            path("<uuid:pk>/reasons/", wrap(self.reasons), name="erasure_hold_reasons"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Place a hold."""
        by = required(request, "hold")

        def place(given: dict[str, Any]) -> HttpResponse:
            hold.place_hold(by=by, **given)
            messages.success(request, "On hold from now on.")
            return redirect("admin:erasure_hold_changelist")

        form = HoldForm(request.POST if request.method == "POST" else None)
        answer = accepted(form, place, emptied=("person", "because"))
        return answer or self._form(request, form, "Place a legal hold", "Place the hold")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A hold, and the way to release it."""
        found = self.get_object(request, object_id)
        extra = {} if found is None else _shown_alone(request, found)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def reasons(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Why; a look that is recorded, so no address to be opened."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by = required(request, "see_reasons")
        found = get_object_or_404(Hold, pk=pk)
        because, released_because = disclose.read_hold(found, by=by)
        context = {
            **self.admin_site.each_context(request),
            **_shown_alone(request, found),
            "original": found,
            "because": because,
            "released_because": released_because,
        }
        return TemplateResponse(request, self.change_form_template, context)

    def release(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Release it, with a reason."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda one, by: hold.release_hold(one, by=by, because=because),
            "Released. What stood still goes on by itself.",
        )


def _shown_alone(request: HttpRequest, one: Hold) -> dict[str, Any]:
    """What the page of a hold shows, but why."""
    return {
        "may": allowed(at_desk(request)),
        "refused": refused(request, one.pk),
        "title": "Legal hold",
        "subtitle": None,
        "reason": words.plain(one.code),
        **stops(one),
    }


def stops(one: Hold) -> dict[str, Any]:
    """The open cases that a hold touches: those of its people, or those that plan to change its
    datasets; how many, and the first of them by when they are due."""
    cases = ErasureRequest.objects.exclude(state__in=states.SETTLED)
    if one.of_people:
        about = Q(identifiers__keyed_hash__in=one.people.values("keyed_hash")) | Q(
            pk__in=one.cases.values("pk")
        )
        cases = cases.filter(about)
    if one.datasets:
        live = Q(plans__state__in=("draft", "approved"), plans__steps__dataset__in=one.datasets)
        cases = cases.filter(live)
    cases = cases.distinct().order_by("due_at", "received_at")
    listed = [(case, words.badge(case.state, case.right)) for case in cases[:_LISTED]]
    return {"stopped": cases.count(), "stopped_cases": listed}


def shown(case: ErasureRequest) -> dict[str, Any]:
    """What the page of a case says of holds, exceptions and grounds."""
    steps = case.plans.filter(state__in=("draft", "approved")).values_list(
        "steps__dataset", flat=True
    )
    return {
        "holds": [(one, words.plain(one.code)) for one in holding.holds_on(case)],
        "waits": words.plainly(holding.waits(case)),
        "exceptions": [
            (one, words.plain(one.code)) for one in case.exceptions.filter(lifted_at=None)
        ],
        "may_except": case.state in exempt.BEFORE and not case.run_id,
        "may_charge": case.state in charge.EARLY and not begun(case),
        "fee": case.pauses.filter(why="fee", until=None).first(),
        "hold_reasons": _REASONS,
        "keep_reasons": [(code, words.plain(code)) for code in reasons_of(case.law)],
        "step_datasets": sorted({d for d in steps if d}),
        "grounds": [(code, words.plain(code)) for code in GROUNDS],
        "ground_words": words.plain(case.ground).capitalize(),
        "ground_findings": weigh.findings(case),
    }


class Holds(Doing):
    """The addresses of these deeds, for the admin of requests."""

    def hold_urls(self) -> list[URLPattern]:
        """Each a POST of its own."""
        return [
            path(f"<uuid:pk>/{place}/", self.admin_site.admin_view(view), name=f"erasure_{name}")
            for place, name, view in (
                ("hold", "hold", self.hold),
                ("except", "except", self.add_exception),
                ("except/<uuid:kept>/lift", "lift", self.lift),
                ("ground", "ground", self.ground),
                ("balance", "balance", self.balance),
                ("advise", "advise", self.advise),
                ("fee", "fee", self.fee),
                ("paid", "paid", self.paid),
                ("forward", "forward", self.forward),
                ("answer", "answer", self.answer),
            )
        ]

    def hold(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Put this person on hold."""
        told = _typed(request, "code", "legal_reference", "because", "matter")
        return self._deed(
            request,
            pk,
            lambda case, by: hold.place_hold(request=case, by=by, **told),
            "On hold. It goes on by itself once the hold is released.",
        )

    def add_exception(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Keep a dataset of this case until a day."""
        told = _typed(request, "dataset", "code", "legal_reference", "because")
        told["fields"] = request.POST.get("fields", "").replace(",", " ").split()
        until: Any = _day(request)
        return self._deed(
            request,
            pk,
            lambda case, by: exempt.add_exception(case, by=by, until=until, **told),
            "Recorded. The plan is being made again.",
        )

    def lift(self, request: HttpRequest, pk: UUID, kept: UUID) -> HttpResponse:
        """Take an exception back."""
        return self._deed(
            request,
            pk,
            lambda case, by: exempt.lift_exception(
                get_object_or_404(KeptDataset, pk=kept, request=case), by=by
            ),
            "Lifted. The plan is being made again.",
        )

    def ground(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """State the ground."""
        told = _typed(request, "ground")
        return self._deed(
            request, pk, lambda case, by: weigh.state_ground(case, by=by, **told), "Recorded."
        )

    def balance(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Record a balancing of interests."""
        told = _typed(request, "dataset", "whose", "because")
        return self._deed(
            request, pk, lambda case, by: weigh.record_balance(case, by=by, **told), "Recorded."
        )

    def advise(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Record the data protection officer's opinion."""
        told = _typed(request, "digest", "advice", "because")
        return self._deed(
            request, pk, lambda case, by: weigh.advise(case, by=by, **told), "Recorded."
        )

    def fee(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask for a fee."""
        told = _typed(request, "because")
        return self._deed(
            request,
            pk,
            lambda case, by: charge.ask_fee(case, by=by, **told),
            "Recorded. Write the letter with the amount now.",
        )

    def paid(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The fee is there."""
        return self._deed(
            request, pk, lambda case, by: charge.fee_paid(case, by=by), "Recorded: it was paid."
        )

    def forward(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Hand it on."""
        told = _typed(request, "to", "because")
        return self._deed(
            request,
            pk,
            lambda case, by: route.forward_request(case, by=by, **told),
            "Handed on. What was given here has been destroyed.",
        )

    def answer(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Answer it by hand."""
        told = _typed(request, "because")
        return self._deed(
            request,
            pk,
            lambda case, by: route.answer_request(case, by=by, **told),
            "Answered. Write the letter now; what was given here has been destroyed.",
        )


def _typed(request: HttpRequest, *names: str) -> dict[str, Any]:
    return {name: request.POST.get(name, "") for name in names}


def _day(request: HttpRequest) -> date | None:
    """The day that was typed; None where it is none, which the flow refuses."""
    try:
        return date.fromisoformat(request.POST.get("until", ""))
    except ValueError:
        return None
