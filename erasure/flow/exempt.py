"""Exceptions of Art. 17(3), one dataset of one case at a time, or some of its fields; and the days
on which they end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.keeping import checked_exception, checked_fields
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ErasureRequest, KeptDataset
from erasure.runs import case, reasoning
from erasure.transitions import move
from lineage import selectors

# Until the run has begun; afterwards what has gone cannot be kept.
BEFORE = frozenset(
    {"received", "confirmed", "identity_required", "identified", "planned", "blocked", "reopened"}
)


@deed("except")
def add_exception(
    request: ErasureRequest,
    *,
    dataset: str,
    code: str,
    legal_reference: str,
    until: date,
    because: str,
    by: Actor,
    fields: Sequence[str] = (),
) -> KeptDataset:
    """Keep a dataset of this case until a day, then erase it by itself; with ``fields``, keep
    those alone and anonymise the rest of each row. A plan that was made is made anew. Raises
    UsageError by field, also without reasoning; WrongState once it is approved."""
    today, law = timezone.localdate(), request.law
    checked_exception(code, legal_reference, until, today=today, dataset=dataset, law=law)
    found = selectors.entries([dataset]).get(dataset)
    if found is None:
        raise UsageError("dataset: is not in the catalogue; it is named DATASET.TABLE")
    names = checked_fields(found, selectors.store(found.store), fields)
    if case.repeats_identifier(request, legal_reference):
        raise UsageError("legal_reference: repeats what the person is known by; leave that out")
    with transaction.atomic():
        _refuse_begun(request)
        if request.exceptions.filter(dataset=dataset, lifted_at=None).exists():
            raise UsageError(f"dataset: {dataset} has an exception already; lift that first")
        kept = KeptDataset.objects.create(
            request=request,
            dataset=dataset,
            fields=list(names),
            code=code,
            legal_reference=legal_reference.strip(),
            until=until,
            reasoning=reasoning.write_down(request, "exception", because, by=by, place=dataset),
            decided_by=by,
            decided_at=timezone.now(),
        )
        _plan_again(request, by, f"{dataset} is kept")
        told: dict[str, object] = {"request": str(request.id), "dataset": dataset, "by": by}
        told |= {"code": code, **({"fields": list(names)} if names else {})}
        ledger.record("exception", {**told, "until": until.isoformat()})
    return kept


@deed("except")
def lift_exception(kept: KeptDataset, *, by: Actor) -> KeptDataset:
    """The exception does not hold after all. Raises WrongState once the plan is approved."""
    with transaction.atomic():
        _refuse_begun(kept.request)
        lifted = {"lifted_by": by, "lifted_at": timezone.now()}
        if not KeptDataset.objects.filter(pk=kept.pk, lifted_at=None).update(**lifted):
            raise WrongState(f"{kept.dataset}: its exception was lifted before")
        _plan_again(kept.request, by, f"{kept.dataset} is not kept")
        told = {"request": str(kept.request_id), "dataset": kept.dataset, "by": by}
        ledger.record("exception_lifted", told)
    kept.lifted_by, kept.lifted_at = by, lifted["lifted_at"]  # type: ignore[assignment]
    return kept


def _refuse_begun(request: ErasureRequest) -> None:
    """As it is now: its plan may have been made, or approved, since it was read."""
    case.hold_still([request.pk])
    request.refresh_from_db(fields=("state", "run"))
    if request.state not in BEFORE or request.run_id:
        raise WrongState(
            f"request {request.id}: is {request.state}; exceptions are decided before approval"
        )


def _plan_again(request: ErasureRequest, by: Actor, because: str) -> None:
    """Also where no plan could be made, perhaps for this very reason."""
    if request.state in ("planned", "blocked"):
        move(request, "identified", by=by, because=because, also={"blocked_because": ""})
