"""What a run writes down before it destroys anything: keys in sealed batches, needles, the seed.

One batch is one target transaction: everything of a store where that is up to 20,000 rows, else
slices of 10,000 keys in step order, children first. Inside a batch each person has a segment
sealed under their own key, so that one case can be shredded without the others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.domain.finding import KeyText, Person
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step, step_from_json
from erasure.models import Batch, Run, SealedNeedles
from erasure.runs import segments
from erasure.runs.segments import Became, Entry
from erasure.stores.base import Key, Work
from erasure.stores.insides import joined

ONE_TRANSACTION = 20_000
SLICE = 10_000


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
    run: Run, steps: Sequence[RunStep], entries: Iterable[Entry], *, round_: int
) -> int:
    """Seal the entries into batches per store; returns how many. Joins the caller's transaction.
    ``round_`` 0: the run has none yet."""
    by_store: dict[str, list[Entry]] = {}
    store_of = {s.ordinal: s.store for s in steps}
    for entry in entries:
        by_store.setdefault(store_of[entry.ordinal], []).append(entry)
    people = {person for listed in by_store.values() for e in listed for person in e.people}
    keys = _keys(people, "deferred")
    ordinal = run.batches.count() if round_ else 0
    batches = []
    for store in sorted(by_store):
        listed = sorted(by_store[store], key=lambda e: e.ordinal)
        for part in _slices(listed):
            directory, sealed = _seal_segments(run.id, ordinal, part, keys)
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
    Batch.objects.bulk_create(batches)
    return len(batches)


def _slices(entries: list[Entry]) -> Iterator[list[Entry]]:
    size = len(entries) if len(entries) <= ONE_TRANSACTION else SLICE
    for start in range(0, len(entries), max(size, 1)):
        yield entries[start : start + size]


def _seal_segments(
    run_id: UUID, ordinal: int, entries: list[Entry], keys: dict[Person, bytes]
) -> tuple[dict[str, list[int]], bytes]:
    rows: dict[Person, list[Entry]] = {}
    for entry in entries:
        for person in entry.people:
            rows.setdefault(person, []).append(entry)
    directory: dict[str, list[int]] = {}
    pieces: list[bytes] = []
    offset = 0
    for person in sorted(rows):
        text = segments.to_text(rows[person])
        sealed = vault.seal(keys[person], text, label=_label(run_id, ordinal, person))
        directory[person] = [offset, len(sealed)]
        pieces.append(sealed)
        offset += len(sealed)
    return directory, b"".join(pieces)


def _keys(people: Iterable[Person], purpose: str) -> dict[Person, bytes]:
    return {str(o): key for o, key in vault.open_keys(map(UUID, people), purpose).items()}


def _label(run_id: UUID, ordinal: int, person: Person) -> str:
    return f"batch:{run_id}:{ordinal}:{person}"


def batch_keys(people: Iterable[Person]) -> dict[Person, bytes]:
    """What opens everybody's part of a batch. Raises KeyDestroyed."""
    return _keys(people, "deferred")


def read_batch(
    batch: Batch, people: Collection[Person], keys: Mapping[Person, bytes] | None = None
) -> list[Entry]:
    """The entries of ``people`` in a batch, merged per row; ``keys``: those of :func:`batch_keys`
    where they are open already. Raises KeyDestroyed for a case that was shredded."""
    merged: dict[tuple[int, KeyText], Entry] = {}
    sealed = bytes(batch.sealed)
    owners = [person for person in sorted(batch.directory) if person in people]
    keys = batch_keys(owners) if keys is None else keys
    for person in owners:
        offset, length = batch.directory[person]
        label = _label(batch.run_id, batch.ordinal, person)
        plain = vault.unseal(keys[person], sealed[offset : offset + length], label=label)
        alone = frozenset({person})
        became = _Became(batch, person) if batch.state == "done" else None
        for at, entry in enumerate(segments.from_text(plain, alone)):
            known = merged.setdefault((entry.ordinal, entry.text), entry)
            if known is not entry:
                known.people |= alone
                known.key = joined(known.key, entry.key)
            known.at[person] = at
            if became is not None:
                known.became = became.of(entry.ordinal, at)
    return list(merged.values())


def read_run(run: Run, people: Collection[Person]) -> Iterator[Entry]:
    """Every entry of ``people`` in a run, in the order in which they were written."""
    owners = {p for d in run.batches.values_list("directory", flat=True) for p in d}
    keys = batch_keys(owners & set(people))
    for batch in run.batches.all():
        yield from read_batch(batch, people, keys)


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
    return {
        s.ordinal: Work(step=s.step, keys=tuple(keys.get(s.ordinal, {}).values()))
        for s in steps
        if s.store == store
        and (s.ordinal in keys or (s.step.action == "delete" and s.step.via == "deep"))
    }


def seal_needles(run: Run, needles: Mapping[Person, set[Needle]]) -> None:
    """Write everybody's needles down, sealed under their identifiers keys; idempotent.

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
    SealedNeedles.objects.bulk_create(
        records,
        update_conflicts=True,
        unique_fields=["run", "request"],
        update_fields=["sealed", "count"],
    )


def open_needles(run: Run, people: Collection[Person]) -> dict[Person, set[Needle]]:
    """The needles of ``people``. Raises KeyDestroyed when a case's identifiers are gone."""
    opened = {}
    records = list(run.needles.filter(request__in=map(UUID, people)))
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


def open_seed(run: Run) -> bytes:
    """The run's sealed seed, 32 bytes."""
    return vault.unseal(vault.open_key(run.id, "run"), run.sealed_seed, label=f"seed:{run.id}")


@transaction.atomic
def forget_run(run: Run) -> None:
    """The seed has done its work: nothing random can be made again, or undone."""
    vault.destroy_key(run.id, "run")
    Run.objects.filter(pk=run.pk).update(sealed_seed=b"")
