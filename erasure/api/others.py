"""Plans, steps, letters, exceptions, holds, the catalogue, models and backups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, Max, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.api.pages import ByDay, ByPlace
from erasure.domain.errors import UsageError
from erasure.domain.states import WAITING
from erasure.flow import disclose, exempt
from erasure.flow import hold as holds
from erasure.models import ErasureRequest, Hold, KeptDataset, ModelJob, Plan, PlanStep
from erasure.runs import figures
from lineage import selectors
from lineage.errors import CatalogueError

_CASES: Mapping[str, str] = {"GET": "see_cases"}
_CATALOGUE: Mapping[str, str] = {"GET": "see_catalogue"}


class OfCase(ListAPIView[Any]):
    """What belongs to one request. Raises Http404 for a request that is not there."""

    deeds: ClassVar[Mapping[str, str]] = _CASES
    queryset: QuerySet[Any]

    def get_queryset(self) -> QuerySet[Any]:
        """Of that request."""
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        case = get_object_or_404(ErasureRequest, pk=self.kwargs["pk"])
        return self.queryset.filter(request=case)


class Plans(OfCase):
    """The plans of a request, the newest first."""

    queryset = Plan.objects.all()
    serializer_class = shapes.PlanShape
    pagination_class = ByDay.of("-made_at")


class Steps(OfCase):
    """The steps of the plan that stands, in order."""

    queryset = PlanStep.objects.all()
    serializer_class = shapes.StepShape
    pagination_class = ByDay.of("ordinal")

    def get_queryset(self) -> QuerySet[PlanStep]:
        """Of the plan that was not overtaken."""
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        case = get_object_or_404(ErasureRequest, pk=self.kwargs["pk"])
        plans = case.plans.exclude(state="stale").order_by("-made_at")
        return self.queryset.filter(plan__in=plans[:1])


class Exceptions(OfCase):
    """The exceptions of a request."""

    queryset = KeptDataset.objects.all()
    serializer_class = shapes.ExceptionShape
    pagination_class = ByDay.of("-decided_at")


class Lift(APIView):
    """An exception is taken back."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "except"}

    @extend_schema(
        operation_id="exceptions_lift", request=bodies.Nothing, responses=shapes.ExceptionShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Lift an exception; the plan is made anew."""
        kept = get_object_or_404(KeptDataset.objects.select_related("request"), pk=pk)
        return Response(shapes.ExceptionShape(exempt.lift_exception(kept, by=actor(request))).data)


class Holds(ListAPIView[Hold]):
    """Legal holds, the newest first."""

    queryset = Hold.objects.all()
    serializer_class = shapes.HoldShape
    pagination_class = ByDay.of("-placed_at")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "hold"}

    @extend_schema(
        operation_id="holds_place", request=bodies.NewHold, responses={201: shapes.HoldShape}
    )
    def post(self, request: Request) -> Response:
        """Place a hold."""
        body = bodies.NewHold(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        given["person"] = [(one["kind"], one["value"]) for one in given.get("person", ())]
        if pk := given.pop("request", None):
            given["request"] = get_object_or_404(ErasureRequest, pk=pk)
        placed = holds.place_hold(by=actor(request), **given)
        return Response(shapes.HoldShape(placed).data, status=201)


class OneHold(APIView):
    """One hold."""

    deeds: ClassVar[Mapping[str, str]] = _CASES

    @extend_schema(operation_id="holds_read", responses=shapes.HoldShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Look at a hold."""
        return Response(shapes.HoldShape(get_object_or_404(Hold, pk=pk)).data)


class HoldReasons(APIView):
    """Why a hold was placed and released."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_reasons"}

    @extend_schema(operation_id="holds_reasons", responses=shapes.HoldReasonsShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Read why a hold was placed and released; who has read it is on record."""
        hold = get_object_or_404(Hold, pk=pk)
        because, released = disclose.read_hold(hold, by=actor(request))
        shown = {"because": because, "released_because": released}
        return Response(shapes.HoldReasonsShape(shown).data)


class Release(APIView):
    """A hold is released."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "hold"}

    @extend_schema(operation_id="holds_release", request=bodies.Because, responses=shapes.HoldShape)
    def post(self, request: Request, pk: UUID) -> Response:
        """Release a hold; what stood still goes on by itself."""
        body = bodies.Because(data=request.data)
        body.is_valid(raise_exception=True)
        released = holds.release_hold(
            get_object_or_404(Hold, pk=pk), by=actor(request), **body.validated_data
        )
        return Response(shapes.HoldShape(released).data)


class ReleaseMatter(APIView):
    """A matter is over."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "hold"}

    @extend_schema(
        operation_id="holds_release_matter",
        request=bodies.OfMatter,
        responses={200: shapes.HoldShape(many=True)},
    )
    def post(self, request: Request) -> Response:
        """Release every hold of a matter; the list of them."""
        body = bodies.OfMatter(data=request.data)
        body.is_valid(raise_exception=True)
        released = holds.release_matter(by=actor(request), **body.validated_data)
        return Response(shapes.HoldShape(released, many=True).data)


class Stores(APIView):
    """The stores of the catalogue."""

    deeds: ClassVar[Mapping[str, str]] = _CATALOGUE

    @extend_schema(operation_id="stores_list", responses=shapes.StoreShape(many=True))
    def get(self, request: Request) -> Response:
        """List stores."""
        return Response(shapes.StoreShape(selectors.stores(), many=True).data)


class Datasets(APIView):
    """The datasets of the catalogue."""

    deeds: ClassVar[Mapping[str, str]] = _CATALOGUE

    @extend_schema(operation_id="datasets_list", responses=shapes.DatasetShape(many=True))
    def get(self, request: Request) -> Response:
        """List datasets."""
        found = selectors.datasets().values()
        return Response(shapes.DatasetShape(found, many=True).data)


class Dataset(APIView):
    """One dataset of the catalogue."""

    deeds: ClassVar[Mapping[str, str]] = _CATALOGUE

    @extend_schema(
        operation_id="datasets_read",
        parameters=[OpenApiParameter("address", OpenApiTypes.STR, OpenApiParameter.PATH)],
        responses=shapes.DatasetShape,
    )
    def get(self, request: Request, address: str) -> Response:
        """Look at a dataset."""
        try:
            found = selectors.dataset(address)
        except (CatalogueError, ValueError):  # PostgreSQL refuses NUL in a text
            raise NotFound from None
        return Response(shapes.DatasetShape(found).data)


class Models(ListAPIView[ModelJob]):
    """Models that have to forget people, or have."""

    queryset = ModelJob.objects.all()
    serializer_class = shapes.ModelJobShape
    pagination_class = ByPlace.of("dataset")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_models"}


class Backups(APIView):
    """Backups that still hold people who were erased, and until when."""

    deeds: ClassVar[Mapping[str, str]] = _CASES

    @extend_schema(operation_id="backups_list", responses=shapes.BackupShape(many=True))
    def get(self, request: Request) -> Response:
        """List sets of backups."""
        waiting = PlanStep.objects.filter(
            action="expire", rows__gt=0, plan__state="carried_out", plan__request__state__in=WAITING
        )
        sets = waiting.exclude(residue="clean").values("dataset", "store").order_by("dataset")
        counted = sets.annotate(
            people=Count("plan__request", distinct=True), last_copy_until=Max("until")
        )
        return Response(shapes.BackupShape(counted, many=True).data)


class Figures(APIView):
    """Statistics over a span of receipt."""

    deeds: ClassVar[Mapping[str, str]] = _CASES

    @extend_schema(
        operation_id="statistics_read",
        parameters=[bodies.Span],
        responses=shapes.FiguresShape,
    )
    def get(self, request: Request) -> Response:
        """What an authority asks for: counts, days, shares."""
        span = bodies.Span(data=request.query_params)
        span.is_valid(raise_exception=True)
        since, until = span.validated_data["since"], span.validated_data["until"]
        if not date(1970, 1, 2) <= since <= until <= date(9998, 12, 30):
            raise UsageError("since: lies after until, or too far away")
        found = figures.figures(_begins(since), _begins(until + timedelta(days=1)))
        return Response(shapes.FiguresShape(found).data)


def _begins(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())
