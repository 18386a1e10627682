"""The desk's part in undoing: what the page of a case says of its window and its dates, the page
that asks before anything is put back, and the choice to do without a window."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from erasure.admin.doing import Doing
from erasure.admin.roles import required
from erasure.flow import undo
from erasure.models import ErasureRequest, Plan
from erasure.runs import report, windows

_TEMPLATE = "admin/erasure/erasurerequest/undo.html"
_REFRESH_SECONDS = 5


def shown(case: ErasureRequest, plan: Plan | None) -> dict[str, Any]:
    """What the page of a case says of its undo window and of the dates that are still due."""
    window = windows.window_of(case)
    open_still = windows.is_open(case, timezone.now())
    before = case.state in ("planned", "approved", "executing", "verifying")
    context: dict[str, Any] = {
        "window": window,
        "undo_words": report.undo_words(plan) if plan and plan.undo_seconds and before else "",
        "may_waive": case.state == "planned" and bool(plan and plan.undo_seconds),
        "may_undo": open_still and case.state in undo.UNDOABLE,
        "dates": case.dates.filter(done_at=None),
        "today": timezone.now().date(),
    }
    if case.state == "undoing":
        context["refresh"] = _REFRESH_SECONDS
    return context


class Undoes(Doing):
    """The addresses of undoing, for the admin of requests."""

    def undo_urls(self) -> list[URLPattern]:
        """The page that asks, and the deed to do without."""
        return [
            path(f"<uuid:pk>/{place}/", self.admin_site.admin_view(view), name=f"erasure_{place}")
            for place, view in (("undo", self.undo), ("waive", self.waive))
        ]

    def undo(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask, then put back."""
        if request.method != "POST":
            return self._asking(request, get_object_or_404(ErasureRequest, pk=pk))
        because, together = request.POST.get("because", ""), "together" in request.POST
        return self._deed(
            request,
            pk,
            lambda case, by: undo.begin_undo(case, by=by, because=because, together=together),
            "Being undone. What was erased is being put back.",
        )

    def waive(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Plan again, for good."""
        return self._deed(
            request,
            pk,
            lambda case, by: undo.waive_window(case, by=by),
            "The plan is being made again, without an undo window.",
        )

    def _asking(self, request: HttpRequest, case: ErasureRequest) -> HttpResponse:
        required(request, "undo")
        plan = case.plans.exclude(state="stale").first()
        captured = case.captures.filter(complete=True).values("store").order_by("store")
        context = {
            **self.admin_site.each_context(request),
            **shown(case, plan),
            "case": case,
            "title": "Undo this erasure?",
            "captured": captured.annotate(total=Sum("rows")),
            "left_out": [w for w in (plan.warnings if plan else ()) if "cannot be undone" in w],
            "shared": sorted(undo.shared_with(case)),
        }
        return TemplateResponse(request, _TEMPLATE, context)
