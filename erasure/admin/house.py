"""Pages about the house: its procedure, its training log, who looked at what, what has run out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from erasure.admin import retention, words
from erasure.admin.doing import Doing, accepted
from erasure.admin.roles import allowed, at_desk, required
from erasure.flow import staff
from erasure.flow.expire import OPEN, with_retention
from erasure.models import Expiry, RetentionLook, StaffTraining, StandingApproval
from erasure.runs import accesses, expiring, procedure, training_log
from erasure.runs.expiring import Expired
from lineage.starts import in_words

_LINE = forms.TextInput(attrs={"autocomplete": "off"})
_FOLDER = "admin/erasure/house"


class TrainingForm(forms.Form):
    """Somebody was trained."""

    who = forms.CharField(max_length=150, widget=_LINE)
    topic = forms.CharField(max_length=200, widget=_LINE)
    on = forms.DateField(label="On", widget=forms.DateInput(attrs={"type": "date"}))
    next_due = forms.DateField(
        label="Again by",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: once is enough.",
    )


@admin.register(StaffTraining)
class StaffTrainingAdmin(Doing):
    """The training log; and the pages that are nobody's case."""

    list_display = ("who", "topic", "on", "next_due", "recorded_by")
    list_display_links = None
    list_filter = ("topic",)
    search_fields = ("who",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may record it."""
        return at_desk(request).may("record_training")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The log, with what it comes to."""
        counted = training_log.figures(timezone.localdate())
        title = f"Training: {counted['people']} people, {counted['overdue']} to be trained again"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """To be looked at; nothing is done here."""
        wrap = self.admin_site.admin_view
        own = [
            path("procedure/", wrap(self.procedure), name="erasure_procedure"),
            path("expired/", wrap(self.expired), name="erasure_expired"),
            path("looks/", wrap(self.looks), name="erasure_looks"),
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add to the log."""
        by = required(request, "record_training")

        def record(given: dict[str, Any]) -> HttpResponse:
            staff.record_training(by=by, **given)
            messages.success(request, "Recorded.")
            return redirect("admin:erasure_stafftraining_changelist")

        form = TrainingForm(request.POST if request.method == "POST" else None)
        return accepted(form, record) or self._form(request, form, "Record a training", "Record")

    def procedure(self, request: HttpRequest) -> HttpResponse:
        """Who does what by when."""
        required(request, "see_catalogue")
        sections = procedure.procedure(timezone.localdate())
        made = procedure.made_on()
        if request.GET.get("as") == "markdown":
            answer = HttpResponse(procedure.markdown(sections, made=made), "text/markdown")
            answer["Content-Disposition"] = 'attachment; filename="procedure.md"'
            return answer
        context = {"sections": sections, "made": made}
        return self._page(request, "procedure", "How requests are handled here", context)

    def expired(self, request: HttpRequest) -> HttpResponse:
        """Data whose retention has run out; counted when asked for, since every store is read."""
        by, listed = required(request, "see_catalogue"), None
        if request.method == "POST":
            listed = [_expired(one) for one in expiring.expired(timezone.localdate())]
        context = {
            "listed": listed,
            "day_rows": f"{settings.LETHE_RETENTION_ROWS:,}",
            "looks": list(_looks()),
            "standings": StandingApproval.objects.filter(revoked_at=None),
            "may": allowed(by),
        }
        return self._page(request, "expired", "Data past their retention", context)

    def looks(self, request: HttpRequest) -> HttpResponse:
        """Who looked at what names a person."""
        required(request, "see_accesses")
        shown = Paginator(accesses.leaves(), 100).get_page(request.GET.get("page"))
        context = {"page": shown, "looks": [accesses.access_of(leaf) for leaf in shown]}
        return self._page(request, "looks", "Looks at what names a person", context)

    def _page(
        self, request: HttpRequest, name: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "title": title, **context}
        return TemplateResponse(request, f"{_FOLDER}/{name}.html", whole)


def _looks() -> Iterator[dict[str, Any]]:
    """What is looked at, with its open plan; of what the catalogue has no more, only with one."""
    datasets = with_retention()
    plans = {p.dataset: p for p in Expiry.objects.filter(state__in=OPEN)}
    for look in RetentionLook.objects.all():
        plan, dataset = plans.get(look.dataset), datasets.get(look.dataset)
        if plan or dataset:
            yield {
                "look": look,
                "plan": plan,
                "badge": retention.badge(plan) if plan else "",
                "by_hand": in_words(dataset) if dataset else "",
                "error": words.plainly(look.error.removeprefix(f"{look.dataset}: ")),
                "left": [{**one, "reason": words.plainly(one["reason"])} for one in look.left],
            }


def _expired(one: Expired) -> dict[str, Any]:
    """What the retention of one dataset says, in words."""
    return {
        **vars(one),
        "rule": words.retention(one.rule),
        "held": words.plainly(one.held),
        "why_not": words.plainly(one.why_not),
    }
