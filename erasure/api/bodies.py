"""What the API takes: one shape for each deed. What it means is checked by the flow."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from erasure.domain.clocks import LAWS
from erasure.domain.grounds import GROUNDS
from erasure.domain.identity import ASKERS, RIGHTS
from erasure.domain.keeping import REASONS
from erasure.domain.letters import KINDS, LANGUAGES
from erasure.domain.models import OVERRULING
from erasure.domain.queueing import SIGNALS
from erasure.domain.reopening import WHYS
from erasure.domain.states import REQUEST
from erasure.flow.decide import REFUSALS
from erasure.flow.weigh import ADVICE, BALANCES

CHANNELS = ("api", "phone", "post", "person", "email")
_WORDS = 10_000


class Nothing(serializers.Serializer[Any]):
    """No field is needed."""


class Because(serializers.Serializer[Any]):
    """A reason."""

    because = serializers.CharField(max_length=_WORDS)


class Signal(serializers.Serializer[Any]):
    """What is seen of a model: how much its answers drift, or how much of its data is new."""

    model = serializers.CharField(max_length=255)
    what = serializers.ChoiceField(choices=SIGNALS)
    figure = serializers.FloatField(min_value=0)


class GivenIdentifier(serializers.Serializer[Any]):
    """What a person is known by."""

    kind = serializers.CharField(max_length=100)
    value = serializers.CharField(max_length=1000, write_only=True)


class NewCase(serializers.Serializer[Any]):
    """A request as it came in."""

    identifiers = GivenIdentifier(many=True, allow_empty=False, max_length=50)  # type: ignore[call-arg]
    right = serializers.ChoiceField(choices=RIGHTS, default="erasure")
    law = serializers.ChoiceField(choices=LAWS, default="gdpr")
    channel = serializers.ChoiceField(choices=CHANNELS, default="api")
    received_at = serializers.DateTimeField(required=False)
    asked_by = serializers.ChoiceField(choices=ASKERS, default="self")
    child = serializers.BooleanField(default=False)
    export_first = serializers.BooleanField(
        default=False, help_text="gather the person's data for them before they are erased"
    )


class Doubt(serializers.Serializer[Any]):
    """Why proof of identity is asked for."""

    doubt = serializers.CharField(max_length=_WORDS)


class Identified(serializers.Serializer[Any]):
    """How identity was checked. ``proves``: kinds; all unless told."""

    method = serializers.CharField(max_length=200)
    proves = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=50
    )
    mandate = serializers.CharField(max_length=200, default="", allow_blank=True)


class Vouched(serializers.Serializer[Any]):
    """What the controller's own login says of whoever has logged in."""

    assertion = serializers.CharField(max_length=8192, help_text="a JSON Web Token")


class Followed(serializers.Serializer[Any]):
    """What the link in a mail had in it."""

    token = serializers.CharField(max_length=200)


class Approval(serializers.Serializer[Any]):
    """Exactly the plan that was looked at, with the findings that are accepted."""

    digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    accept = serializers.ListField(
        child=serializers.CharField(max_length=400), default=list, max_length=1000
    )
    because = serializers.CharField(max_length=500, default="", allow_blank=True)


class Refusal(Because):
    """A refusal. Some codes need their record first."""

    because = serializers.CharField(max_length=500)
    code = serializers.ChoiceField(choices=REFUSALS, default="", allow_blank=True)


class Withdrawal(serializers.Serializer[Any]):
    """The person no longer wants it."""

    because = serializers.CharField(max_length=500, default="", allow_blank=True)


class Forwarding(Because):
    """Handed on to whom it concerns; no identifier in it."""

    because = serializers.CharField(max_length=500)
    to = serializers.CharField(max_length=500)


class Duplicate(serializers.Serializer[Any]):
    """The open case in which it goes on."""

    of = serializers.UUIDField()


class Reopening(Because):
    """A closed request is taken up again, by what the person gives now."""

    identifiers = GivenIdentifier(many=True, allow_empty=False, max_length=50)  # type: ignore[call-arg]
    why = serializers.ChoiceField(choices=list(WHYS))


class Undoing(Because):
    """An undo. ``together``: with everybody whose rows it shares."""

    because = serializers.CharField(max_length=500)
    together = serializers.BooleanField(default=False)


class Ground(serializers.Serializer[Any]):
    """On which ground the person asks."""

    ground = serializers.ChoiceField(choices=list(GROUNDS))


class Balance(Because):
    """Whose interests prevail in a dataset."""

    dataset = serializers.CharField(max_length=255)
    whose = serializers.ChoiceField(choices=BALANCES)


class Advice(Because):
    """The data protection officer's opinion on a plan."""

    digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    advice = serializers.ChoiceField(choices=ADVICE)


class NewException(Because):
    """A dataset is kept until a day; with ``only_fields``, those alone, and the rest of each row is
    anonymised."""

    dataset = serializers.CharField(max_length=255)
    only_fields = serializers.ListField(
        child=serializers.CharField(max_length=255), source="fields", default=list, max_length=100
    )
    code = serializers.ChoiceField(choices=list(REASONS))
    legal_reference = serializers.CharField(max_length=200)
    until = serializers.DateField()


class NewHold(Because):
    """Datasets (none: everything) of a person or of a request's person (neither: of everybody)."""

    because = serializers.CharField(max_length=1000)
    code = serializers.ChoiceField(choices=list(REASONS))
    legal_reference = serializers.CharField(max_length=200)
    datasets = serializers.ListField(
        child=serializers.CharField(max_length=255), default=list, max_length=1000
    )
    person = GivenIdentifier(many=True, required=False, max_length=50)  # type: ignore[call-arg]
    request = serializers.UUIDField(required=False)
    matter = serializers.CharField(max_length=100, default="", allow_blank=True)


class OfMatter(Because):
    """What was decided on a matter."""

    because = serializers.CharField(max_length=1000)
    matter = serializers.CharField(max_length=100)


class Overruling(Because):
    """What becomes of a version of a model (``*``: of each that knows somebody), and why."""

    version = serializers.CharField(max_length=200, default="*")
    action = serializers.ChoiceField(choices=list(OVERRULING))
    until = serializers.DateField(required=False, help_text="the last day of a filter")


class LetterText(serializers.Serializer[Any]):
    """A letter with what its editable blocks say; ``notice``: the recipient that is meant."""

    code = serializers.ChoiceField(choices=list(KINDS))
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)
    blocks = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=_WORDS), default=dict
    )
    notice = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class NewLetter(LetterText):
    """A letter to be kept as a draft. ``to``: one mailbox, empty for a letter by hand, left out for
    the address known of the person."""

    to = serializers.CharField(required=False, allow_blank=True, max_length=320, write_only=True)


class On(serializers.Serializer[Any]):
    """When it was; now, unless told."""

    at = serializers.DateTimeField(required=False)


class Span(serializers.Serializer[Any]):
    """A span of days of receipt, the last one included."""

    since = serializers.DateField()
    until = serializers.DateField()


class CaseFilter(serializers.Serializer[Any]):
    """What a list of requests is narrowed to."""

    state = serializers.ChoiceField(choices=list(REQUEST), required=False)
    law = serializers.ChoiceField(choices=LAWS, required=False)
    overdue = serializers.BooleanField(required=False)
    due_before = serializers.DateTimeField(required=False)
    received_from = serializers.DateTimeField(required=False)
    received_before = serializers.DateTimeField(required=False)
    opened_by = serializers.CharField(max_length=150, required=False)
