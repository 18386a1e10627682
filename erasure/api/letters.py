"""Letters: looked at before and after, written, sent; and the recipients whom they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure import calling
from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.api.others import OfCase
from erasure.api.pages import ByDay
from erasure.domain.errors import Denied
from erasure.flow import disclose, notify, webhook
from erasure.flow import letters as flow
from erasure.models import ErasureRequest, Letter, Notice
from erasure.runs import letters

_LONGEST = 65536


class Letters(OfCase):
    """The letters of a request: what became of them, not what they say."""

    queryset = Letter.objects.all()
    serializer_class = shapes.LetterShape
    pagination_class = ByDay.of("-made_at")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "write_letter"}

    @extend_schema(
        operation_id="letters_write",
        request=bodies.NewLetter,
        responses={201: shapes.LetterShape},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Write a letter, and send nothing: it waits as a draft."""
        case, given = _given(pk, bodies.NewLetter(data=request.data))
        to = given.pop("to", None)
        letter = flow.draft_letter(case, **given, to=to, by=actor(request))
        return Response(shapes.LetterShape(letter).data, status=201)


def _given(pk: UUID, body: Any) -> tuple[ErasureRequest, dict[str, Any]]:
    """The case, and what a letter of it is to say."""
    case = get_object_or_404(ErasureRequest, pk=pk)
    body.is_valid(raise_exception=True)
    given = dict(body.validated_data)
    given["language"] = given.get("language") or letters.language_of(case)
    number = given.pop("notice", None)
    found = Notice.objects.filter(request=case)
    given["notice"] = get_object_or_404(found, pk=number) if number is not None else None
    return case, given


class Preview(APIView):
    """A letter before it is written."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "write_letter"}

    @extend_schema(
        operation_id="letters_preview",
        request=bodies.LetterText,
        responses=shapes.PreviewShape,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """See a letter with the case's own data, and which blocks it still needs; on record."""
        case, given = _given(pk, bodies.LetterText(data=request.data))
        written = flow.preview_letter(case, **given, by=actor(request))
        return Response(shapes.PreviewShape(written).data)


def _letter(pk: UUID) -> Letter:
    return get_object_or_404(Letter.objects.select_related("request", "complaint"), pk=pk)


class Send(APIView):
    """A draft goes out."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "send_letter"}

    @extend_schema(
        operation_id="letters_send", request=bodies.Nothing, responses=shapes.LetterShape
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Hand it to the mail server; the state says what became of it."""
        return Response(shapes.LetterShape(flow.send_letter(_letter(pk), by=actor(request))).data)


class ByHand(APIView):
    """A draft has gone out otherwise."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "send_letter"}

    @extend_schema(operation_id="letters_by_hand", request=bodies.On, responses=shapes.LetterShape)
    def post(self, request: Request, pk: UUID) -> Response:
        """Record that it was sent by hand."""
        body = bodies.On(data=request.data)
        body.is_valid(raise_exception=True)
        sent = flow.mark_sent_by_hand(_letter(pk), by=actor(request), **body.validated_data)
        return Response(shapes.LetterShape(sent).data)


class Text(APIView):
    """What a letter says."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_letters"}

    @extend_schema(operation_id="letters_text", responses=shapes.TextShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Read a letter; who has read it is on record. Where it went is not shown."""
        letter = _letter(pk)
        _, text = disclose.read_letter(letter, by=actor(request))
        return Response(shapes.TextShape({"subject": letter.subject, "body": text}).data)


class Notices(OfCase):
    """The recipients to be told of a request."""

    queryset = Notice.objects.prefetch_related("calls")
    serializer_class = shapes.NoticeShape
    pagination_class = ByDay.of("-made_at")


class Told(APIView):
    """A recipient was told."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "tell"}

    @extend_schema(
        operation_id="notices_told", request=bodies.Nothing, responses=shapes.NoticeShape
    )
    def post(self, request: Request, pk: int) -> Response:
        """Record that the recipient was told."""
        found = notify.confirm_told(get_object_or_404(Notice, pk=pk), by=actor(request))
        return Response(shapes.NoticeShape(found).data)


class Answered(APIView):
    """A recipient has answered."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "tell"}

    @extend_schema(operation_id="notices_answered", request=bodies.On, responses=shapes.NoticeShape)
    def post(self, request: Request, pk: int) -> Response:
        """Record the recipient's acknowledgment."""
        body = bodies.On(data=request.data)
        body.is_valid(raise_exception=True)
        notice = get_object_or_404(Notice, pk=pk)
        found = notify.confirm_answer(notice, by=actor(request), **body.validated_data)
        return Response(shapes.NoticeShape(found).data)


class Acknowledged(APIView):
    """Where a recipient acknowledges what its webhook was told: no token, but the signature that
    our own messages have, by the secret of both sides."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def post(self, request: Request, notice: UUID) -> Response:
        """204, or 403 whatever is wrong."""
        signed = {n: request.headers.get(n, "") for n in (calling.TIMESTAMP, calling.SIGNATURE)}
        if not webhook.acknowledge(str(notice), request.body[:_LONGEST], signed):
            raise Denied("acknowledgment: is not signed with the secret of both sides, or too old")
        return Response(status=204)
