"""What the API shows: no readable identifier is in any of it."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from erasure.models import (
    Call,
    ErasureRequest,
    Export,
    Hold,
    KeptDataset,
    Letter,
    ModelJob,
    Notice,
    Pause,
    Plan,
    PlanStep,
)
from erasure.runs import dues


class CaseShape(serializers.ModelSerializer[ErasureRequest]):
    """A request in a list."""

    class Meta:
        model = ErasureRequest
        fields: ClassVar[list[str]] = [
            "id", "state", "right", "law", "channel", "subject", "received_at", "due_at",
            "extended_at", "acknowledge_by", "acknowledged_at", "closed_at", "asked_by", "child",
            "opened_by",
            "ground", "refused_for", "blocked_because", "duplicate_of", "follows", "replay_of",
            "reopened_at", "reopened_for", "record_ended_at",
        ]  # fmt: skip
        read_only_fields = fields


class PauseShape(serializers.ModelSerializer[Pause]):
    """The controller waits for the person."""

    class Meta:
        model = Pause
        fields: ClassVar[list[str]] = ["why", "since", "until"]


class ExceptionShape(serializers.ModelSerializer[KeptDataset]):
    """A dataset of a case, or some fields of it, that is kept; the reasoning is sealed."""

    only_fields = serializers.ListField(
        child=serializers.CharField(), source="fields", read_only=True
    )

    class Meta:
        model = KeptDataset
        fields: ClassVar[list[str]] = [
            "id", "request", "dataset", "only_fields", "code", "legal_reference", "until",
            "decided_by", "decided_at", "lifted_by", "lifted_at",
        ]  # fmt: skip
        read_only_fields = fields


class IdentifierShape(serializers.Serializer[Any]):
    """Of what kind an identifier is, and what proved it; not which."""

    kind = serializers.CharField()
    proved_by = serializers.CharField(allow_blank=True)


class CaseDetailShape(CaseShape):
    """One request."""

    identifiers = IdentifierShape(many=True, read_only=True)
    pauses = PauseShape(many=True, read_only=True)
    exceptions = ExceptionShape(many=True, read_only=True)
    possible_duplicates = serializers.SerializerMethodField(
        help_text="open requests about the same right that share an identifier with this one"
    )

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_possible_duplicates(self, case: ErasureRequest) -> list[str]:
        """Those that somebody may link."""
        return [str(found) for found in dues.alike(case)[:20].values_list("pk", flat=True)]

    class Meta(CaseShape.Meta):
        fields: ClassVar[list[str]] = [
            *CaseShape.Meta.fields,
            "possible_duplicates",
            "identity_check",
            "mandate",
            "identifiers",
            "pauses",
            "exceptions",
        ]
        read_only_fields = fields


class PlanShape(serializers.ModelSerializer[Plan]):
    """A plan; its digest is what is approved."""

    class Meta:
        model = Plan
        fields: ClassVar[list[str]] = [
            "id", "request", "state", "digest", "catalogue_version", "warnings", "findings",
            "accepted", "undo_seconds", "made_at", "approved_by", "approved_at",
        ]  # fmt: skip
        read_only_fields = fields


class StepShape(serializers.ModelSerializer[PlanStep]):
    """A step of a plan, and what became of it."""

    class Meta:
        model = PlanStep
        fields: ClassVar[list[str]] = [
            "plan", "ordinal", "store", "store_kind", "dataset", "action", "via", "path", "reason",
            "counted", "rows", "residue", "until", "note", "on_hold",
        ]  # fmt: skip
        read_only_fields = fields


class HoldShape(serializers.ModelSerializer[Hold]):
    """A legal hold but for why it was placed and released, which is a look on record."""

    class Meta:
        model = Hold
        fields: ClassVar[list[str]] = [
            "id", "matter", "datasets", "of_people", "code", "legal_reference",
            "placed_by", "placed_at", "released_by", "released_at",
        ]  # fmt: skip
        read_only_fields = fields


class HoldReasonsShape(serializers.Serializer[Any]):
    """Why a hold was placed, and why it was released; empty as long as it was not."""

    because = serializers.CharField()
    released_because = serializers.CharField(allow_blank=True)


class LetterShape(serializers.ModelSerializer[Letter]):
    """What is known of a letter but its address and its text."""

    class Meta:
        model = Letter
        fields: ClassVar[list[str]] = [
            "id", "request", "complaint", "code", "version", "language", "state", "subject",
            "blocks", "sha256", "made_by", "made_at", "sent_by", "sent_at", "error",
        ]  # fmt: skip
        read_only_fields = fields


class PreviewShape(serializers.Serializer[Any]):
    """A letter as it would be sent. ``blocks``: what each block says; an empty one may be
    missing."""

    version = serializers.IntegerField()
    subject = serializers.CharField()
    body = serializers.CharField()
    blocks = serializers.DictField(child=serializers.CharField(allow_blank=True))


class TextShape(serializers.Serializer[Any]):
    """What a letter says."""

    subject = serializers.CharField()
    body = serializers.CharField()


class CallShape(serializers.ModelSerializer[Call]):
    """A message to a recipient's webhook; what it says is sealed, and goes once it was taken."""

    class Meta:
        model = Call
        fields: ClassVar[list[str]] = ["kind", "state", "sha256", "tries", "taken_at", "error"]
        read_only_fields = fields


class NoticeShape(serializers.ModelSerializer[Notice]):
    """A recipient to be told (Art. 19), by its dataset; ``calls``: by webhook, if it has one."""

    calls = CallShape(many=True, read_only=True)

    class Meta:
        model = Notice
        fields: ClassVar[list[str]] = [
            "id", "request", "store", "dataset", "told_at", "told_by", "reminded_at",
            "acknowledged_at", "acknowledged_by", "calls",
        ]  # fmt: skip
        read_only_fields = fields


class ExportShape(serializers.ModelSerializer[Export]):
    """A person's data, gathered for them; ``unread``: datasets that are not in it, and why."""

    passphrase_waits = serializers.SerializerMethodField()
    unread = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Export
        fields: ClassVar[list[str]] = [
            "id", "request", "state", "ordered_by", "ordered_at", "size", "rows", "unread",
            "passphrase_waits", "ready_at", "expires_at", "handed_by", "handed_at", "destroyed_at",
            "error",
        ]  # fmt: skip
        read_only_fields = fields

    def get_passphrase_waits(self, export: Export) -> bool:
        """Whether the passphrase can still be shown, once."""
        return export.sealed_passphrase is not None


class PassphraseShape(serializers.Serializer[Any]):
    """What opens an archive."""

    passphrase = serializers.CharField()


class ModelJobShape(serializers.ModelSerializer[ModelJob]):
    """A model that has to forget."""

    class Meta:
        model = ModelJob
        fields: ClassVar[list[str]] = ["id", "dataset", "store", "state", "people", "error"]
        read_only_fields = fields


class ModelEvidenceShape(ModelJobShape):
    """A model that has to forget, and what shows that it did."""

    class Meta(ModelJobShape.Meta):
        fields: ClassVar[list[str]] = [
            *ModelJobShape.Meta.fields, "decisions", "report", "accepted_by", "window_until",
            "filtered_until", "cost", "cost_forecast", "due_at", "due_why",
        ]  # fmt: skip
        read_only_fields = fields


def _counts() -> serializers.DictField:
    return serializers.DictField(child=serializers.IntegerField())


class FiguresShape(serializers.Serializer[Any]):
    """What an authority asks for; nobody is named."""

    received = serializers.IntegerField()
    by_month = _counts()
    by_right = _counts()
    by_law = _counts()
    by_channel = _counts()
    by_outcome = _counts()
    by_ground = _counts()
    by_refusal = _counts()
    by_exception = _counts()
    median_days = serializers.FloatField(allow_null=True)
    longest_days = serializers.FloatField(allow_null=True)
    share_extended = serializers.FloatField()
    share_identity_asked = serializers.FloatField()
    reopened = serializers.IntegerField()
    by_complaint = _counts()
    open = serializers.IntegerField()
    overdue = serializers.IntegerField()


class BackupShape(serializers.Serializer[Any]):
    """A set of backups that still holds people who were erased."""

    dataset = serializers.CharField()
    store = serializers.CharField()
    people = serializers.IntegerField()
    last_copy_until = serializers.DateField(allow_null=True)


class FieldShape(serializers.Serializer[Any]):
    """A field of a dataset."""

    name = serializers.CharField()
    categories = serializers.ListField(child=serializers.CharField())
    identity = serializers.CharField(allow_null=True)
    free_text = serializers.BooleanField()


class DatasetShape(serializers.Serializer[Any]):
    """A dataset of the catalogue."""

    address = serializers.CharField()
    store = serializers.CharField()
    action = serializers.CharField(allow_null=True)
    because = serializers.CharField()
    purpose = serializers.CharField()
    legal_basis = serializers.CharField()
    until = serializers.CharField(allow_null=True)
    exception = serializers.CharField(allow_null=True)
    legal_reference = serializers.CharField()
    fields_ = FieldShape(many=True, source="fields")


class StoreShape(serializers.Serializer[Any]):
    """A store of the catalogue; where it is reached stays inside."""

    name = serializers.CharField()
    kind = serializers.CharField()
    role = serializers.CharField()
