"""After care: complaints, closed requests found again, who looked at what, who was trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erasure.api import bodies, shapes
from erasure.api.door import actor
from erasure.api.pages import ByDay
from erasure.domain.clocks import LAWS
from erasure.domain.complaints import VERDICTS
from erasure.domain.letters import LANGUAGES
from erasure.domain.states import COMPLAINT
from erasure.flow import complain, letters, route, staff
from erasure.models import Complaint, ErasureRequest, LedgerLeaf, Letter, StaffTraining
from erasure.runs import accesses, clock
from erasure.runs.letters import ABOUT


class NewComplaint(bodies.Because):
    """A complaint; its words are sealed. ``law``: the request's, unless told."""

    request = serializers.UUIDField(required=False)
    law = serializers.ChoiceField(choices=LAWS, required=False)
    authority = serializers.CharField(max_length=100, default="", allow_blank=True)
    reference = serializers.CharField(max_length=100, default="", allow_blank=True)
    received_on = serializers.DateField(required=False)
    answer_by = serializers.DateField(required=False)


class Answer(bodies.Because):
    """What was answered, and what it comes to."""

    verdict = serializers.ChoiceField(choices=VERDICTS)


class ComplaintFilter(serializers.Serializer[Any]):
    """What a list of complaints is narrowed to."""

    state = serializers.ChoiceField(choices=list(COMPLAINT), required=False)
    request = serializers.UUIDField(required=False)


class ComplaintShape(serializers.ModelSerializer[Complaint]):
    """A complaint without its words. ``record_ended_at``: of its case; then its letters are its
    own, as those of a complaint about no case are."""

    record_ended_at = serializers.DateTimeField(
        source="request.record_ended_at", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = Complaint
        fields: ClassVar[list[str]] = [
            "id", "request", "state", "law", "authority", "reference", "received_at",
            "acknowledge_by", "acknowledged_at", "answer_by", "closed_at", "verdict", "opened_by",
            "record_ended_at",
        ]  # fmt: skip
        read_only_fields = fields


class GivenNow(serializers.Serializer[Any]):
    """What a person gives now; compared as keyed pseudonyms, and not kept."""

    identifiers = bodies.GivenIdentifier(many=True, allow_empty=False, max_length=50)  # type: ignore[call-arg]


class AccessShape(serializers.Serializer[Any]):
    """Who has looked at what names a person."""

    index = serializers.IntegerField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    what = serializers.CharField()
    request = serializers.CharField(allow_blank=True)
    more = serializers.CharField(allow_blank=True)

    def to_representation(self, instance: Any) -> Any:
        """Of a leaf of the ledger."""
        return super().to_representation(accesses.access_of(instance))


class TrainingShape(serializers.ModelSerializer[StaffTraining]):
    """Somebody of the house was trained."""

    who = serializers.CharField(max_length=150)
    topic = serializers.CharField(max_length=200)

    class Meta:
        model = StaffTraining
        fields: ClassVar[list[str]] = ["id", "who", "topic", "on", "next_due", "recorded_by"]
        read_only_fields = ("id", "recorded_by")
        validators: ClassVar[list[Any]] = []


class Complaints(ListAPIView[Complaint]):
    """Complaints, the newest first."""

    serializer_class = ComplaintShape
    pagination_class = ByDay
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "complain"}

    def get_queryset(self) -> QuerySet[Complaint]:
        """Narrowed by the query."""
        wanted = ComplaintFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        return Complaint.objects.select_related("request").filter(**wanted.validated_data)

    @extend_schema(operation_id="complaints_list", parameters=[ComplaintFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List complaints."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="complaints_open", request=NewComplaint, responses={201: ComplaintShape}
    )
    def post(self, request: Request) -> Response:
        """Record a complaint; its clock starts."""
        body = NewComplaint(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        if pk := given.pop("request", None):
            given["request"] = get_object_or_404(ErasureRequest, pk=pk)
        if day := given.pop("received_on", None):
            given["received_at"] = clock.start_of(day)
        return Response(
            ComplaintShape(complain.open_complaint(by=actor(request), **given)).data, status=201
        )


class OneComplaint(APIView):
    """One complaint."""

    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases"}

    @extend_schema(operation_id="complaints_read", responses=ComplaintShape)
    def get(self, request: Request, pk: UUID) -> Response:
        """Look at a complaint, not at its words."""
        return Response(ComplaintShape(get_object_or_404(Complaint, pk=pk)).data)


class ComplaintText(serializers.Serializer[Any]):
    """Which letter about a complaint, and what its blocks say."""

    code = serializers.ChoiceField(choices=list(ABOUT))
    language = serializers.ChoiceField(choices=LANGUAGES, default="en")
    blocks = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=10_000), default=dict
    )


class WrittenShape(serializers.Serializer[Any]):
    """A letter as it would be sent."""

    subject = serializers.CharField()
    body = serializers.CharField()


class ComplaintLetter(APIView):
    """The letter about a complaint that has letters of its own."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "write_letter"}

    @extend_schema(operation_id="complaints_letter", request=ComplaintText, responses=WrittenShape)
    def post(self, request: Request, pk: UUID) -> Response:
        """See the letter about a complaint of no case, or of one whose record has ended; on record,
        and nothing is kept."""
        body = ComplaintText(data=request.data)
        body.is_valid(raise_exception=True)
        complaint = get_object_or_404(Complaint, pk=pk)
        written = complain.write_letter(complaint, by=actor(request), **body.validated_data)
        return Response(WrittenShape(written).data)


class NewComplaintLetter(ComplaintText):
    """A letter to be kept as a draft. ``to``: one mailbox, empty for a letter by hand, left out for
    where the last letter about the complaint went."""

    to = serializers.CharField(required=False, allow_blank=True, max_length=320, write_only=True)


class ComplaintLetters(ListAPIView[Letter]):
    """The letters that are a complaint's own."""

    serializer_class = shapes.LetterShape
    pagination_class = ByDay.of("-made_at")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_cases", "POST": "write_letter"}

    def get_queryset(self) -> QuerySet[Letter]:
        """Those of one complaint."""
        if "pk" not in self.kwargs:  # the schema is drawn
            return Letter.objects.none()
        return get_object_or_404(Complaint, pk=self.kwargs["pk"]).letters.all()

    @extend_schema(operation_id="complaints_letters")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The letters about a complaint of no case, or of one whose record has ended: what became
        of them, not what they say."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="complaints_letters_write",
        request=NewComplaintLetter,
        responses={201: shapes.LetterShape},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Write the letter about a complaint of no case, or of one whose record has ended, and send
        nothing: it waits as a draft."""
        body = NewComplaintLetter(data=request.data)
        body.is_valid(raise_exception=True)
        given = {"to": None, **body.validated_data}
        complaint = get_object_or_404(Complaint, pk=pk)
        letter = letters.draft_about(complaint, by=actor(request), **given)
        return Response(shapes.LetterShape(letter).data, status=201)


def _deed(
    name: str, body: type[serializers.Serializer[Any]], does: Callable[..., Complaint], words: str
) -> type[APIView]:
    @extend_schema(
        operation_id=f"complaints_{name}",
        description=words,
        request=body,
        responses=ComplaintShape,
    )
    def post(self: APIView, request: Request, pk: UUID) -> Response:
        given = body(data=request.data)
        given.is_valid(raise_exception=True)
        complaint = get_object_or_404(Complaint, pk=pk)
        done = does(complaint, by=actor(request), **given.validated_data)
        return Response(ComplaintShape(done).data)

    attributes = {"post": post, "deeds": {"POST": "complain"}, "__doc__": words}
    return type(f"Complaint{name.title()}", (APIView,), attributes)


DEEDS: Mapping[str, type[APIView]] = {
    "acknowledge": _deed(
        "acknowledge", bodies.Nothing, complain.acknowledge_complaint,
        "Record that its receipt was confirmed.",
    ),
    "answer": _deed(
        "answer", Answer, complain.answer_complaint, "Record the answer and what it comes to."
    ),
    "withdraw": _deed(
        "withdraw", bodies.Nothing, complain.withdraw_complaint,
        "Whoever complained no longer does.",
    ),
}  # fmt: skip


class Find(APIView):
    """Requests found again."""

    deeds: ClassVar[Mapping[str, str]] = {"POST": "route"}

    @extend_schema(
        operation_id="requests_find", request=GivenNow, responses=shapes.CaseShape(many=True)
    )
    def post(self, request: Request) -> Response:
        """Requests, open or closed, that know one of these identifiers; the look is on record."""
        body = GivenNow(data=request.data)
        body.is_valid(raise_exception=True)
        pairs = [(one["kind"], one["value"]) for one in body.validated_data["identifiers"]]
        found = route.find_cases(pairs, by=actor(request))
        return Response(shapes.CaseShape(found, many=True).data)


class Accesses(ListAPIView[LedgerLeaf]):
    """Who has looked at identifiers, reasons, letters and complaints, the newest first."""

    queryset = LedgerLeaf.objects.none()
    serializer_class = AccessShape
    pagination_class = type("ByIndex", (ByDay,), {"ordering": "-index"})
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_accesses"}

    def get_queryset(self) -> QuerySet[LedgerLeaf]:
        """Every look."""
        return accesses.leaves()


class Training(ListAPIView[StaffTraining]):
    """The training log, the newest first."""

    queryset = StaffTraining.objects.all()
    serializer_class = TrainingShape
    pagination_class = ByDay.of("-on")
    deeds: ClassVar[Mapping[str, str]] = {"GET": "see_training", "POST": "record_training"}

    @extend_schema(
        operation_id="training_record", request=TrainingShape, responses={201: TrainingShape}
    )
    def post(self, request: Request) -> Response:
        """Record that somebody was trained."""
        body = TrainingShape(data=request.data)
        body.is_valid(raise_exception=True)
        entry = staff.record_training(by=actor(request), **body.validated_data)
        return Response(TrainingShape(entry).data, status=201)
