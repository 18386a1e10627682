"""Exports: listed, read, handed over, cancelled; the passphrase is shown once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar
from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.advance import Job
from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.api.others import OfCase
from erasure.api.pages import ByDay
from erasure.flow import export
from erasure.models import Export
from erasure.tasks import enqueue


class Exports(OfCase):
    """The exports of a request: what became of them, not what they hold."""

    queryset = Export.objects.all()
    serializer_class = shapes.ExportShape
    pagination_class = ByDay.of("-ordered_at")


def _found(pk: UUID) -> Export:
    return get_object_or_404(Export.objects.select_related("request"), pk=pk)


def export_view(name: str, does: Callable[..., object], words: str) -> type[APIView]:
    """The view of one deed on an export: POST, and the answer is the export as it is then."""

    @extend_schema(
        operation_id=f"exports_{name.replace('-', '_')}",
        description=words,
        request=bodies.Nothing,
        responses=shapes.ExportShape,
    )
    def post(self: APIView, request: Request, pk: UUID) -> Response:
        does(_found(pk), by=actor(request))
        found = _found(pk)
        enqueue(Job("gather", found.id))
        enqueue(Job("advance", found.request_id))
        return Response(shapes.ExportShape(found).data)

    attributes = {"post": post, "deeds": {"POST": "export"}, "__doc__": words}
    return type(f"Export{name.title().replace('-', '')}", (APIView,), attributes)


VIEWS: Mapping[str, type[APIView]] = {
    "cancel": export_view("cancel", export.cancel_export, "Destroy it; the erasure goes on."),
    "retry": export_view("retry", export.retry_export, "Gather again what was blocked."),
    "hand-over": export_view(
        "hand-over", export.hand_over, "Record that the person has it; the erasure goes on."
    ),
}


class Passphrase(APIView):
    """What opens the archive."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "see_export"}

    @extend_schema(
        operation_id="exports_passphrase",
        request=bodies.Nothing,
        responses=shapes.PassphraseShape,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Show the passphrase, this once; send it another way than the archive."""
        shown = {"passphrase": export.show_passphrase(_found(pk), by=actor(request))}
        return Response(shapes.PassphraseShape(shown).data, headers={"Cache-Control": "no-store"})


class _Either(BaseContentNegotiation):
    """Whatever is asked for: a problem is told as one."""

    def select_parser(self, request, parsers):  # type: ignore[no-untyped-def]
        """The first that fits."""
        return parsers[0]

    def select_renderer(self, request, renderers, format_suffix=None):  # type: ignore[no-untyped-def]
        """JSON, for problems."""
        return renderers[0], renderers[0].media_type


class Archive(APIView):
    """The encrypted archive."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_export"}
    content_negotiation_class = _Either

    @extend_schema(
        operation_id="exports_archive",
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Download the archive; who has taken it is on record."""
        found = _found(pk)
        pieces = export.read_export(found, by=actor(request))
        return StreamingHttpResponse(
            pieces,
            content_type="application/zip",
            headers={
                "Content-Disposition": f'attachment; filename="export-{str(pk)[:8]}.zip"',
                "Content-Length": str(found.size),
                "Cache-Control": "no-store",
            },
        )
