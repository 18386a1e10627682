"""What a case has in the vault and the catalogue, as the values that the search needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from erasure import vault
from erasure.domain.errors import KeyDestroyed, StoreError, WrongState
from erasure.domain.finding import Person, Seed, Wanted, add_wanted
from erasure.domain.needles import Needle, value_needles
from erasure.domain.states import SETTLED
from erasure.domain.values import repeats
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier, Plan, Run
from lineage.graph import Edge, Field, Reference, plain
from lineage.prepared import Prepared, Slot

_CARRIED = ("executing", "verifying", "blocked")
# person → the (kind, value) pairs they gave
Given = Mapping[Person, Sequence[tuple[str, str]]]
_CASE = Prepared(
    lambda: ErasureRequest.objects.filter(pk=Slot("pk")).order_by().select_related("run")
)
_MEMBERS = Prepared(lambda: ErasureRequest.objects.filter(run=Slot("run"), state__in=_CARRIED))
_PEOPLE = Prepared(
    lambda: ErasureRequest.objects.filter(run=Slot("run"), state__in=_CARRIED).values_list("id")
)
_LOCKED = Prepared(
    lambda: (
        ErasureRequest.objects.select_for_update()
        .filter(pk__in=Slot("pks"))
        .order_by("pk")
        .values_list("pk")
    )
)
_PROVED = Prepared(lambda: _identifiers().exclude(proved_by=""))
_GIVEN = Prepared(lambda: _identifiers())
_PLAN = Prepared(
    lambda: Plan.objects.filter(request=Slot("request"), state__in=("approved", "carried_out"))[:1]
)


def of(pk: UUID) -> ErasureRequest:
    """The case of that number, with its run. Raises DoesNotExist."""
    found = _CASE.first(pk=pk)
    if found is None:
        raise ErasureRequest.DoesNotExist(f"request {pk}: there is none")
    return found


def hold_still(cases: Collection[UUID]) -> None:
    """Until the caller's transaction ends nobody else decides on these cases: what is read of them
    from here on is as it stays. On SQLite the transaction itself is the only writer."""
    if connection.features.has_select_for_update:
        _LOCKED.all(pks=list(cases))


def begun(request: ErasureRequest) -> bool:
    """Whether a run has taken it up: something of the person may be erased already."""
    return request.run is not None and request.run.state != "abandoned"


def refuse_begun(request: ErasureRequest) -> None:
    """Whatever would end or halt a case as if nothing had been erased. Raises WrongState."""
    if begun(request):
        raise WrongState(
            f"request {request.id}: is {request.state}, and its erasure has begun; it can only be "
            "gone on with"
        )


def alone(subject: str) -> None:
    """Until the caller's transaction ends nobody else opens a case of that person."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", [int(subject[:15], 16)])


def members(run: Run) -> list[ErasureRequest]:
    """Whose case the run still carries. Those it has brought to an end are none of its business:
    their keys go at their own dates, and what is born after their erasure is left alone."""
    return _MEMBERS.all(run=run.pk)


def people_of(run: Run) -> set[Person]:
    """:func:`members`, by their names in a run."""
    return {str(request_id) for (request_id,) in _PEOPLE.all(run=run.pk)}


def plan_of(requests: Iterable[ErasureRequest]) -> Plan:
    """The plan whose steps a run's members share: approved, or carried out by it. Raises
    StoreError when it is gone."""
    for request in requests:
        if (plan := _PLAN.first(request=request.pk)) is not None:
            return plan
    raise StoreError("run", "its approved plan is gone; plan again")


def _identifiers() -> QuerySet[Identifier]:
    readable = Identifier.objects.filter(request__in=Slot("requests")).exclude(sealed=b"")
    return readable.order_by("kind", "id")


def given_by(requests: Iterable[ErasureRequest], *, proved: bool = True) -> Given:
    """What everybody gave to be found by, as far as it was ``proved`` to be theirs. Raises
    KeyDestroyed after its date."""
    ids = [request.id for request in requests]
    keys = vault.open_keys(ids, "identifiers")
    given: dict[Person, list[tuple[str, str]]] = {str(i): [] for i in ids}
    for record in (_PROVED if proved else _GIVEN).all(requests=ids):
        label = f"identifier:{record.request_id}:{record.kind}"
        value = vault.unseal(keys[record.request_id], record.sealed, label=label).decode()
        given[str(record.request_id)].append((record.kind, value))
    return given


def repeats_identifier(request: ErasureRequest, text: str) -> bool:
    """Whether a text that is kept in clear repeats what the person gave; False once that is
    destroyed."""
    try:
        given = given_by([request], proved=False)
    except KeyDestroyed:
        return False
    return any(repeats(value, text) for pairs in given.values() for _, value in pairs)


def wanted_of(given: Given) -> dict[str, Wanted]:
    """Everybody's identifiers by kind, for one search over all of them."""
    wanted: dict[str, Wanted] = {}
    for person, pairs in given.items():
        for kind, value in pairs:
            add_wanted(wanted.setdefault(kind, {}), value, frozenset({person}), kind)
    return wanted


def add_given(needles: dict[Person, set[Needle]], given: Given) -> None:
    """The identifiers themselves are needles too, as far as they can be searched for."""
    for person, pairs in given.items():
        needles.setdefault(person, set()).update(
            needle
            for kind, value in pairs
            for needle in value_needles(Field(name=kind, identity=kind), value)
        )


def edge_to_json(edge: Edge) -> dict[str, Any]:
    """A plain copy of an edge for the plan."""
    return {**plain(edge), "reference": plain(edge.reference)}


def edge_from_json(plain: Mapping[str, Any]) -> Edge:
    """The inverse of :func:`edge_to_json`."""
    reference = dict(plain["reference"])
    reference["also"] = tuple((mine, theirs) for mine, theirs in reference.get("also", ()))
    return Edge(**{**plain, "reference": Reference(**reference)})


def seeds_from_json(plain: Mapping[str, Mapping[str, str]]) -> list[Seed]:
    """Seeds from a plan's ``dataset → field → identity kind``."""
    return [
        Seed(dataset=dataset, field=field, kind=kind)
        for dataset, fields in sorted(plain.items())
        for field, kind in sorted(fields.items())
    ]


def destroy_keys(request: ErasureRequest, purposes: Iterable[str]) -> None:
    """:func:`destroy_keys_of` one case."""
    destroy_keys_of([request.pk], purposes)


def destroy_keys_of(cases: Collection[UUID], purposes: Iterable[str]) -> None:
    """Shred what those keys sealed, and say so in the ledger; what is gone already stays gone.
    Those of a case that goes on, or was reopened meanwhile, are left alone, but for its images'.
    """
    ended = ErasureRequest.objects.filter(pk__in=cases, state__in=SETTLED).order_by("pk")
    wanted = set(purposes)
    with ledger.together():
        gone = vault.destroy_all(cases, wanted & {"undo"}) if "undo" in wanted else set()
        if wanted - {"undo"}:
            free = list(ended.select_for_update().values_list("pk", flat=True))
            gone |= vault.destroy_all(free, wanted - {"undo"})
        told = [{"request": str(case), "purpose": purpose} for case, purpose in sorted(gone)]
        ledger.record_many(("key_destroyed", entry) for entry in told)


def forget_identifiers(request: ErasureRequest) -> None:
    """A case that ends without an erasure keeps nothing that the person gave."""
    destroy_keys(request, ("identifiers", "deferred"))
    for export in request.exports.exclude(state="destroyed"):
        vault.destroy_key(export.id, "export")  # its files go with the next sweep
