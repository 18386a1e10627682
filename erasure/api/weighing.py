"""What was weighed: how far a ground is met, and the reasons on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.api.door import actor
from erasure.flow import disclose, weigh
from erasure.models import ErasureRequest


class MetShape(serializers.Serializer[Any]):
    """Whether the ground is met in one dataset of the plan that stands, and why."""

    dataset = serializers.CharField()
    finding = serializers.CharField()
    why = serializers.CharField()


class ReasonShape(serializers.Serializer[Any]):
    """A reason that was given: for what, by whom, when, and its words."""

    about = serializers.CharField()
    by = serializers.CharField()
    at = serializers.DateTimeField()
    place = serializers.CharField()
    verdict = serializers.CharField()
    because = serializers.CharField()


class Met(APIView):
    """How far the ground is met on which the person asks."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases"}

    @extend_schema(operation_id="requests_ground_met", responses=MetShape(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """How far the stated ground is met, dataset by dataset of the plan that stands."""
        found = weigh.findings(get_object_or_404(ErasureRequest, pk=pk))
        return Response(MetShape(found, many=True).data)


class Reasons(APIView):
    """The reasons on record."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_reasons"}

    @extend_schema(operation_id="requests_reasons", responses=ReasonShape(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """Read the reasons of a request, the oldest first; who has read them is on record."""
        case = get_object_or_404(ErasureRequest, pk=pk)
        read = disclose.read_reasons(case, by=actor(request))
        told = [{**vars(given), "because": because} for given, because in read]
        return Response(ReasonShape(told, many=True).data)
