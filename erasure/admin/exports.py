"""The desk's part in exports: gathering a person's data first, and handing them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from erasure.admin import words
from erasure.admin.doing import Doing
from erasure.admin.roles import required
from erasure.advance import Job
from erasure.domain.errors import LetheError
from erasure.domain.identity import GATHERED
from erasure.domain.roles import Actor
from erasure.flow import export
from erasure.models import ErasureRequest, Export
from erasure.runs import exporting
from erasure.tasks import enqueue

_BADGES: Mapping[str, tuple[str, str]] = {
    "ordered": ("being gathered", "running"),
    "blocked": ("cannot be gathered", "stop"),
    "ready": ("to be handed over", "decide"),
    "handed_over": ("handed over", "done"),
    "destroyed": ("destroyed", "ended"),
}
_HANDED = {
    True: "Recorded: the person has their data. The erasure goes on.",
    False: "Recorded: the person has their data. The case is closed.",
}


def shown(case: ErasureRequest) -> dict[str, Any]:
    """What the page of a case says of its exports."""
    made = list(case.exports.all())
    live = any(one.state != "destroyed" for one in made)
    # Where a copy is all that is asked for, the first one is ordered by itself.
    asked = case.right == "erasure" or (case.right in GATHERED and bool(made))
    may = asked and case.state in exporting.BEFORE and not live
    return {
        "exports": [
            {
                "export": one,
                "words": _BADGES[one.state][0],
                "tone": _BADGES[one.state][1],
                "by": words.who(one.ordered_by),
            }
            for one in made
        ],
        "may_order_export": may,
        "copy_only": case.right in GATHERED,
    }


class Exports(Doing):
    """The addresses of exports, for the admin of requests."""

    def export_urls(self) -> list[URLPattern]:
        """The deeds, each a POST of its own."""
        return [
            path(f"<uuid:pk>/{place}/", self.admin_site.admin_view(view), name=f"erasure_{name}")
            for place, name, view in (
                ("export", "export", self.order_export),
                ("exports/<uuid:export_id>/cancel", "export_cancel", self.cancel_export),
                ("exports/<uuid:export_id>/retry", "export_retry", self.retry_export),
                ("exports/<uuid:export_id>/hand-over", "export_hand_over", self.hand_over_export),
                ("exports/<uuid:export_id>/passphrase", "export_passphrase", self.show_passphrase),
                ("exports/<uuid:export_id>/archive", "export_archive", self.download_export),
            )
        ]

    def order_export(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Gather the person's data for them."""

        def order(case: ErasureRequest, by: Actor) -> None:
            enqueue(Job("gather", export.order_export(case, by=by).id))

        return self._deed(request, pk, order, "Ordered. It is gathered once there is a plan.")

    def cancel_export(self, request: HttpRequest, pk: UUID, export_id: UUID) -> HttpResponse:
        """Destroy it."""
        return self._deed(
            request,
            pk,
            lambda case, by: export.cancel_export(_found(case, export_id), by=by),
            "The export was destroyed.",
        )

    def retry_export(self, request: HttpRequest, pk: UUID, export_id: UUID) -> HttpResponse:
        """Gather again."""

        def retry(case: ErasureRequest, by: Actor) -> None:
            enqueue(Job("gather", export.retry_export(_found(case, export_id), by=by).id))

        return self._deed(request, pk, retry, "It is gathered again.")

    def hand_over_export(self, request: HttpRequest, pk: UUID, export_id: UUID) -> HttpResponse:
        """The person has it."""
        return self._deed(
            request,
            pk,
            lambda case, by: export.hand_over(_found(case, export_id), by=by),
            lambda case: _HANDED[case.right == "erasure"],
        )

    def show_passphrase(self, request: HttpRequest, pk: UUID, export_id: UUID) -> HttpResponse:
        """The passphrase, this once."""
        case, by = _asked(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            passphrase = export.show_passphrase(_found(case, export_id), by=by)
        except LetheError as error:
            messages.error(request, words.refused(error, pk))
            return redirect("admin:erasure_erasurerequest_change", pk)
        context = {
            **self.admin_site.each_context(request),
            "case": case,
            "passphrase": passphrase,
            "title": "Passphrase",
        }
        answer = TemplateResponse(request, "admin/erasure/erasurerequest/passphrase.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def download_export(self, request: HttpRequest, pk: UUID, export_id: UUID) -> HttpResponseBase:
        """The encrypted archive."""
        case, by = _asked(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        found = _found(case, export_id)
        try:
            pieces = export.read_export(found, by=by)
        except LetheError as error:
            messages.error(request, words.refused(error, pk))
            return redirect("admin:erasure_erasurerequest_change", pk)
        headers = {
            "Content-Disposition": f'attachment; filename="export-{str(export_id)[:8]}.zip"',
            "Content-Length": str(found.size),
            "Cache-Control": "no-store",
        }
        return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)


def _asked(request: HttpRequest, pk: UUID) -> tuple[ErasureRequest, Actor]:
    by = required(request, "see_export")
    if not by.may("see_cases"):
        raise PermissionDenied
    return get_object_or_404(ErasureRequest, pk=pk), by


def _found(case: ErasureRequest, export_id: UUID) -> Export:
    return get_object_or_404(case.exports.select_related("request"), pk=export_id)
