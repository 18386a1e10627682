"""What one step does to one row. Pure.

=================  ======================================================================
the row            what happens
=================  ======================================================================
equals a key       ``drop``: goes; ``replace``: personal fields by their methods, cuts to NULL,
                   needles in free text; ``mask``: personal fields and every needle of the row;
                   ``cut`` (shallow): reference fields to NULL, needles in free text
holds a needle     needles in free text are redacted and nothing else: a row that was found by
                   its text is never dropped, because it may be somebody else's
unreadable line    needles in it are redacted as in plain text; it is never dropped
=================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from erasure.domain.masking import CannotMask, masked_fields, replacement
from erasure.domain.needles import REDACTED, Matcher, Needle
from erasure.domain.values import Scalar, canonical, fold, mailbox
from erasure.stores.base import Key, Secrets, Step
from erasure.stores.objects import documents
from erasure.stores.objects.documents import Row, Slot
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.matching import LINE, Query, Wanted, folds
from lineage.graph import Dataset, Field
from lineage.schema import Column

Outcome = Literal["drop", "replace", "mask", "redact", "cut"]
Guard = tuple[str, ...]


def is_text_key(step: Step, field: str) -> bool:
    """True when keys of that field stand for a value inside a text."""
    return field == LINE or field in step.redact or field in step.dataset.free_text


class Edit:
    """One step on one object, under the keys that were found there."""

    def __init__(
        self,
        step: Step,
        keys: Sequence[Key],
        secrets: Secrets,
        *,
        outcome: Outcome,
        scope: tuple[str, ...],
        columns: Mapping[str, Column],
    ) -> None:
        """``scope``: the fields in which needles are redacted; ``columns``: of this object."""
        self._step = step
        self._secrets = secrets
        self._outcome = outcome
        self._scope = scope
        self._columns = columns
        self._guards = _guards(step, keys)
        for name in step.cut:
            column = columns.get(name)
            if column is not None and not column.nullable:
                raise Fault(f"{name} may not be NULL; declare `on_erase: deep`")
        self._ranks: dict[tuple[str, str], int] = {}
        self._owned: set[tuple[str, str]] = set()
        self._others: set[tuple[str, str]] = set()
        texts = {str(k.values[2]) for k in keys if is_text_key(step, str(k.values[1]))}
        self._mentions = step.via == "mention" or bool(texts)
        self._needles = _redactable(secrets.needles, texts)
        self.query = self._query()

    def _query(self) -> Query:
        wanted: dict[str, list[str]] = {}
        for field, text in self._guards:
            wanted.setdefault(field, []).append(text)
        dataset = self._step.dataset
        equal = {f: Wanted(t, fold_case=folds(dataset, f)) for f, t in wanted.items()}
        texts = [n.text for n in self._needles.needles] if self._mentions else ()
        changed = [f.name for f in masked_fields(dataset)] if self._outcome != "drop" else []
        also = (*self._step.guard, *self._step.cut, *self._scope, *dataset.key, *changed)
        return Query(equal=equal, texts=texts, text_fields=self._scope, also=also)

    @property
    def drops(self) -> bool:
        """True when the person's own rows go."""
        return self._outcome == "drop"

    def begin(self) -> None:
        """Start a pass over the object from its first row."""
        self._ranks.clear()
        self._owned, self._others = set(), set()

    @property
    def owned(self) -> set[tuple[str, str]]:
        """Keys (field and text) at which this pass has met rows of the person."""
        return self._owned

    @property
    def others(self) -> set[tuple[str, str]]:
        """Keys at which it has met rows that are somebody else's now."""
        return self._others

    def apply(self, row: Row, before: Row) -> Row | None:
        """The row afterwards: itself where nothing changes, None where it goes. ``before``: as it
        was before any step of this pass, by which it is known."""
        sight = self._own(row, before)
        if sight and self._outcome == "drop":
            return None
        if sight:
            row = self._changed(row, sight)
        return self._redacted(row, self._scope) if self._mentions else row

    def apply_to_text(self, text: str) -> str:
        """What becomes of a line that its format cannot read, or of a plain text line."""
        return self._needles.redact(text)

    def _own(self, row: Row, before: Row) -> tuple[str, str] | None:
        mine = None
        guards = (guard_of(before, self._step), guard_of(row, self._step))
        told = any(guards[0]) or not self._step.guard
        for key in self._equal(before):
            fits = _fits(self._guards[key], *guards)
            if told:
                (self._owned if fits else self._others).add(key)
            mine = key if fits and mine is None else mine
        return mine

    def _equal(self, row: Row) -> Iterator[tuple[str, str]]:
        for field, wanted in self.query.equal.items():
            for value in documents.values(row, field):
                text = wanted.match(value)
                if text is not None:
                    yield field, text

    def _changed(self, row: Row, sight: tuple[str, str]) -> Row:
        for field in self._step.cut:
            row = _set(row, field, lambda _: None)
        if self._outcome == "replace":
            row = self._replaced(row, sight)
        if self._outcome == "mask":
            row = self._masked(row)
            return self._redacted(row, tuple(row))
        return self._redacted(row, self._scope)

    def _masked(self, row: Row) -> Row:
        names = {f.name for f in self._step.dataset.fields if f.personal} | set(self.query.equal)
        for name in sorted(names):
            row = _set(row, name, _mask)
        return row

    def _redacted(self, row: Row, fields: tuple[str, ...]) -> Row:
        for field in fields:
            for slot, value in list(documents.slots(row, field)):
                new = documents.redacted(value, self._needles.redact)
                if new is not value:
                    row = documents.put(row, slot, new)
        return row

    def _replaced(self, row: Row, sight: tuple[str, str]) -> Row:
        rank = self._ranks[sight] = self._ranks.get(sight, 0) + 1
        key = _row_key(row, self._step.dataset) or (*sight, str(rank))
        for field in masked_fields(self._step.dataset):
            for slot, value in list(documents.slots(row, field.name)):
                if isinstance(value, list | tuple | Mapping):
                    row = _without(row, slot, value, field, self._columns.get(field.name))
                    continue
                new = self._replacement(field, value, key)
                if new != value or type(new) is not type(value):
                    row = documents.put(row, slot, new)
        return row

    def _replacement(self, field: Field, value: Any, key: tuple[str, ...]) -> Any:
        column = self._columns.get(field.name)
        try:
            return replacement(
                field.method,
                value=value,
                data_type=column.data_type if column else field.data_type,
                length=column.length if column else None,
                nullable=not field.primary_key and (column.nullable if column else True),
                unique=field.primary_key,
                seed=self._secrets.seed,
                key=(self._step.dataset.address, field.name, *key),
            )
        except CannotMask as error:
            raise Fault(f"{field.name}: {error}") from None


def _without(row: Row, slot: Slot, value: Any, field: Field, column: Column | None) -> Row:
    """A nested value goes as a whole, or loses the path that ``drop_key`` names."""
    if field.method and field.method.name == "drop_key" and field.method.argument:
        for inner, _ in list(documents.slots(value, field.method.argument)):
            value = documents.without(value, inner)
        changed = value != _at(row, slot)
    elif column is not None and not column.nullable:
        raise Fault(f"{field.name} is nested and may not be NULL; delete these rows instead")
    else:
        value, changed = None, True
    after: Row = documents.put(row, slot, value) if changed else row
    return after


def _at(row: Any, slot: Slot) -> Any:
    for part in slot:
        row = row[part]
    return row


def _guards(step: Step, keys: Sequence[Key]) -> dict[tuple[str, str], set[Guard]]:
    """Per field and text the guards under which a row is the person's; none means any.

    Raises Fault for a key without the guard that the step tests.
    """
    guards: dict[tuple[str, str], set[Guard]] = {}
    for key in keys:
        field, text = str(key.values[1]), str(key.values[2])
        if is_text_key(step, field):
            continue
        text = mailbox(text) if folds(step.dataset, field) else text
        if step.guard and len(key.guard) != len(step.guard):
            raise Fault("a key came without its guard; search again")
        allowed = guards.setdefault((field, text), set())
        if step.guard:
            allowed.add(tuple(map(_plain, key.guard)))
    return guards


def _fits(allowed: set[Guard], before: Guard, now: Guard) -> bool:
    """Whether a row is under one of the guards. Some of them know already that a step of the same
    pass cuts a reference of the row, some do not."""
    if not allowed or before in allowed or now in allowed:
        return True
    if before == now:
        return False
    pairs = list(zip(before, now, strict=True))
    return any(all(v in p for v, p in zip(one, pairs, strict=True)) for one in allowed)


def guard_of(row: Row, step: Step) -> Guard:
    """The guard fields' values, comparable."""
    return tuple(_plain(documents.first(row, f)) for f in step.guard)


def _plain(value: Scalar) -> str:
    return "" if value is None else fold(canonical(value))


def _redactable(needles: Matcher, texts: set[str]) -> Matcher:
    """The precise needles, and the texts that keys were found by unless they are coarse."""
    coarse = {fold(n.text) for n in needles.needles if n.coarse}
    asked = (Needle(text=t, category="") for t in texts if fold(t) not in coarse)
    return Matcher([*needles.precise().needles, *asked])


def _row_key(row: Row, dataset: Dataset) -> tuple[str, ...]:
    values = [documents.first(row, name) for name in dataset.key]
    if not values or None in values or any(f.primary_key for f in masked_fields(dataset)):
        return ()
    return tuple(canonical(v) for v in values)


def _mask(value: Any) -> Any:
    """The mark of redaction for a text, NULL for what cannot hold it."""
    if isinstance(value, list):
        return [_mask(item) for item in value]
    return REDACTED if isinstance(value, str) else None


def _set(row: Row, field: str, value: Callable[[Any], Any]) -> Row:
    """Every place of the field, where it is not NULL."""
    for slot, old in list(documents.slots(row, field)):
        if old is not None:
            row = documents.put(row, slot, value(old))
    return row


class Edits:
    """The steps on one object, in the order given; one pass carries out all of them."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.edits = tuple(edits)

    def begin(self) -> None:
        """Start a pass over the object from its first row."""
        for edit in self.edits:
            edit.begin()

    def apply(self, row: Row) -> Row | None:
        """The row after every step."""
        changed: Row | None = row
        for edit in self.edits:
            if changed is None:
                break
            changed = edit.apply(changed, row)
        return changed

    def apply_to_text(self, text: str) -> str:
        """A text line after every step."""
        for edit in self.edits:
            text = edit.apply_to_text(text)
        return text

    @property
    def query(self) -> Query:
        """One question whose answer holds every row that some step may change."""
        equal: dict[str, list[Scalar]] = {}
        folding: dict[str, bool] = {}
        for query in (e.query for e in self.edits):
            for field, wanted in query.equal.items():
                equal.setdefault(field, []).extend(v for g in wanted.given.values() for v in g)
                folding[field] = folding.get(field, False) or wanted.fold_case
        return Query(
            equal={f: Wanted(v, fold_case=folding[f]) for f, v in equal.items()},
            texts=sorted({str(t) for e in self.edits for t in e.query.texts}),
            text_fields=tuple(dict.fromkeys(f for e in self.edits for f in e.query.text_fields)),
            also=tuple(dict.fromkeys(f for e in self.edits for f in e.query.fields)),
        )
