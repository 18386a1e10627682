"""The officer's desk, minimal: open a request, read its plan with reasons, approve or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from erasure.advance import Job
from erasure.domain.errors import LetheError
from erasure.flow import decide, identify, intake
from erasure.models import (
    Certificate,
    ErasureRequest,
    Event,
    LedgerLeaf,
    ModelJob,
    Notice,
    Plan,
    Run,
    ScanResult,
    StoreRun,
)
from erasure.runs import statement
from erasure.tasks import enqueue
from lineage.errors import LineageError

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin


class ReadOnly(_Admin):
    """The flow writes, the desk reads."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is changed by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is removed by hand."""
        return False


class NewRequest(forms.Form):
    """What an officer enters for a person who asked by phone, post or in person."""

    identifiers = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="One per line, KIND=VALUE, as in email=person@example.com. All of one person.",
    )
    law = forms.ChoiceField(choices=[(law, law.upper()) for law in intake.LAWS])
    identity_check = forms.CharField(
        max_length=200, help_text="How you know that it is this person who asks. No values here."
    )

    def pairs(self) -> list[tuple[str, str]]:
        """The identifiers as (kind, value)."""
        lines = [line for line in self.cleaned_data["identifiers"].splitlines() if line.strip()]
        return [(kind.strip(), value) for kind, _, value in (x.partition("=") for x in lines)]


@admin.register(ErasureRequest)
class RequestAdmin(ReadOnly):
    """Requests, newest deadline first."""

    list_display = ("id", "state", "law", "channel", "received_at", "due_at")
    list_filter = ("state", "law", "channel")
    ordering = ("due_at",)
    search_fields = ("id",)
    change_form_template = "admin/erasure/erasurerequest/case.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Officers may open requests."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_urls(self) -> list[URLPattern]:
        """The deeds, each a POST of its own."""
        deeds = [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"erasure_{name}")
            for name, view in (
                ("approve", self.approve),
                ("refuse", self.refuse),
                ("retry", self.retry),
            )
        ]
        return [*deeds, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Open a request; its plan is made by a worker."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewRequest(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                return self._opened(request, form)
            except (LetheError, LineageError) as error:
                form.add_error("identifiers", str(error))
        context = {**self.admin_site.each_context(request), "form": form, "title": "New request"}
        return TemplateResponse(request, "admin/erasure/erasurerequest/new.html", context)

    def _opened(self, request: HttpRequest, form: NewRequest) -> HttpResponse:
        by = request.user.get_username()
        case = intake.open_request(
            form.pairs(), by=by, law=form.cleaned_data["law"], channel="desk"
        )
        if case.state == "received":
            identify.confirm_identity(case, by=by, method=form.cleaned_data["identity_check"])
            enqueue(Job("advance", case.id))
            messages.success(request, "Recorded. The plan is being made.")
        else:
            messages.info(request, "This person has an open case already; here it is.")
        return self._back(case)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The case with its plan, what was done and what was seen afterwards."""
        case = self.get_object(request, object_id)
        extra = {} if case is None else self._case(request, case)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _case(self, request: HttpRequest, case: ErasureRequest) -> dict[str, Any]:
        plan = case.plans.exclude(state="stale").first()
        return {
            "case": case,
            "plan": plan,
            "steps": statement.steps_of(case),
            "residual": statement.residual_of(case),
            "shared": statement.shared_of(case),
            "backups": statement.backups_of(case),
            "models": statement.models_of(case),
            "events": Event.objects.filter(subject_id=str(case.id)),
            "certificate": Certificate.objects.filter(pk=f"lethe-{case.id}").first(),
            "may_decide": self._may_decide(request),
            "title": f"Request {case.id}",
        }

    @staticmethod
    def _may_decide(request: HttpRequest) -> bool:
        return request.user.has_perm("erasure.change_erasurerequest")

    def approve(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Approve exactly the plan that was on the page."""
        return self._deed(
            request,
            pk,
            lambda case, by: decide.approve_plan(
                case, digest=request.POST.get("digest", ""), by=by, because="at the desk"
            ),
            "Approved. The run has been queued.",
        )

    def refuse(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Refuse, with a reason."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda case, by: decide.refuse_request(case, by=by, because=because),
            "Refused.",
        )

    def retry(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Try a blocked case again after its cause was removed."""
        return self._deed(
            request,
            pk,
            lambda case, by: decide.retry_blocked(case, by=by),
            "Going on where it stopped.",
        )

    def _deed(self, request: HttpRequest, pk: Any, deed: Any, said: str) -> HttpResponse:
        if request.method != "POST" or not self._may_decide(request):
            raise PermissionDenied
        case = ErasureRequest.objects.get(pk=pk)
        try:
            deed(case, request.user.get_username())
        except LetheError as error:
            messages.error(request, str(error))
        else:
            enqueue(Job("advance", case.id))
            messages.success(request, said)
        return self._back(case)

    @staticmethod
    def _back(case: ErasureRequest) -> HttpResponse:
        return redirect(reverse("admin:erasure_erasurerequest_change", args=[case.pk]))


def _register(model: type[models.Model], display: list[str], filters: list[str]) -> None:
    attributes = {"list_display": display, "list_filter": filters}
    admin.site.register(model, type(f"{model.__name__}Admin", (ReadOnly,), attributes))


_register(Plan, ["digest", "request", "state", "made_at", "approved_by"], ["state"])
_register(Run, ["id", "state", "started_at", "finished_at"], ["state"])
_register(StoreRun, ["run", "store", "kind", "state", "residue", "error"], ["state", "kind"])
_register(ScanResult, ["request", "store", "collection", "field", "verdict", "count"], ["verdict"])
_register(ModelJob, ["dataset", "state", "people", "run"], ["state"])
_register(Notice, ["request", "store", "dataset", "made_at", "told_at"], ["store"])
_register(Certificate, ["id", "kind", "digest", "issued_at"], ["kind"])
_register(LedgerLeaf, ["index", "kind", "request", "created_at"], ["kind"])
admin.site.site_header = "Lethe"
admin.site.site_title = "Lethe"
admin.site.index_title = "Requests to be forgotten"
