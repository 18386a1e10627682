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
from erasure.flow import overrule, promote, signal, training
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


class Overrule(APIView):
    """A version is decided on otherwise."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "overrule"}

    @extend_schema(
        operation_id="models_overrule", request=bodies.Overruling, responses=shapes.ModelJobShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Decide otherwise for a version, or for all; it counts when the job begins."""
        body = bodies.Overruling(data=request.data)
        body.is_valid(raise_exception=True)
        job = get_object_or_404(ModelJob, pk=pk)
        done = overrule.overrule(job, by=actor(request), **body.validated_data)
        return Response(shapes.ModelJobShape(done).data)


class Begin(APIView):
    """A job does not wait for its timetable."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "train"}

    @extend_schema(
        operation_id="models_begin", request=bodies.Nothing, responses=shapes.ModelJobShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Begin a job now, whatever the timetable."""
        job = training.begin_now(get_object_or_404(ModelJob, pk=pk), by=actor(request))
        enqueue(Job("train", job.id))
        return Response(shapes.ModelJobShape(job).data)


class Cancel(APIView):
    """A job is not carried out."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "train"}

    @extend_schema(
        operation_id="models_cancel", request=bodies.Because, responses=shapes.ModelJobShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel a job; whoever waits for it is blocked, with the reason."""
        body = bodies.Because(data=request.data)
        body.is_valid(raise_exception=True)
        job = get_object_or_404(ModelJob, pk=pk)
        done = training.cancel(job, by=actor(request), **body.validated_data)
        enqueue(Job("train", job.id))
        return Response(shapes.ModelJobShape(done).data)


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
