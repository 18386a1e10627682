"""Putting back what a case took: which rows can be, which cannot and why, and the doing.

A row is left alone where somebody has changed it or its key since; and then so is everything that
refers to it, in whatever store, because it would be attached to somebody else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import StoreError
from erasure.domain.finding import KeyText
from erasure.domain.values import Scalar, canonical
from erasure.models import Capture, ErasureRequest, Run
from erasure.runs import case, journal
from erasure.runs.images import Images
from erasure.runs.lease import lease
from erasure.runs.searching import Stores
from erasure.stores.base import Captures, Image, Missing
from erasure.stores.images import digest, exact_key
from lineage.graph import Dataset
from lineage.schema import Inspection

Place = tuple[str, str]  # store, collection
RowId = tuple[Place, KeyText]
Values = tuple[str, ...]
# table → what became of its rows → how many
Report = dict[str, dict[str, int]]
BACK = "put back"


@dataclass(frozen=True, kw_only=True)
class Tie:
    """Columns of one table that refer to columns of another, by constraint or by catalogue."""

    holder: Place
    columns: tuple[str, ...]
    target: Place
    target_columns: tuple[str, ...]


@dataclass
class Judgement:
    """What may not be put back: whole rows; and images that a later one has overtaken."""

    alone: set[RowId] = field(default_factory=set)
    overtaken: set[tuple[int, RowId]] = field(default_factory=set)
    missing: list[tuple[RowId, Missing]] = field(default_factory=list)


class Undoing:
    """One case's way back. ``stores`` are open."""

    def __init__(self, request: ErasureRequest, stores: Stores) -> None:
        assert request.run is not None  # noqa: S101 - what was captured was captured by a run
        self._run: Run = request.run
        self._request, self._stores = request, stores
        self._key = vault.open_key(request.id, "undo")
        self._captures = list(request.captures.filter(complete=True).order_by("-ordinal", "store"))

    def put_back(self) -> None:
        """Put back everything that can be, store by store, the latest batch first; each all or
        none, and none twice. Raises StoreError and Fenced."""
        judged = self._judge()
        for capture in self._waiting():
            with lease(self._run.id, capture.store) as fence:
                _Part(self._images(capture), capture, judged).restore(self._store(capture.store))
                with transaction.atomic():
                    fence.check()
                    Capture.objects.filter(pk=capture.pk).update(put_back_at=timezone.now())

    def look_again(self) -> Report:
        """Compare every row with its earliest image: what stands as before is back."""
        report: dict[str, Counter[str]] = defaultdict(Counter)
        seen: set[RowId] = set()
        for capture in reversed(self._captures):
            own = (i for i in self._images(capture) if _row_id(capture.store, i) not in seen)
            for standing in self._store(capture.store).compare(own):
                row = _row_id(capture.store, standing.image)
                seen.add(row)
                if standing.how == "before" and not standing.image.values:
                    continue  # a row that was added has gone again
                word = _WORDS[standing.how]
                report[f"{capture.store}.{standing.image.collection}"][word] += 1
        return {table: dict(sorted(counts.items())) for table, counts in sorted(report.items())}

    def _waiting(self) -> list[Capture]:
        return [capture for capture in self._captures if capture.put_back_at is None]

    def _images(self, capture: Capture) -> Images:
        return Images(capture, self._key)

    def _store(self, name: str) -> Captures:
        store = self._stores.get(name)
        if not isinstance(store, Captures):
            raise StoreError(name, "cannot put back what it captured; was its kind changed?")
        return store

    def _judge(self) -> Judgement:
        judged = Judgement(alone=self._left_before())
        latest: dict[RowId, str] = {}
        for capture in self._waiting():
            fresh = self._fresh(capture, judged, latest)
            for standing in self._store(capture.store).compare(fresh):
                row = _row_id(capture.store, standing.image)
                if standing.how in ("changed", "taken"):
                    judged.alone.add(row)
                judged.missing += [(row, missing) for missing in standing.missing]
        if judged.alone or judged.missing:
            self._leave_dependants(judged)
        return judged

    def _left_before(self) -> set[RowId]:
        """Rows that an undo which died on the way has left alone: what refers to them stays, too.
        One that was put back and has been changed since is not told from them."""
        alone: set[RowId] = set()
        seen: set[RowId] = set()
        for capture in reversed(self._captures):
            if capture.put_back_at is not None:
                own = (i for i in self._images(capture) if _row_id(capture.store, i) not in seen)
                for standing in self._store(capture.store).compare(own):
                    row = _row_id(capture.store, standing.image)
                    seen.add(row)
                    alone |= {row} if standing.how != "before" else set()
        return alone

    def _fresh(
        self, capture: Capture, judged: Judgement, latest: dict[RowId, str]
    ) -> Iterator[Image]:
        """Images of rows of which no later one is there. An earlier image counts on what the
        later one puts back; one that says something else never took place, or was overtaken."""
        for image in self._images(capture):
            row = _row_id(capture.store, image)
            before = digest(image.values)
            if row not in latest:
                yield image
            elif image.left != latest[row]:
                if before != latest[row]:
                    judged.overtaken.add((capture.pk, row))
                continue
            latest[row] = before

    def _leave_dependants(self, judged: Judgement) -> None:
        ties = _ties(self._request, self._stores, {c.store for c in self._captures})
        judged.alone |= self._in_vain(judged)
        barred: dict[Tie, set[Values]] = {tie: set() for tie in ties}
        before = -1
        while len(judged.alone) > before:
            before = len(judged.alone)
            for row, image in self._every():
                if row in judged.alone:
                    for tie in ties:
                        if tie.target == row[0]:
                            barred[tie] |= _told(image, tie.target_columns)
            for row, image in self._every():
                if any(_told(image, t.columns) & barred[t] for t in ties if t.holder == row[0]):
                    judged.alone.add(row)

    def _in_vain(self, judged: Judgement) -> set[RowId]:
        """Rows that would refer to one that is neither there nor put back."""
        wanted = {
            ((row[0][0], missing.collection), missing.columns) for row, missing in judged.missing
        }
        coming: dict[tuple[Place, tuple[str, ...]], set[Values]] = defaultdict(set)
        for row, image in self._every():
            for place, columns in wanted:
                if row[0] == place and row not in judged.alone:
                    coming[place, columns] |= _told(image, columns)
        return {
            row
            for row, missing in judged.missing
            if _texts(missing.values)
            not in coming[(row[0][0], missing.collection), missing.columns]
        }

    def _every(self) -> Iterator[tuple[RowId, Image]]:
        for capture in self._captures:
            for image in self._images(capture):
                yield _row_id(capture.store, image), image


@dataclass(frozen=True)
class _Part:
    """The images of one capture that may be put back; iterated as often as the store likes."""

    images: Iterable[Image]
    capture: Capture
    judged: Judgement

    def __iter__(self) -> Iterator[Image]:
        for image in self.images:
            row = _row_id(self.capture.store, image)
            overtaken = (self.capture.pk, row) in self.judged.overtaken
            if row not in self.judged.alone and not overtaken:
                yield image

    def restore(self, store: Captures) -> None:
        """Hand them to the store."""
        store.restore(self)


_WORDS: Mapping[str, str] = {
    "before": BACK,
    "left": "left: refers to rows that are not there",
    "changed": "left: changed by somebody since",
    "taken": "left: its key or a unique value is another row's now",
}


def _row_id(store: str, image: Image) -> RowId:
    return (store, image.collection), exact_key(image.key)


def _texts(values: Sequence[Scalar]) -> Values:
    return tuple(canonical(value) for value in values)


def _told(image: Image, columns: Sequence[str]) -> set[Values]:
    """The values of some columns as one text each; nothing where a part is NULL."""
    values = [image.values.get(name) for name in columns]
    return set() if None in values else {_texts(values)}


def _ties(request: ErasureRequest, stores: Stores, names: Iterable[str]) -> list[Tie]:
    """Foreign keys of the stores, and the references by which the person was found."""
    inspections = {name: stores.get(name).inspect() for name in sorted(names)}
    ties = {
        Tie(
            holder=(store, collection),
            columns=key.columns,
            target=(store, key.target),
            target_columns=key.target_columns,
        )
        for store, inspection in inspections.items()
        for collection, table in inspection.tables.items()
        for key in table.foreign_keys
    }
    assert request.run is not None  # noqa: S101 - what was captured was captured by a run
    datasets = {s.step.dataset.address: s.step.dataset for s in journal.run_steps(request.run)}
    plan = request.plans.exclude(state="stale").latest("made_at")
    for reference in (case.edge_from_json(edge).reference for edge in plan.edges):
        places = [
            _place(datasets.get(address), inspections)
            for address in (reference.holder, reference.target)
        ]
        holder, target = places
        if holder and target:
            ties.add(
                Tie(
                    holder=holder,
                    columns=(reference.holder_field,),
                    target=target,
                    target_columns=(reference.target_field,),
                )
            )
    return sorted(ties, key=repr)


def _place(dataset: Dataset | None, inspections: Mapping[str, Inspection]) -> Place | None:
    """Where the rows of a dataset are, as its store names the place."""
    if dataset is None or dataset.store not in inspections:
        return None
    qualified = f"{dataset.schema}.{dataset.name}" if dataset.schema else dataset.name
    known = qualified in inspections[dataset.store].tables
    return dataset.store, qualified if known else dataset.name
