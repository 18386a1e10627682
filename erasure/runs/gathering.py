"""A person's own rows, found as the plan finds them, written as a ZIP that only they can open.

Memory is bounded by the person's keys, as in every search, and by one row: files are streamed, and
each is read once for JSON and once more for CSV.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import pyzipper
from django.conf import settings

from erasure.domain import exports
from erasure.domain.errors import StoreError
from erasure.domain.exports import Handed
from erasure.domain.finding import Findings
from erasure.domain.steps import Step, step_from_json
from erasure.domain.values import canonical
from erasure.models import ErasureRequest, Plan, PlanStep
from erasure.runs import case, opening
from erasure.runs.earlier import rows_left
from erasure.runs.journal import RunStep
from erasure.runs.searching import Stores, Task, find_rows
from erasure.stores.base import Key
from erasure.stores.handing import CountsUnread, HandsOut
from lineage import selectors

_BITS = 256
_UNREADABLE = "its data cannot be read from here"
_TOLD: Mapping[str, str] = {
    "backups": "copies of the other places, which are not opened; they expire",
    "model_registry": "a trained model; it holds no rows that could be copied",
    "mlflow": "a trained model; it holds no rows that could be copied",
    "manual": "held by a recipient, who can be asked",
}


class Sink(Protocol):
    """What the ZIP is written into."""

    def write(self, data: bytes) -> int:
        """Take some bytes."""

    def flush(self) -> None:
        """Nothing waits."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A dataset with the keys of the person's own rows there, and how it is read."""

    handed: Handed
    keys: Sequence[Key]
    store: HandsOut | None
    guard: tuple[str, ...]


def gather(
    request: ErasureRequest, plan: Plan, sink: Sink, passphrase: str, now: datetime
) -> tuple[Handed, ...]:
    """Find and write everything; returns what came of it, by dataset. Raises StoreError; what was
    written then is worth nothing."""
    given = case.given_by([request])
    steps = [
        RunStep(ordinal=s.ordinal, store=s.store, kind=s.store_kind, step=step_from_json(s.spec))
        for s in plan.steps.all()
    ]
    known: dict[str, set[str]] = {}
    for kind, value in given[str(request.id)]:
        known.setdefault(kind, set()).add(canonical(value, kind))
    with Stores() as stores:
        task = opening.task_of(plan, steps, given)
        found = find_rows(task, stores)
        places = _places(request, plan, steps, task, found, stores, kinds=set(known))
        places += _kept_before(request, found, stores)
        return _written(request, places, sink, passphrase, known, now)


def _places(
    request: ErasureRequest,
    plan: Plan,
    steps: Sequence[RunStep],
    task: Task,
    findings: Findings,
    stores: Stores,
    *,
    kinds: set[str],
) -> list[_Place]:
    around = selectors.around(s.step.dataset.address for s in steps)
    now = selectors.part(kinds & set(selectors.identity_kinds()), request.only_store).catalogue
    references = [*around.references, *now.references]
    datasets = {**now.datasets, **around.datasets, **task.datasets}
    others: dict[str, int] = {}
    for address, via, counted in plan.steps.values_list("dataset", "via", "counted"):
        if via in ("mention", "shallow"):
            others[address] = others.get(address, 0) + counted
    columns = _Columns(stores)
    places = []
    for s in _once(steps):
        dataset = task.datasets[s.step.dataset.address]
        rows = findings.rows.get(dataset.address, {}).values()
        own = [row for row in rows if str(request.id) in row.owners]
        fields, withheld = exports.fields_of(dataset, references, task.edges, datasets)
        store = stores.get(dataset.store)
        reads = isinstance(store, HandsOut)
        handed = Handed(
            dataset=dataset,
            fields=fields,
            withheld=withheld,
            unknown=exports.unclassified(dataset, columns.of(s.step)) if reads else (),
            shared=sum(1 for row in own if row.via == "refcount"),
            others=others.get(dataset.address, 0),
            unread="" if reads else _TOLD.get(s.kind, _UNREADABLE),
        )
        keys = [row.payload for row in own if isinstance(row.payload, Key)]
        guard = task.guards.get(dataset.address, ())
        places.append(
            _Place(
                handed=handed,
                keys=keys,
                store=store if isinstance(store, HandsOut) else None,
                guard=guard,
            )
        )
    return places


def _kept_before(request: ErasureRequest, findings: Findings, stores: Stores) -> Iterator[_Place]:
    """What earlier cases of the person keep, to which nothing leads any more that they could give:
    read by the keys that were kept for its day."""
    for left in rows_left(request):
        dataset, by = left.taken.dataset, left.by
        around = selectors.around([dataset.address])
        edges = [case.edge_from_json(e) for e in by.plan.edges]
        named = {**around.datasets, dataset.address: dataset}
        fields, withheld = exports.fields_of(dataset, around.references, edges, named)
        if left.kept:
            fields = tuple(n for n in fields if n in {*left.kept, *dataset.key})
        store = stores.get(by.store)
        there = findings.rows.get(dataset.address, {})
        keys = [key for key, text in zip(left.keys, left.texts, strict=True) if text not in there]
        if keys:
            reads = isinstance(store, HandsOut)
            handed = Handed(
                dataset=dataset,
                fields=fields,
                withheld=withheld,
                unread="" if reads else _TOLD.get(left.kind, _UNREADABLE),
                kept=f"by case {by.plan.request_id}{_until(by)}: {by.reason}",
            )
            yield _Place(
                handed=handed,
                keys=keys,
                store=store if isinstance(store, HandsOut) else None,
                guard=left.taken.guard,
            )


def _until(step: PlanStep) -> str:
    return f" until {step.until.isoformat()}" if step.until else ""


def _once(steps: Sequence[RunStep]) -> Iterator[RunStep]:
    seen: set[str] = set()
    for s in steps:
        if s.step.dataset.address not in seen:
            seen.add(s.step.dataset.address)
            yield s


class _Columns:
    """The live columns of tables, every store looked at once."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._seen: dict[str, Any] = {}

    def of(self, step: Step) -> list[str]:
        """Names of the columns of a step's table."""
        dataset = step.dataset
        if dataset.store not in self._seen:
            self._seen[dataset.store] = self._stores.get(dataset.store).inspect().tables
        tables = self._seen[dataset.store]
        table = tables.get(f"{dataset.schema}.{dataset.name}") or tables.get(dataset.name)
        return [column.name for column in table.columns] if table else []


def _written(
    request: ErasureRequest,
    places: Sequence[_Place],
    sink: Sink,
    passphrase: str,
    known: exports.Given,
    now: datetime,
) -> tuple[Handed, ...]:
    with pyzipper.AESZipFile(
        sink, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(passphrase.encode())
        archive.setencryption(pyzipper.WZ_AES, nbits=_BITS)
        parts = tuple(_part(archive, n, place, known) for n, place in enumerate(places, 1))
        head = exports.Head(case=str(request.id), controller=settings.LETHE_CONTROLLER, at=now)
        found = exports.index(parts, head)
        archive.writestr("index.json", json.dumps(found, indent=1, ensure_ascii=False))
        archive.writestr("README.txt", exports.readme(parts, head))
    return parts


def _part(archive: Any, number: int, place: _Place, known: exports.Given) -> Handed:
    handed = place.handed
    if place.store is None or not place.keys:
        return handed
    name = exports.file_name(number, handed.dataset.address)
    try:
        rows = _json(archive, f"{name}.json", _rows(place, known))
        _csv(archive, f"{name}.csv", handed.fields, _rows(place, known))
    except StoreError as error:
        if not error.permanent:
            raise
        raise StoreError(error.place, "cannot be read for the export; look at the store") from None
    expected, lines = _expected(place)
    files = (f"{name}.json", f"{name}.csv")
    return replace(handed, files=files, rows=rows, gone=max(0, expected - rows), lines=lines)


def _expected(place: _Place) -> tuple[int, int]:
    """How many rows there were to hand out, and how many that cannot be read."""
    if isinstance(place.store, CountsUnread):
        return place.store.counted(place.handed.dataset, place.keys)
    return sum(key.count for key in place.keys), 0


def _rows(place: _Place, known: exports.Given) -> Iterator[dict[str, Any]]:
    assert place.store is not None  # noqa: S101 - _part has seen to it
    dataset, fields = place.handed.dataset, place.handed.fields
    doubt = exports.doubtful(dataset)
    for row in place.store.hand_out(dataset, place.keys, fields, place.guard):
        yield exports.theirs(row, doubt, known)


def _json(archive: Any, name: str, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with archive.open(name, "w", force_zip64=True) as file:
        file.write(b"[")
        for row in rows:
            text = json.dumps(row, ensure_ascii=False)
            file.write((",\n" if count else "\n").encode() + text.encode("utf-8", "replace"))
            count += 1
        file.write(b"\n]\n")
    return count


def _csv(archive: Any, name: str, fields: Sequence[str], rows: Iterator[dict[str, Any]]) -> None:
    with archive.open(name, "w", force_zip64=True) as file:
        file.write(b"\xef\xbb\xbf")  # so that a spreadsheet takes it for UTF-8
        file.write(_line(fields))
        for row in rows:
            file.write(_line([exports.cell(row[name]) for name in fields]))


def _line(values: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode("utf-8", "replace")


def unread_of(parts: Sequence[Handed]) -> dict[str, str]:
    """Datasets that are not, or not wholly, in an export, and why."""
    told = {part.dataset.address: part.unread or exports.not_exported(part) for part in parts}
    return {address: why for address, why in told.items() if why}
