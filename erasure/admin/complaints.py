"""Complaints at the desk: a list with what is due first, and a page for each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.admin import complaint_letters, words
from erasure.admin.complaint_letters import ComplaintLetters
from erasure.admin.doing import accepted, refused
from erasure.admin.filters import worded
from erasure.admin.roles import allowed, at_desk, required
from erasure.domain.clocks import LAWS
from erasure.domain.errors import KeyDestroyed, UsageError
from erasure.domain.roles import Actor
from erasure.flow import complain, disclose
from erasure.models import Complaint, ErasureRequest
from erasure.runs import clock

_LINE = forms.TextInput(attrs={"autocomplete": "off"})
_DAY = forms.DateInput(attrs={"type": "date"})
_FOLDER = "admin/erasure/complaint"


class ComplaintForm(forms.Form):
    """A complaint as it came in. Its words are sealed, and never shown again by the form."""

    about = forms.UUIDField(
        label="Case",
        required=False,
        widget=_LINE,
        error_messages={"invalid": "This is not the whole number of a case."},
        help_text="Its whole number, as its page shows it. Empty: about no case.",
    )
    law = forms.ChoiceField(
        required=False,
        choices=[("", "That of the case"), *((law, words.law(law)) for law in LAWS)],
    )
    received = forms.DateField(
        label="Received on",
        required=False,
        widget=_DAY,
        help_text="The true day; the time to confirm counts from it. Empty: now.",
    )
    authority = forms.CharField(
        label="Authority that handed it on", required=False, max_length=100, widget=_LINE
    )
    reference = forms.CharField(
        label="The authority's reference", required=False, max_length=100, widget=_LINE
    )
    answer_by = forms.DateField(label="Answer by", required=False, widget=_DAY)
    because = forms.CharField(
        label="What is complained of",
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off"}),
        help_text="Sealed with a key of its own; each look at it is recorded.",
    )


@admin.register(Complaint)
class ComplaintAdmin(ComplaintLetters):
    """Complaints: what waits first."""

    list_display = ("status", "case", "of_law", "confirm", "answer", "authority", "said")
    list_display_links = ("status",)
    list_filter = (
        worded("state", {state: text for state, (text, _) in words.COMPLAINTS.items()}),
        worded("law", {law: words.law(law).partition(",")[0] for law in LAWS}),
        worded("verdict", words.VERDICTS),
    )
    ordering = ("closed_at", "acknowledge_by", "-received_at")
    change_form_template = f"{_FOLDER}/complaint.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may record one."""
        return at_desk(request).may("complain")

    @admin.display(description="State", ordering="state")
    def status(self, row: Complaint) -> SafeString:
        """As everywhere at the desk."""
        return badge(row)

    @admin.display(description="Case")
    def case(self, row: Complaint) -> str:
        """The first part of the case's number."""
        return str(row.request_id)[:8] if row.request_id else "no case"

    @admin.display(description="Law", ordering="law")
    def of_law(self, row: Complaint) -> str:
        """Without its time to answer."""
        return words.law(row.law).partition(" (")[0].partition(",")[0]

    @admin.display(description="Verdict", ordering="verdict")
    def said(self, row: Complaint) -> str:
        """In words, once it was answered."""
        return words.VERDICTS.get(row.verdict, "")

    @admin.display(description="Confirm by", ordering="acknowledge_by")
    def confirm(self, row: Complaint) -> SafeString | str:
        """Until it was confirmed."""
        return _due(row.acknowledge_by) if row.state == "received" else ""

    @admin.display(description="Answer by", ordering="answer_by")
    def answer(self, row: Complaint) -> SafeString | str:
        """Until it was answered."""
        return "" if row.closed_at else _due(row.answer_by)

    def get_urls(self) -> list[URLPattern]:
        """Each deed a POST of its own."""
        own = [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"complaint_{name}")
            for name, view in (
                ("acknowledge", self.acknowledge),
                ("answer", self.answer_it),
                ("withdraw", self.withdraw),
                ("read", self.read),
            )
        ]
        return [*own, *self.letter_urls(), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Record one."""
        by = required(request, "complain")

        def record(given: dict[str, Any]) -> HttpResponse:
            made = _opened(given, by)
            messages.success(request, "Recorded. Its clock runs.")
            return redirect("admin:erasure_complaint_change", made.pk)

        first = {"about": request.GET.get("case", "")}
        form = ComplaintForm(request.POST if request.method == "POST" else None, initial=first)
        answer = accepted(form, record, emptied=["because"])
        return answer or self._form(request, form, "Record a complaint", "Record the complaint")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A complaint without its words, and what can be done."""
        found = self.get_object(request, object_id)
        extra = {} if found is None else self._shown(request, found)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _shown(self, request: HttpRequest, complaint: Complaint) -> dict[str, Any]:
        return {
            "complaint": complaint,
            "badge": badge(complaint),
            "law": words.law(complaint.law).partition(",")[0],
            "may": allowed(at_desk(request)),
            "refused": refused(request, complaint.pk),
            "verdict": words.VERDICTS.get(complaint.verdict, ""),
            "verdicts": words.VERDICTS.items(),
            **complaint_letters.shown(complaint),
            "title": f"Complaint {str(complaint.pk)[:8]}",
            "subtitle": None,
        }

    def acknowledge(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Its receipt was confirmed."""
        return self._deed(
            request,
            pk,
            lambda one, by: complain.acknowledge_complaint(one, by=by),
            "Recorded: the receipt was confirmed.",
        )

    def answer_it(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """It was answered."""
        verdict, because = request.POST.get("verdict", ""), request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda one, by: complain.answer_complaint(one, verdict=verdict, because=because, by=by),
            "Recorded. If the case has to go on, reopen it on its own page.",
        )

    def withdraw(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Nobody complains any more."""
        return self._deed(
            request, pk, lambda one, by: complain.withdraw_complaint(one, by=by), "Withdrawn."
        )

    def read(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Its words; a look that is recorded, so no address to be opened."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by = required(request, "see_reasons")
        complaint = get_object_or_404(Complaint, pk=pk)
        try:
            said, answered = disclose.read_complaint(complaint, by=by)
        except KeyDestroyed:
            said, answered = "destroyed with the record of the complaint", ""
        context = {
            **self.admin_site.each_context(request),
            **self._shown(request, complaint),
            "said": said,
            "answered": answered,
        }
        return TemplateResponse(request, f"{_FOLDER}/complaint.html", context)


def badge(complaint: Complaint) -> SafeString:
    """A state in words, with the tone that says whose turn it is."""
    said, tone = words.COMPLAINTS[complaint.state]
    return format_html('<span class="badge badge-{}">{}</span>', tone, said)


def _due(at: Any) -> SafeString | str:
    if at is None:
        return "no date"
    tone = "late" if at < timezone.now() else "quiet"
    return format_html('<span class="due-{}">{}</span>', tone, words.day(at))


def _opened(given: dict[str, Any], by: Actor) -> Complaint:
    """Raises UsageError by field."""
    about = given.pop("about")
    case = ErasureRequest.objects.filter(pk=about).first() if about else None
    if about and case is None:
        raise UsageError("about: no case has this number")
    received_at = clock.start_of(given.pop("received"))
    return complain.open_complaint(request=case, received_at=received_at, by=by, **given)
