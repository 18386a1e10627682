"""Data past their date at the desk: plans to decide on, and what became of them."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.admin import words
from erasure.admin.doing import Doing, refused
from erasure.admin.filters import worded
from erasure.admin.roles import allowed, at_desk, required
from erasure.advance import Job
from erasure.domain.errors import LetheError, UsageError
from erasure.domain.roles import Actor
from erasure.flow import dispose, expire
from erasure.models import Certificate, Expiry, RetentionLook, StandingApproval
from erasure.tasks import enqueue
from lineage.errors import LineageError

_FOLDER = "admin/erasure/expiry"


@admin.register(Expiry)
class ExpiryAdmin(Doing):
    """Plans for data past their date, the newest first."""

    list_display = ("status", "dataset", "rows", "kept_for", "over_since", "planned", "approved_by")
    list_display_links = ("status", "dataset")
    list_filter = (worded("state", {s: text for s, (text, _) in words.EXPIRIES.items()}), "dataset")
    ordering = ("-made_at",)
    change_form_template = f"{_FOLDER}/expiry.html"

    @admin.display(description="State", ordering="state")
    def status(self, row: Expiry) -> SafeString:
        """As everywhere at the desk."""
        return badge(row)

    @admin.display(description="Kept for", ordering="rule")
    def kept_for(self, row: Expiry) -> str:
        """The retention, in words."""
        return words.retention(row.rule)

    @admin.display(description="Over since", ordering="since")
    def over_since(self, row: Expiry) -> str:
        """The day of the first."""
        return words.day(row.since) if row.since else ""

    @admin.display(description="Planned", ordering="made_at")
    def planned(self, row: Expiry) -> str:
        """When, and by whom."""
        return f"{words.day(row.made_at)}, {row.made_by}"

    def get_urls(self) -> list[URLPattern]:
        """Each deed a POST of its own."""
        wrap = self.admin_site.admin_view
        own = [
            path(f"<uuid:pk>/{name}/", wrap(view), name=f"expiry_{name}")
            for name, view in (
                ("approve", self.approve),
                ("decline", self.decline),
                ("retry", self.retry),
            )
        ]
        look = path("look/<uuid:pk>/", wrap(self.look), name="expiry_look")
        revoke = path("standing/<uuid:pk>/revoke/", wrap(self.revoke), name="expiry_revoke")
        return [*own, look, revoke, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A plan with its steps and reasons, and what can be done."""
        plan = self.get_object(request, object_id)
        extra = {} if plan is None else self._shown(request, plan)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _shown(self, request: HttpRequest, plan: Expiry) -> dict[str, Any]:
        by = at_desk(request)
        return {
            "plan": plan,
            "badge": badge(plan),
            "kept_for": words.retention(plan.rule),
            "blocked_because": words.plainly(plan.blocked_because),
            "staying": [{**one, "reason": words.plainly(one["reason"])} for one in plan.left],
            "steps": [{**s, "deed": words.deed(s["action"], s.get("via", ""))} for s in plan.steps],
            "may": allowed(by),
            "refused": refused(request, plan.pk),
            "own": dispose.needs_another(plan, by=by),
            "most_rows": settings.LETHE_RETENTION_ROWS,
            "standing": StandingApproval.objects.filter(
                dataset=plan.dataset, revoked_at=None
            ).first(),
            "certificates": Certificate.objects.filter(request=str(plan.pk)),
            "title": plan.dataset,
            "subtitle": None,
        }

    def approve(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Exactly the plan that was looked at; and beforehand those like it, if that was said."""
        typed = request.POST
        given: dict[str, Any] = {
            "digest": typed.get("digest", ""),
            "accept": typed.getlist("accept"),
        }

        def deed(plan: Expiry, by: Actor) -> object:
            if "standing" not in typed:
                return dispose.approve_expired(plan, by=by, **given)
            return dispose.approve_standing(
                plan,
                by=by,
                most_rows=_number(typed.get("most_rows", "")),
                because=typed.get("because", ""),
                **given,
            )

        return self._deed(request, pk, deed, "Approved. The rows go next.")

    def decline(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Leave them."""
        because, day = request.POST.get("because", ""), request.POST.get("not_before", "")
        return self._deed(
            request,
            pk,
            lambda plan, by: dispose.decline_expired(
                plan, because=because, not_before=_day(day), by=by
            ),
            "Declined. Nothing is planned there before that day.",
        )

    def retry(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Go on."""
        return self._deed(
            request, pk, lambda plan, by: dispose.retry_expired(plan, by=by), "It goes on."
        )

    def revoke(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """An officer approves each plan again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by = required(request, "decline")
        try:
            dispose.revoke_standing(get_object_or_404(StandingApproval, pk=pk), by=by)
        except LetheError as error:
            messages.error(request, words.refused(error, ""))
        else:
            messages.success(request, "Revoked. Each plan is approved by an officer again.")
        return redirect("admin:erasure_expired")

    def look(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Look at a dataset now, and plan what is over."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by, look = required(request, "plan"), get_object_or_404(RetentionLook, pk=pk)
        try:
            plan = expire.plan_expired(look.dataset, by=by)
        except (LetheError, LineageError) as error:
            messages.error(request, words.refused(error, ""))
            return redirect("admin:erasure_expired")
        if plan is None:
            messages.info(request, f"{look.dataset}: nothing is over that may go.")
            return redirect("admin:erasure_expired")
        return redirect("admin:erasure_expiry_change", plan.pk)

    def _after(self, one: Expiry, done: object) -> Expiry:
        if one.state in ("approved", "executing"):
            enqueue(Job("expire", one.id))
        return one


def badge(plan: Expiry) -> SafeString:
    """A state in words, with the tone that says whose turn it is."""
    said, tone = words.EXPIRIES[plan.state]
    return format_html('<span class="badge badge-{}">{}</span>', tone, said)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError("most_rows: write a whole number") from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError("not_before: write a day as 2027-01-31") from None
