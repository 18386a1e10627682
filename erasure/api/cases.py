"""Requests: listed, opened, looked at; and every deed on one, each an address of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from erasure.advance import Job
from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.domain.roles import Actor
from erasure.flow import (
    charge,
    decide,
    exempt,
    export,
    extend,
    identify,
    intake,
    reopen,
    route,
    token,
    undo,
    weigh,
)
from erasure.models import ErasureRequest
from erasure.runs import dues
from erasure.tasks import enqueue

_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Repeating a call with the same key within a day opens no second request.",
)


def found(pk: UUID) -> ErasureRequest:
    """The request, with everything that is shown of it. Raises Http404."""
    whole = ErasureRequest.objects.prefetch_related("identifiers", "pauses", "exceptions")
    return get_object_or_404(whole, pk=pk)


def shown(pk: UUID, status: int = 200) -> Response:
    """The request as it is now."""
    return Response(shapes.CaseDetailShape(found(pk)).data, status=status)


class Cases(ListAPIView[ErasureRequest]):
    """Requests, the newest first."""

    serializer_class = shapes.CaseShape
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "open"}

    def get_queryset(self) -> QuerySet[ErasureRequest]:
        """Narrowed by the query."""
        wanted = bodies.CaseFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        return _narrowed(ErasureRequest.objects.all(), wanted.validated_data, timezone.now())

    @extend_schema(operation_id="requests_list", parameters=[bodies.CaseFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List requests."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="requests_open",
        request=bodies.NewCase,
        parameters=[_KEY],
        responses={200: shapes.CaseDetailShape, 201: shapes.CaseDetailShape},
    )
    def post(self, request: Request) -> Response:
        """Open a request: 201. The open request of the same person, or of the same call: 200."""
        body = bodies.NewCase(data=request.data)
        body.is_valid(raise_exception=True)
        by, given = actor(request), dict(body.validated_data)
        person = [(one["kind"], one["value"]) for one in given.pop("identifiers")]
        before = timezone.now()
        assert isinstance(request.user, User)  # noqa: S101 - a token is an account's
        case, again = token.once(
            request.user,
            request.headers.get("Idempotency-Key", ""),
            json.dumps(request.data, sort_keys=True, default=str),
            lambda: _opened(person, by=by, **given),
        )
        new = not again and case.opened_at >= before
        return shown(case.pk, 201 if new else 200)


def _opened(
    person: Sequence[tuple[str, str]], *, by: Actor, export_first: bool, **given: Any
) -> ErasureRequest:
    with transaction.atomic():
        case = intake.open_request(person, by=by, **given)
        if export_first and not case.exports.exclude(state="destroyed").exists():
            export.order_export(case, by=by)
    return case


def _narrowed(
    cases: QuerySet[ErasureRequest], wanted: Mapping[str, Any], now: datetime
) -> QuerySet[ErasureRequest]:
    plain = {name: wanted[name] for name in ("state", "law", "opened_by") if name in wanted}
    compared = {
        "due_before": "due_at__lt",
        "received_from": "received_at__gte",
        "received_before": "received_at__lt",
    }
    plain |= {lookup: wanted[name] for name, lookup in compared.items() if name in wanted}
    cases = cases.filter(**plain)
    return dues.overdue(cases, now) if wanted.get("overdue") else cases


class Case(APIView):
    """One request."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases"}

    @extend_schema(operation_id="requests_read", responses=shapes.CaseDetailShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Look at a request."""
        return shown(pk)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A deed on a request: its address, what it takes, and the function of the flow."""

    name: str
    body: type[Serializer[Any]]
    deed: str
    does: Callable[..., object]
    words: str


def _vouched(case: ErasureRequest, *, assertion: str, by: Actor) -> object:
    return identify.confirm_by_login(case, assertion)


def _duplicate(case: ErasureRequest, *, of: UUID, by: Actor) -> object:
    return route.link_duplicate(case, of=get_object_or_404(ErasureRequest, pk=of), by=by)


def _reopen(
    case: ErasureRequest, *, identifiers: list[dict[str, str]], by: Actor, **given: Any
) -> object:
    pairs = [(one["kind"], one["value"]) for one in identifiers]
    return reopen.reopen_case(case, identifiers=pairs, by=by, **given)


WAYS = (
    Way(name="acknowledge", body=bodies.Nothing, deed="acknowledge", does=intake.acknowledge,
        words="Record that the receipt was confirmed."),
    Way(name="ask-identity", body=bodies.Doubt, deed="identify", does=identify.ask_identity,
        words="Ask for proof of identity; the clock pauses where the law lets it."),
    Way(name="identify", body=bodies.Identified, deed="identify", does=identify.confirm_identity,
        words="Record how identity was checked. The plan is made next."),
    Way(name="vouch", body=bodies.Vouched, deed="identify", does=_vouched,
        words="The controller's own login vouches for the person, once."),
    Way(name="unidentifiable", body=bodies.Because, deed="identify",
        does=identify.give_up_identifying, words="Close: the person cannot be identified."),
    Way(name="plan", body=bodies.Nothing, deed="plan", does=decide.plan_again,
        words="Make the plan anew."),
    Way(name="approve", body=bodies.Approval, deed="approve", does=decide.approve_plan,
        words="Approve exactly the plan of that digest. The run begins next."),
    Way(name="refuse", body=bodies.Refusal, deed="refuse", does=decide.refuse_request,
        words="Refuse, with a reason that stands in clear."),
    Way(name="withdraw", body=bodies.Withdrawal, deed="withdraw", does=decide.withdraw_request,
        words="The person no longer wants it."),
    Way(name="extend", body=bodies.Because, deed="extend", does=extend.extend_deadline,
        words="Extend the time to answer, with the reasons that the person is told."),
    Way(name="retry", body=bodies.Nothing, deed="retry", does=decide.retry_blocked,
        words="Go on with a blocked case."),
    Way(name="undo", body=bodies.Undoing, deed="undo", does=undo.begin_undo,
        words="Undo an erasure while its window is open."),
    Way(name="waive-window", body=bodies.Nothing, deed="undo", does=undo.waive_window,
        words="Carry it out for good, without an undo window; the plan is made anew."),
    Way(name="ground", body=bodies.Ground, deed="weigh", does=weigh.state_ground,
        words="State the ground on which the person asks."),
    Way(name="balance", body=bodies.Balance, deed="weigh", does=weigh.record_balance,
        words="Record whose interests prevail in a dataset."),
    Way(name="advise", body=bodies.Advice, deed="advise", does=weigh.advise,
        words="Record the data protection officer's opinion on a plan."),
    Way(name="ask-fee", body=bodies.Because, deed="charge", does=charge.ask_fee,
        words="Ask for a fee; the clock pauses where the law lets it."),
    Way(name="fee-paid", body=bodies.Nothing, deed="charge", does=charge.fee_paid,
        words="The fee is there."),
    Way(name="export", body=bodies.Nothing, deed="export", does=export.order_export,
        words="Gather the person's data for them; the erasure waits until they have it."),
    Way(name="except", body=bodies.NewException, deed="except", does=exempt.add_exception,
        words="Keep a dataset of this request until a day."),
    Way(name="duplicate", body=bodies.Duplicate, deed="route", does=_duplicate,
        words="The same person asked twice: it goes on in the other case."),
    Way(name="reopen", body=bodies.Reopening, deed="reopen", does=_reopen,
        words="Take a closed request up again; identity is checked anew."),
    Way(name="forward", body=bodies.Forwarding, deed="route", does=route.forward_request,
        words="Handed on to whom it concerns."),
    Way(name="answer", body=bodies.Because, deed="route", does=route.answer_request,
        words="Answer what nothing here carries out, with what was done, as the person is told."),
)  # fmt: skip


def deed_view(way: Way) -> type[APIView]:
    """The view of one deed: POST, and the answer is the request as it is then."""

    @extend_schema(
        operation_id=f"requests_{way.name.replace('-', '_')}",
        description=way.words,
        request=way.body,
        responses=shapes.CaseDetailShape,
    )
    def post(self: APIView, request: Request, pk: UUID) -> Response:
        body = way.body(data=request.data)
        body.is_valid(raise_exception=True)
        return carried_out(way.does, found(pk), actor(request), body.validated_data)

    attributes = {"post": post, "deeds": {"POST": way.deed}, "__doc__": way.words}
    return type(f"Deed{way.name.title().replace('-', '')}", (APIView,), attributes)


class Mailbox(APIView):
    """Who asks has followed the link that was sent to their mailbox."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "identify"}

    @extend_schema(
        operation_id="mailbox_confirm",
        request=bodies.Followed,
        responses=shapes.CaseDetailShape,
    )
    def post(self, request: Request) -> Response:
        """Tell that a link was followed: its address is the person's. The request of it."""
        body = bodies.Followed(data=request.data)
        body.is_valid(raise_exception=True)
        case = identify.confirm_mailbox(body.validated_data["token"])
        enqueue(Job("advance", case.id))
        return shown(case.pk)


def carried_out(
    does: Callable[..., object], case: ErasureRequest, by: Actor, given: Mapping[str, Any]
) -> Response:
    """Do it, let the worker go on, and show the request."""
    done = does(case, by=by, **given)
    if isinstance(done, ErasureRequest):
        case = done  # a case may go on as another one
    enqueue(Job("advance", case.id))
    for wanted in case.exports.filter(state="ordered"):
        enqueue(Job("gather", wanted.id))
    return shown(case.pk)
