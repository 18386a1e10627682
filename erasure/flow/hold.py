"""Legal holds are placed and released. What they touch stands still, and goes on by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.keeping import REASONS
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import ErasureRequest, HeldPerson, Hold
from erasure.runs import holding
from erasure.transitions import move
from lineage import selectors

_LONGEST = 1000
_TELLING = 3


@deed("hold")
def place_hold(
    *,
    by: Actor,
    code: str,
    legal_reference: str,
    because: str,
    person: Sequence[tuple[str, str]] = (),
    request: ErasureRequest | None = None,
    datasets: Sequence[str] = (),
    matter: str = "",
    at: datetime | None = None,
) -> Hold:
    """Nothing goes any more of these datasets (none: of any), for this person (none: for
    everybody), until it is released.

    ``person``: (kind, value) pairs, kept as keyed pseudonyms only; ``request``: the person of that
    case instead. The reason stands in clear. Raises UsageError by field; nothing was done then.
    """
    targets = _known(datasets)
    if not targets and not person and request is None:
        raise UsageError("hold: name a person, a case or a dataset")
    _check(code, legal_reference, because, matter, [value for _, value in person])
    with transaction.atomic():
        hold = Hold.objects.create(
            matter=matter.strip(),
            datasets=targets,
            of_people=bool(person) or request is not None,
            code=code,
            legal_reference=legal_reference.strip(),
            because=because.strip(),
            placed_by=by,
            placed_at=at or timezone.now(),
        )
        HeldPerson.objects.bulk_create(
            HeldPerson(hold=hold, kind=kind, keyed_hash=keyed)
            for kind, keyed in sorted(_pseudonyms(person, request))
        )
        if request is not None:
            hold.cases.add(request)
        _plan_again(hold, because="a hold was placed")
        ledger.record("hold_placed", {**_told(hold), "by": by})
    return hold


@deed("hold")
def release_hold(hold: Hold, *, by: Actor, because: str) -> Hold:
    """What stood still goes on by itself. Raises UsageError without a reason, and WrongState when
    it was released before."""
    because = said(because, f"because: say why, in at most {_LONGEST} characters", _LONGEST)
    with transaction.atomic():
        told = {
            "released_by": by,
            "released_at": timezone.now(),
            "released_because": because,
        }
        if not Hold.objects.filter(pk=hold.pk, released_at=None).update(**told):
            raise WrongState(f"hold {hold.id}: was released before")
        _plan_again(hold, because="a hold was released")
        ledger.record("hold_released", {"hold": str(hold.id), "by": by})
    for name, value in told.items():
        setattr(hold, name, value)
    return hold


@deed("hold")
def release_matter(matter: str, *, by: Actor, because: str) -> list[Hold]:
    """Release every hold of a matter. Raises UsageError when it has none."""
    holds = list(holding.active().filter(matter=matter)) if matter else []
    if not holds:
        raise UsageError("matter: no hold of that matter is in force")
    with transaction.atomic():
        return [release_hold(hold, by=by, because=because) for hold in holds]


def _known(datasets: Sequence[str]) -> list[str]:
    if not set(datasets) <= selectors.entries(datasets).keys():
        raise UsageError("datasets: not all are in the catalogue; they are named DATASET.TABLE")
    return sorted(set(datasets))


def _check(code: str, reference: str, because: str, matter: str, values: Iterable[str]) -> None:
    if code not in REASONS:
        raise UsageError(f"code: must be one of {', '.join(REASONS)}")
    if not reference.strip() or len(reference) > 200 or not reference.isprintable():
        raise UsageError("legal_reference: name the provision, in at most 200 characters")
    said(because, f"because: say why, in at most {_LONGEST} characters", _LONGEST)
    if len(matter) > 100 or not matter.isprintable():
        raise UsageError("matter: is a short name, in at most 100 characters")
    told = f"{reference}\n{because}\n{matter}".casefold()
    if any(len(v) >= _TELLING and v.casefold() in told for v in values):
        raise UsageError("because: the words repeat what the person is known by; leave that out")


def _pseudonyms(
    person: Sequence[tuple[str, str]], request: ErasureRequest | None
) -> set[tuple[str, str]]:
    if person:
        selectors.identity_start({kind for kind, _ in person})
    found = {(kind, vault.pseudonym(kind, value.strip())) for kind, value in person}
    if request is not None:
        found |= set(request.identifiers.values_list("kind", "keyed_hash"))
    return found


def _plan_again(hold: Hold, *, because: str) -> None:
    """Plans that wait for approval are made anew where the hold changes them."""
    waiting = ErasureRequest.objects.filter(state="planned")
    if hold.datasets:
        waiting = waiting.filter(plans__state="draft", plans__steps__dataset__in=hold.datasets)
    if hold.of_people:
        ids: set[UUID] = set(hold.cases.values_list("id", flat=True))
        hashes = hold.people.values("keyed_hash")
        ids |= set(
            ErasureRequest.objects.filter(identifiers__keyed_hash__in=hashes).values_list(
                "id", flat=True
            )
        )
        waiting = waiting.filter(id__in=ids)
    for request in waiting.distinct():
        move(request, "identified", by="run", because=because)


def _told(hold: Hold) -> dict[str, object]:
    return {
        "hold": str(hold.id),
        "code": hold.code,
        "legal_reference": hold.legal_reference,
        "datasets": hold.datasets,
        "of_people": hold.of_people,
    }
