"""Plans, runs, scans, notices and evidence: lists to look something up in, nothing to change."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.admin.readonly import ReadOnly
from erasure.models import (
    Certificate,
    DateDue,
    LedgerLeaf,
    Letter,
    Notice,
    Plan,
    Run,
    ScanResult,
    StoreRun,
)


def _register(
    model: type[models.Model], display: list[str], filters: list[str], ordering: str = ""
) -> None:
    attributes: dict[str, object] = {"list_display": display, "list_filter": filters}
    if ordering:
        attributes["ordering"] = [ordering]
    admin.site.register(model, type(f"{model.__name__}Admin", (ReadOnly,), attributes))


_register(Plan, ["digest", "request", "state", "made_at", "approved_by"], ["state"])
_register(Run, ["id", "state", "started_at", "finished_at"], ["state"])
_register(StoreRun, ["run", "store", "kind", "state", "residue", "error"], ["state", "kind"])
_register(ScanResult, ["request", "store", "collection", "field", "verdict", "count"], ["verdict"])
_register(DateDue, ["dataset", "request", "on", "rows", "done_at", "error"], ["store"])
_register(Certificate, ["id", "kind", "digest", "issued_at"], ["kind"], "-issued_at")
_register(LedgerLeaf, ["index", "kind", "request", "created_at"], ["kind"], "-index")


class OfCase(ReadOnly):
    """What is looked at and changed on the page of its case."""

    list_display_links = None

    @admin.display(description="case", ordering="request")
    def case(self, row: Notice | Letter) -> SafeString:
        """The way to the case, or to the complaint."""
        if row.request_id is None:
            assert isinstance(row, Letter)  # noqa: S101 - every notice has a case
            number = row.complaint_id
            address = reverse("admin:erasure_complaint_change", args=[number])
            return format_html('<a href="{}">complaint {}</a>', address, str(number)[:8])
        address = reverse("admin:erasure_erasurerequest_change", args=[row.request_id])
        return format_html('<a href="{}">{}</a>', address, str(row.request_id)[:8])


@admin.register(Notice)
class NoticeAdmin(OfCase):
    """Recipients to tell."""

    list_display = ("dataset", "case", "made_at", "told_at", "told_by", "acknowledged_at")
    list_filter = ("store", ("told_at", admin.EmptyFieldListFilter))


@admin.register(Letter)
class LetterAdmin(OfCase):
    """Letters: what became of them, never what they say."""

    list_display = ("code", "case", "language", "state", "made_at", "sent_at", "error")
    list_filter = ("state", "code")
