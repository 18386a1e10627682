"""What a run writes down before it destroys anything: keys in sealed batches, needles, the seed.

One batch is one target transaction: everything of a store where that is up to 20,000 rows, else
slices of so many keys in step order, children first. Inside a batch each person has a segment
sealed under their own key, so that one case can be shredded without the others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.domain.finding import KeyText, Person, key_text
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step, step_from_json
from erasure.domain.values import Scalar
from erasure.models import Batch, Run, SealedNeedles
from erasure.runs import segments
from erasure.runs.pieces import Piece, Pieces
from erasure.runs.segments import Became, Entry, Group
from erasure.stores.base import Key, Work
from erasure.stores.insides import joined
from lineage.prepared import Prepared, Slot, insert

SLICE = 20_000
AT_ONCE = 8  # batches that are sealed before they are written, or read at once
_BATCHES = Prepared(
    lambda: Batch.objects.filter(run=Slot("run"), ordinal__gte=Slot("first"))[:AT_ONCE]
)
_NEEDLES = Prepared(
    lambda: SealedNeedles.objects.filter(run=Slot("run"), request__in=Slot("people"))
)


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """A step of a run with its place in the order and the store it acts in."""

    ordinal: int
    store: str
    kind: str
    step: Step


def run_steps(run: Run) -> list[RunStep]:
    """The merged steps of a run, in order."""
    return [
        RunStep(
            ordinal=s["ordinal"], store=s["store"], kind=s["kind"], step=step_from_json(s["spec"])
        )
        for s in run.steps
    ]


def write_batches(
    run: Run,
    steps: Sequence[RunStep],
    entries: Iterable[Entry],
    *,
    round_: int,
    pieces: Pieces | None = None,
) -> int:
    """Seal the entries into batches per store; returns how many. Joins the caller's transaction.
    ``round_`` 0: the run has none yet. ``pieces``: what a search has packed already."""
    by_step: dict[int, list[Entry]] = {}
    for entry in entries:
        by_step.setdefault(entry.ordinal, []).append(entry)
    people = {p for listed in by_step.values() for e in listed for p in e.people}
    keys = _keys(people | (pieces.people if pieces else set()), "deferred")
    ordinal = run.batches.count() if round_ else 0
    found = _Parts(steps, by_step, pieces)
    parts = (
        (store, part) for store in sorted({s.store for s in steps}) for part in found.of(store)
    )
    while some := list(islice(parts, AT_ONCE)):
        batches = []
        for store, part in some:
            directory, sealed = part.seal(run.id, ordinal, keys)
            batches.append(
                Batch(
                    run=run,
                    store=store,
                    round=round_,
                    ordinal=ordinal,
                    directory=directory,
                    sealed=sealed,
                )
            )
            ordinal += 1
        if len(batches) == 1:
            insert(batches)
        else:
            Batch.objects.bulk_create(batches)  # one statement
    return ordinal


class _Part:
    """What goes into one batch."""

    def __init__(self) -> None:
        self.rows = 0
        self._entries: dict[Person, list[Entry]] = {}
        self._pieces: dict[Person, list[bytes]] = {}

    def add(self, one: Entry | Piece) -> None:
        """Take an entry, or several that are packed."""
        if isinstance(one, Entry):
            self.rows += 1
            for person in one.people:
                self._entries.setdefault(person, []).append(one)
        else:
            self.rows += one.rows
            for person in one.people:
                self._pieces.setdefault(person, []).append(one.text)

    def seal(
        self, run_id: UUID, ordinal: int, keys: Mapping[Person, bytes]
    ) -> tuple[dict[str, list[int]], bytes]:
        """The segments, and where each begins and how long it is."""
        directory: dict[str, list[int]] = {}
        sealed: list[bytes] = []
        offset = 0
        for person in sorted(self._entries.keys() | self._pieces.keys()):
            text = segments.to_text(self._entries.get(person, ()), self._pieces.get(person, ()))
            label = _label(run_id, ordinal, person)
            segment = vault.seal(keys[person], segments.packed(text), label=label)
            directory[person] = [offset, len(segment)]
            sealed.append(segment)
            offset += len(segment)
        return directory, b"".join(sealed)


class _Parts:
    """What is to be written down, divided into batches in the order of the steps."""

    def __init__(
        self,
        steps: Sequence[RunStep],
        entries: Mapping[int, Sequence[Entry]],
        pieces: Pieces | None,
    ) -> None:
        self._steps, self._entries, self._pieces = steps, entries, pieces

    def of(self, store: str) -> Iterator[_Part]:
        """One transaction's worth after the other."""
        ordinals = sorted(s.ordinal for s in self._steps if s.store == store)
        part = _Part()
        for one in chain.from_iterable(map(self._of_step, ordinals)):
            size = 1 if isinstance(one, Entry) else one.rows
            if part.rows and part.rows + size > SLICE:
                yield part
                part = _Part()
            part.add(one)
        if part.rows:
            yield part

    def _of_step(self, ordinal: int) -> Iterator[Entry | Piece]:
        yield from self._entries.get(ordinal, ())
        if self._pieces:
            yield from self._pieces.of(ordinal)


def _keys(people: Iterable[Person], purpose: str) -> dict[Person, bytes]:
    return {str(o): key for o, key in vault.open_keys(map(UUID, people), purpose).items()}


def _label(run_id: UUID, ordinal: int, person: Person) -> str:
    return f"batch:{run_id}:{ordinal}:{person}"


def batch_keys(people: Iterable[Person]) -> dict[Person, bytes]:
    """What opens everybody's part of a batch. Raises KeyDestroyed."""
    return _keys(people, "deferred")


class Opened(NamedTuple):
    """A batch with what is written down in it of some people."""

    batch: Batch
    groups: Mapping[Person, Sequence[Group]]

    def entries(self, ordinals: Collection[int] | None = None) -> list[Entry]:
        """Its entries, those of the steps ``ordinals`` alone, merged per row."""
        merged: dict[tuple[int, KeyText], Entry] = {}
        for person in self.groups:
            for entry in self._of(person, ordinals):
                known = merged.setdefault((entry.ordinal, entry.text), entry)
                if known is not entry:
                    known.people |= entry.people
                    known.key = joined(known.key, entry.key)
                    known.at |= entry.at
                    known.became = entry.became
        return list(merged.values())

    def in_turn(self, ordinals: Collection[int] | None = None) -> Iterator[Entry]:
        """The same, made as they are asked for where all are one person's, as nearly always."""
        if len(self.groups) > 1:
            yield from self.entries(ordinals)
        for person in self.groups if len(self.groups) == 1 else ():
            yield from self._of(person, ordinals)

    def _of(self, person: Person, ordinals: Collection[int] | None) -> Iterator[Entry]:
        """One person's, those of some steps alone."""
        alone, at = frozenset({person}), 0
        became = _Became(self.batch, person) if self.batch.state == "done" else None
        for group in self.groups[person]:
            if ordinals is None or group.ordinal in ordinals:
                for place, entry in enumerate(group.entries(alone), at):
                    entry.at[person] = place
                    if became is not None:
                        entry.became = became.of(entry.ordinal, place)
                    yield entry
            at += len(group.rows)


def open_batch(
    batch: Batch, people: Collection[Person], keys: Mapping[Person, bytes] | None = None
) -> Opened:
    """What a batch holds of ``people``; ``keys``: those of :func:`batch_keys` where they are open
    already. Raises KeyDestroyed for a case that was shredded."""
    sealed = bytes(batch.sealed)
    owners = [person for person in sorted(batch.directory) if person in people]
    keys = batch_keys(owners) if keys is None else keys
    groups = {}
    for person in owners:
        offset, length = batch.directory[person]
        label = _label(batch.run_id, batch.ordinal, person)
        plain = vault.unseal(keys[person], sealed[offset : offset + length], label=label)
        groups[person] = segments.from_text(segments.unpacked(plain))
    return Opened(batch, groups)


def read_run(run: Run, people: Collection[Person]) -> Iterator[Entry]:
    """Every entry of ``people`` in a run, in the order in which they were written."""
    for opened in open_batches(run, people):
        yield from opened.in_turn()


def open_batches(run: Run, people: Collection[Person]) -> Iterator[Opened]:
    """Every batch of a run with what it holds of ``people``, in order."""
    keys: dict[Person, bytes] = {}
    first, more = 0, True
    while more:
        batches = _BATCHES.all(run=run.pk, first=first)
        owners = {person for batch in batches for person in batch.directory}
        if missing := (owners & set(people)) - keys.keys():
            keys |= batch_keys(missing)
        for batch in batches:
            yield open_batch(batch, people, keys)
            first = batch.ordinal + 1
        more = len(batches) == AT_ONCE


class _Became:
    """What the receipts of a batch that is done say of a person's entries, by their places."""

    def __init__(self, batch: Batch, person: Person) -> None:
        self._odd: dict[tuple[int, int], Became] = {}
        for ordinal, line in batch.receipts.get(person, {}).items():
            self._odd |= {(int(ordinal), at): "reused" for at in line.get("reused_at", ())}
            self._odd |= {(int(ordinal), at): "kept" for at in line.get("kept_at", ())}

    def of(self, ordinal: int, at: int) -> Became:
        return self._odd.get((ordinal, at), "done")


def works_of(entries: Iterable[Entry], steps: Sequence[RunStep], store: str) -> dict[int, Work]:
    """Works by the ordinal of their step, in order. A step about whole sets (a backup, a
    recipient) has no keys.

    A deletion comes even without rows: a row may have been added since, and the store must know
    that the plan names its table before it lets a parent's deletion take it along.
    """
    keys: dict[int, dict[KeyText, Key]] = {}
    for entry in entries:
        found = keys.setdefault(entry.ordinal, {})
        known = found.get(entry.text)
        found[entry.text] = joined(entry.key, known) if known else entry.key
    return _works({o: tuple(found.values()) for o, found in keys.items()}, steps, store)


def works_in(opened: Sequence[Opened], steps: Sequence[RunStep], store: str) -> dict[int, Work]:
    """The same of whole batches."""
    groups: dict[int, list[Group]] = {}
    for batch in opened:
        for group in chain.from_iterable(batch.groups.values()):
            groups.setdefault(group.ordinal, []).append(group)
    return _works({o: _merged(found) for o, found in groups.items()}, steps, store)


def _merged(groups: Sequence[Group]) -> tuple[Key, ...]:
    """The keys of one step, each once. Plain values, which nearly all are, need not be written
    out to be compared."""
    keys = list(chain.from_iterable(group.keys() for group in groups))
    plain = all(group.plain for group in groups)
    if plain and len({key.values for key in keys}) == len(keys):
        return tuple(keys)
    merged: dict[tuple[Scalar, ...], Key] = {}
    for key in keys:
        text = key.values if plain else key_text(key.values)
        known = merged.get(text)
        merged[text] = joined(key, known) if known else key
    return tuple(merged.values())


def _works(
    keys: Mapping[int, tuple[Key, ...]], steps: Sequence[RunStep], store: str
) -> dict[int, Work]:
    return {
        s.ordinal: Work(step=s.step, keys=keys.get(s.ordinal, ()))
        for s in steps
        if s.store == store
        and (s.ordinal in keys or (s.step.action == "delete" and s.step.via == "deep"))
    }


def seal_needles(run: Run, needles: Mapping[Person, set[Needle]], *, first: bool = False) -> None:
    """Write everybody's needles down, sealed under their identifiers keys; in place of those that
    are there, unless they are the ``first`` of the run.

    ``count`` tells by how many of them the person can be told from others.
    """
    keys = _keys(needles, "identifiers")
    records = []
    for person, owned in needles.items():
        listed = sorted(owned)
        plain = json.dumps([[n.text, n.category, n.coarse] for n in listed]).encode()
        sealed = vault.seal(keys[person], plain, label=f"needles:{run.id}:{person}")
        records.append(
            SealedNeedles(
                run=run,
                request_id=UUID(person),
                sealed=sealed,
                count=sum(not needle.coarse for needle in listed),
            )
        )
    if first:
        insert(records)
        return
    SealedNeedles.objects.bulk_create(
        records,
        update_conflicts=True,
        unique_fields=["run", "request"],
        update_fields=["sealed", "count"],
    )


def open_needles(run: Run, people: Collection[Person]) -> dict[Person, set[Needle]]:
    """The needles of ``people``. Raises KeyDestroyed when a case's identifiers are gone."""
    opened = {}
    records = _NEEDLES.all(run=run.pk, people=[UUID(person) for person in people])
    keys = _keys((str(r.request_id) for r in records), "identifiers")
    for record in records:
        person = str(record.request_id)
        plain = vault.unseal(keys[person], record.sealed, label=f"needles:{run.id}:{person}")
        opened[person] = {
            Needle(text=text, category=category, coarse=coarse)
            for text, category, coarse in json.loads(plain)
        }
    return opened


def matcher_of(needles: Mapping[Person, set[Needle]]) -> Matcher:
    """One automaton for everybody in the run."""
    return Matcher(n for owned in needles.values() for n in owned)


@transaction.atomic(savepoint=False)
def forget_run(run: Run) -> None:
    """The seed has done its work: nothing random can be made again, or undone."""
    vault.destroy_key(run.id, "run")
    Run.objects.filter(pk=run.pk).update(sealed_seed=b"")
