"""Requests on the desk: the list, the form for a new one, the case, and the deeds of an officer."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
)
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.admin import care as care_part
from erasure.admin import case as cases
from erasure.admin import clock as clock_part
from erasure.admin import exports as export_part
from erasure.admin import holds as hold_part
from erasure.admin import letters as letter_part
from erasure.admin import undo as undo_page
from erasure.admin import words
from erasure.admin.care import Care
from erasure.admin.clock import Times
from erasure.admin.doing import refused
from erasure.admin.exports import Exports
from erasure.admin.filters import ANSWERED_LAST, DueFilter, StateFilter, worded
from erasure.admin.forms import NewRequest
from erasure.admin.holds import Holds
from erasure.admin.letters import Letters
from erasure.admin.map import Maps
from erasure.admin.roles import allowed, at_desk, required
from erasure.admin.undo import Undoes
from erasure.advance import Job
from erasure.domain.errors import LetheError
from erasure.domain.roles import Actor
from erasure.evidence.certificate import path_of
from erasure.flow import decide, export, identify, intake, notify
from erasure.models import ErasureRequest, Notice
from erasure.runs import statement
from erasure.tasks import enqueue
from lineage.errors import LineageError

_FOLDER = "admin/erasure/erasurerequest"
# What comes after a request was recorded, by what is asked for.
_COPIED = "Its places are being looked for; then the copy is gathered."
_NEXT = {
    "erasure": "The plan is being made.",
    "access": _COPIED,
    "portability": _COPIED,
}
_BY_HAND = "Nothing here carries it out: record what was done, or hand it on and say to whom."
# A search goes into the address, where no identifier may stand: only the beginning of a case's
# number or of a pseudonym is searched for. Digits alone could be somebody's telephone number.
_NUMBER = re.compile(r"(?=.*[a-f])[0-9a-f-]{4,64}", re.IGNORECASE)


@admin.register(ErasureRequest)
class RequestAdmin(Undoes, Times, Letters, Holds, Maps, Exports, Care):
    """Requests: what is still open first, by the day the answer is due."""

    list_display = ("person", "asks_for", "status", "due", "received", "law_name")
    list_filter = (StateFilter, DueFilter, worded("right", words.RIGHTS, "what is asked for"))
    ordering = (ANSWERED_LAST.asc(), "due_at")
    search_fields = ("id__istartswith", "subject__istartswith")
    search_help_text = "By number or pseudonym. Never write a person's own data here."
    change_form_template = f"{_FOLDER}/case.html"
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Officers may open requests."""
        return admin.ModelAdmin.has_add_permission(self, request)

    @admin.display(description="Person", ordering="subject")
    def person(self, row: ErasureRequest) -> SafeString:
        """The first part of the pseudonym, and of the case's number."""
        return format_html("{}<small>case {}</small>", row.subject[:10], str(row.pk)[:8])

    @admin.display(description="Asks for", ordering="right")
    def asks_for(self, row: ErasureRequest) -> str:
        """The right that is made use of."""
        return words.right(row.right)

    @admin.display(description="State", ordering="state")
    def status(self, row: ErasureRequest) -> SafeString:
        """The state's badge."""
        return words.badge(row.state, row.right)

    @admin.display(description="Answer by", ordering="due_at")
    def due(self, row: ErasureRequest) -> SafeString:
        """The due date; what is overdue cannot be overlooked."""
        due = cases.deadline(row, timezone.now())
        day = f"{timezone.localdate(due.at):%d %b %Y}" if due.at else "no date"
        return format_html(
            '<span class="due due-{}">{}<small>{}</small></span>', due.tone, day, due.words
        )

    @admin.display(description="Received", ordering="received_at")
    def received(self, row: ErasureRequest) -> SafeString:
        """The day it came in, how, and who recorded it."""
        how = words.channel(row.channel)
        by = f"{how}, {row.opened_by}" if row.opened_by else how
        day = timezone.localdate(row.received_at)
        return format_html("{}<small>{}</small>", f"{day:%d %b %Y}", by)

    @admin.display(description="Law", ordering="law")
    def law_name(self, row: ErasureRequest) -> str:
        """The law, without its time to answer."""
        return words.law(row.law).partition(" (")[0].partition(",")[0]

    def get_urls(self) -> list[URLPattern]:
        """The deeds, each a POST of its own, and the evidence."""
        own = [
            path(f"<uuid:pk>/{place}", self.admin_site.admin_view(view), name=f"erasure_{name}")
            for place, name, view in (
                ("approve/", "approve", self.approve),
                ("refuse/", "refuse", self.refuse),
                ("withdraw/", "withdraw", self.withdraw),
                ("retry/", "retry", self.retry),
                ("again/", "again", self.again),
                ("told/<int:notice>/", "told", self.told),
                ("certificate/", "certificate", self.certificate),
                ("report/", "report", self.report),
            )
        ]
        parts = (
            *(self.undo_urls(), self.clock_urls(), self.letter_urls()),
            *(self.hold_urls(), self.map_urls(), self.export_urls(), self.care_urls()),
            super().get_urls(),
        )
        return [*own, *(address for part in parts for address in part)]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; a search for anything but a number is dropped before it is shown again."""
        wanted = request.GET.get("q", "").strip()
        if wanted and not _NUMBER.fullmatch(wanted):
            messages.warning(
                request, "Search by number or pseudonym; a person's data do not belong there."
            )
            return redirect("admin:erasure_erasurerequest_changelist")
        return super().changelist_view(request, {"title": "Requests", **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Open a request; its plan is made by a worker."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewRequest(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                return self._opened(request, form)
            except (LetheError, LineageError) as error:
                field, _, said = str(error).partition(": ")
                known = field in form.fields
                form.add_error(field if known else "identifiers", said if known else str(error))
        if form.is_bound:
            form.without_values()
        return self._form(request, form, "New request", "Record the request")

    def _opened(self, request: HttpRequest, form: NewRequest) -> HttpResponse:
        by = required(request, "open")
        given = form.cleaned_data
        case = intake.open_request(
            given["identifiers"],
            by=by,
            law=given["law"],
            channel=given["channel"] or "desk",
            received_at=given["received"],
            asked_by=given["asked_by"] or "self",
            child=given["child"],
            right=given["right"] or "erasure",
        )
        try:
            self._gone_on(request, case, given, by)
        except (LetheError, LineageError) as error:
            # It is on record by now, and stays: what is missing is asked for on its own page.
            messages.success(request, "Recorded.")
            messages.error(request, words.refused(error, case.pk))
        return _back(case)

    def _gone_on(
        self, request: HttpRequest, case: ErasureRequest, given: dict[str, Any], by: Actor
    ) -> None:
        """What follows from the form once the request is on record."""
        if given["export_first"] and not case.exports.exclude(state="destroyed").exists():
            export.order_export(case, by=by)
        if case.state != "received":
            messages.info(request, "This person has an open case already; here it is.")
        elif given["doubt"]:
            identify.ask_identity(case, by=by, doubt=given["doubt"])
            messages.success(request, "Recorded. Nothing is searched until identity is proved.")
        else:
            check, mandate = given["identity_check"], given["mandate"]
            identify.confirm_identity(case, by=by, method=check, mandate=mandate)
            enqueue(Job("advance", case.id))
            messages.success(request, f"Recorded. {_NEXT.get(case.right, _BY_HAND)}")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The case with its plan, what was done and what was seen afterwards."""
        case = self.get_object(request, object_id)
        extra = {} if case is None else self._shown(request, case)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _shown(self, request: HttpRequest, case: ErasureRequest) -> dict[str, Any]:
        by = at_desk(request)
        context = cases.shown(case)
        return {
            **context,
            **undo_page.shown(case, context["plan"]),
            **clock_part.shown(case),
            **letter_part.shown(case),
            **hold_part.shown(case),
            **export_part.shown(case),
            **care_part.shown(case, by),
            "may": allowed(by),
            "refused": refused(request, case.pk),
            "reasons": clock_part.reasons(case),
            "needs_another": decide.needs_another(case, by=by),
            "title": f"Case {str(case.pk)[:8]}",
            "subtitle": None,
        }

    def approve(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Approve exactly the plan that was on the page, with what was ticked there."""
        digest, accept = request.POST.get("digest", ""), request.POST.getlist("accept")
        return self._deed(
            request,
            pk,
            lambda case, by: decide.approve_plan(case, digest=digest, by=by, accept=accept),
            "Approved. The run has been queued.",
        )

    def refuse(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Refuse, with a reason."""
        because, code = request.POST.get("because", ""), request.POST.get("code", "")
        return self._deed(
            request,
            pk,
            lambda case, by: decide.refuse_request(case, by=by, because=because, code=code),
            "Refused.",
        )

    def withdraw(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Record that the person no longer wants it."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda case, by: decide.withdraw_request(case, by=by, because=because),
            "Withdrawn. What the person gave has been destroyed.",
        )

    def retry(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Try a blocked case again after its cause was removed."""
        return self._deed(
            request,
            pk,
            lambda case, by: decide.retry_blocked(case, by=by),
            "Going on where it stopped.",
        )

    def again(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Plan again after the catalogue or a store was corrected."""
        return self._deed(
            request,
            pk,
            lambda case, by: decide.plan_again(case, by=by),
            "The plan is being made again.",
        )

    def told(self, request: HttpRequest, pk: UUID, notice: int) -> HttpResponse:
        """Confirm that a recipient was told by hand."""
        return self._deed(
            request,
            pk,
            lambda case, by: notify.confirm_told(
                get_object_or_404(Notice, pk=notice, request=case), by=by
            ),
            "Recorded: the recipient was told.",
        )

    def _after(self, one: ErasureRequest, done: object) -> ErasureRequest:
        case = done if isinstance(done, ErasureRequest) else one
        enqueue(Job("advance", case.id))
        return case

    def certificate(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """The sealed certificate, to be verified elsewhere."""
        return self._file(request, pk, ".json")

    def report(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """The certificate as a person reads it."""
        return self._file(request, pk, ".md")

    def _file(self, request: HttpRequest, pk: UUID, suffix: str) -> HttpResponseBase:
        case = get_object_or_404(ErasureRequest, pk=pk)
        if not self.has_view_permission(request, case):
            raise PermissionDenied
        sealed = statement.certificates_of(case).first()
        if sealed is None:
            raise Http404
        file = path_of(sealed).with_suffix(suffix)
        try:
            return FileResponse(file.open("rb"), as_attachment=True, filename=file.name)
        except FileNotFoundError:
            raise Http404("The file is not in LETHE_HOME; restore it from its backup.") from None


def _back(case: ErasureRequest) -> HttpResponse:
    return redirect(reverse("admin:erasure_erasurerequest_change", args=[case.pk]))
