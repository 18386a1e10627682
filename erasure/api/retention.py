"""Data past their date: the plans for them, and who approved which beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.advance import Job
from erasure.api import bodies
from erasure.api.door import actor
from erasure.api.pages import ByDay
from erasure.domain.states import EXPIRY
from erasure.flow import dispose, expire
from erasure.models import Expiry, RetentionLook, StandingApproval
from erasure.tasks import enqueue


class Dataset(serializers.Serializer[Any]):
    """An address of the catalogue."""

    dataset = serializers.CharField(max_length=255)


class Standing(bodies.Approval):
    """Exactly the plan that was looked at, and beforehand those like it with at most so many
    rows in a day; the reason stands in clear."""

    because = serializers.CharField(max_length=1000)
    most_rows = serializers.IntegerField(min_value=1, max_value=settings.LETHE_RETENTION_ROWS)


class Declined(bodies.Because):
    """Why the rows are left, and from which day on a plan may be made again."""

    because = serializers.CharField(max_length=1000)
    not_before = serializers.DateField(required=False)


class RetentionFilter(serializers.Serializer[Any]):
    """What a list of plans is narrowed to."""

    state = serializers.ChoiceField(choices=list(EXPIRY), required=False)
    dataset = serializers.CharField(max_length=255, required=False)


class ExpiryShape(serializers.ModelSerializer[Expiry]):
    """A plan for data past their date; no key of a row."""

    steps = serializers.SerializerMethodField()
    standing = serializers.UUIDField(source="standing_id", allow_null=True, read_only=True)

    class Meta:
        model = Expiry
        fields: ClassVar[list[str]] = [
            "id", "state", "dataset", "store", "rule", "basis", "rows", "since", "digest", "steps",
            "left", "limits", "findings", "accepted", "made_by", "made_at", "approved_by",
            "approved_at", "standing", "blocked_because", "because", "not_before", "closed_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_steps(self, plan: Expiry) -> list[dict[str, Any]]:
        """What is done where, and what it came to."""
        names = ("dataset", "store", "action", "counted", "ceiling", "rows", "left", "residue")
        return [{name: step.get(name) for name in names} for step in plan.steps]


class StandingShape(serializers.ModelSerializer[StandingApproval]):
    """An approval beforehand."""

    class Meta:
        model = StandingApproval
        fields: ClassVar[list[str]] = [
            "id", "dataset", "most_rows", "because", "approved_by", "approved_at", "revoked_by",
            "revoked_at",
        ]  # fmt: skip
        read_only_fields = fields


class LookShape(serializers.ModelSerializer[RetentionLook]):
    """A dataset with a retention: when it was looked at, what stays, why it was not told."""

    class Meta:
        model = RetentionLook
        fields: ClassVar[list[str]] = ["dataset", "on", "left", "more", "error"]
        read_only_fields = fields


class Expiries(ListAPIView[Expiry]):
    """Plans for data past their date, the newest first."""

    serializer_class = ExpiryShape
    pagination_class = ByDay.of("-made_at")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "plan"}

    def get_queryset(self) -> QuerySet[Expiry]:
        """Narrowed by the query."""
        wanted = RetentionFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        return Expiry.objects.filter(**wanted.validated_data)

    @extend_schema(operation_id="retention_list", parameters=[RetentionFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List plans for data past their date."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="retention_plan", request=Dataset, responses={200: ExpiryShape(many=True)}
    )
    def post(self, request: Request) -> Response:
        """Look at a dataset now, and plan what is over; an empty list where nothing may go."""
        body = Dataset(data=request.data)
        body.is_valid(raise_exception=True)
        made = expire.plan_expired(body.validated_data["dataset"], by=actor(request))
        return Response(ExpiryShape([made] if made else [], many=True).data)


class OneExpiry(APIView):
    """One plan."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases"}

    @extend_schema(operation_id="retention_read", responses=ExpiryShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Look at a plan for data past their date."""
        return Response(ExpiryShape(get_object_or_404(Expiry, pk=pk)).data)


class Looks(ListAPIView[RetentionLook]):
    """Datasets with a retention, by name."""

    queryset = RetentionLook.objects.all()
    serializer_class = LookShape
    pagination_class = ByDay.of("dataset")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_catalogue"}


class Standings(ListAPIView[StandingApproval]):
    """Approvals beforehand, the newest first."""

    queryset = StandingApproval.objects.all()
    serializer_class = StandingShape
    pagination_class = ByDay.of("-approved_at")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases"}


class Revoke(APIView):
    """An approval beforehand is taken back."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "decline"}

    @extend_schema(operation_id="retention_revoke", request=bodies.Nothing, responses=StandingShape)
    def post(self, request: Request, pk: UUID) -> Response:
        """Revoke a standing approval: an officer approves each plan again."""
        standing = get_object_or_404(StandingApproval, pk=pk)
        return Response(StandingShape(dispose.revoke_standing(standing, by=actor(request))).data)


def _deed(
    name: str,
    role: str,
    body: type[serializers.Serializer[Any]],
    does: Callable[..., object],
    words: str,
) -> type[APIView]:
    @extend_schema(
        operation_id=f"retention_{name}", description=words, request=body, responses=ExpiryShape
    )
    def post(self: APIView, request: Request, pk: UUID) -> Response:
        given = body(data=request.data)
        given.is_valid(raise_exception=True)
        plan = get_object_or_404(Expiry, pk=pk)
        does(plan, by=actor(request), **given.validated_data)
        if plan.state in ("approved", "executing"):
            enqueue(Job("expire", plan.id))
        return Response(ExpiryShape(plan).data)

    attributes = {"post": post, "deeds": {"POST": role}, "__doc__": words}
    return type(f"Retention{name.title()}", (APIView,), attributes)


DEEDS: Mapping[str, type[APIView]] = {
    "approve": _deed(
        "approve", "approve", bodies.Approval, dispose.approve_expired,
        "Approve exactly the plan of that digest; its rows go next.",
    ),
    "stand": _deed(
        "stand", "stand", Standing, dispose.approve_standing,
        "Approve it, and beforehand those like it.",
    ),
    "decline": _deed(
        "decline", "decline", Declined, dispose.decline_expired,
        "Leave these rows until a day.",
    ),
    "retry": _deed(
        "retry", "retry", bodies.Nothing, dispose.retry_expired, "Go on with a blocked plan."
    ),
}  # fmt: skip
