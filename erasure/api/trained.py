"""Model jobs for the pipelines of a model's owner: the evidence of a proposed version, and the
answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.advance import Job
from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.flow import promote, signal
from erasure.models import ModelJob
from erasure.tasks import enqueue


class OneModel(APIView):
    """One job, with its evidence."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_models"}

    @extend_schema(operation_id="models_read", responses=shapes.ModelEvidenceShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """What was decided for each version, and what came of it; nobody is named."""
        return Response(shapes.ModelEvidenceShape(get_object_or_404(ModelJob, pk=pk)).data)


class Accept(APIView):
    """A proposed version is promoted."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "promote"}

    @extend_schema(
        operation_id="models_accept", request=bodies.Nothing, responses=shapes.ModelJobShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Promote the version that waits for an answer."""
        job = promote.accept(get_object_or_404(ModelJob, pk=pk), by=actor(request))
        enqueue(Job("train", job.id))
        return Response(shapes.ModelJobShape(job).data)


class Signal(APIView):
    """A model's monitoring, or its data pipeline, tells what it sees."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "train"}

    @extend_schema(
        operation_id="models_signal",
        request=bodies.Signal,
        responses=shapes.ModelJobShape(many=True),
    )
    def post(self, request: Request) -> Response:
        """Drift or new data: the job that begins now, none where nobody waits or it is not
        enough."""
        body = bodies.Signal(data=request.data)
        body.is_valid(raise_exception=True)
        job = signal.signal(**body.validated_data, by=actor(request))
        if job is not None:
            enqueue(Job("train", job.id))
        return Response(shapes.ModelJobShape([job] if job else [], many=True).data)


class Decline(APIView):
    """A new version is not wanted."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "promote"}

    @extend_schema(
        operation_id="models_decline", request=bodies.Because, responses=shapes.ModelJobShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Decline it; the old version is served, and whoever waits is blocked with the reason."""
        body = bodies.Because(data=request.data)
        body.is_valid(raise_exception=True)
        job = get_object_or_404(ModelJob, pk=pk)
        done = promote.decline(job, by=actor(request), **body.validated_data)
        enqueue(Job("train", job.id))
        return Response(shapes.ModelJobShape(done).data)
