"""What a step does to one row: the meaning shared by every store that addresses rows by key.

Deciding is pure and done here; a store only reads, compares and writes. A change leaves its own
result unchanged, so "nothing would change any more" is what ``check`` asks, and a row that a
former execution has already dealt with is recognised by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import attrgetter
from typing import Literal

from erasure.domain.errors import StoreError
from erasure.domain.expressions import NO_HINTS, Hints
from erasure.domain.masking import CannotMask, candidates, masked_fields, residue_of
from erasure.domain.needles import REDACTED, Matcher
from erasure.domain.placing import Slot, token
from erasure.domain.values import Scalar, askable, canonical, finite, holds, mailbox
from erasure.stores import documents, insides
from erasure.stores.base import Key, Receipt, Residue, Step, Work
from lineage.graph import Field
from lineage.schema import Column, Inside

Row = Mapping[str, Scalar]
State = Literal["ours", "done", "reused"]
ROW_ACTIONS = frozenset({"delete", "anonymize", "redact", "retain", "restrict"})
# Of an array of these no item can be drawn.
_NO_ITEMS = frozenset({"bytes", "empty", "other"})


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A step, resolved against the live table. ``removes``: the row goes; ``untouched``: it stays
    as it is, by law; else its fields change: ``masked``, ``cut`` (to NULL), ``redacted``, and
    ``replaced``: references that lead to a ghost row afterwards, which ``choices`` has.
    ``key`` are the names of the columns that identify a row. ``documents``: by column, what of
    that is done inside it; ``guarded``: guard fields that are inside a column. ``hints``: what the
    table's constraints say of a column; ``choices``: by row key and column, what was chosen because
    the constraints refuse what would have come first; ``contended``: columns for which that depends
    on what other rows hold, and may be chosen otherwise the next time."""

    place: str
    step: Step
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    seed: bytes
    needles: Matcher
    masked: Mapping[str, Field] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    documents: Mapping[str, documents.Edits] = field(default_factory=dict)
    guarded: Mapping[str, Inside] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()
    hints: Mapping[str, Hints] = field(default_factory=dict)
    choices: Mapping[tuple[Scalar, ...], Mapping[str, Scalar]] = field(default_factory=dict)
    contended: frozenset[str] = frozenset()

    @property
    def removes(self) -> bool:
        """True when the row itself goes."""
        return self.step.action == "delete" and self.step.via in ("deep", "refcount")

    @property
    def untouched(self) -> bool:
        """True when the row is kept as it is."""
        return self.step.action in ("retain", "restrict")

    @property
    def changing(self) -> tuple[str, ...]:
        """Names of the columns that may change; none of them is part of the key."""
        plain = dict.fromkeys((*self.masked, *self.cut, *self.redacted))
        for edits in self.documents.values():
            for name in edits.names:
                plain.pop(name, None)
        return (*plain, *self.documents)

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the columns that deciding needs."""
        guard = insides.roots(self.step.guard, self.guarded)
        return tuple(dict.fromkeys((*guard, *self.changing)))

    def changes(self, key: Key, row: Row) -> dict[str, Scalar]:
        """The fields that must change, and to what; empty when nothing is left to do."""
        names = (*self.changing, *self.replaced)
        after = {name: self.after(key, name, row[name]) for name in names}
        return {name: value for name, value in after.items() if value != row[name]}

    def left(self, key: Key, row: Row) -> dict[str, Scalar]:
        """Those changes that show that the step was not carried out."""
        then = dict(zip(self.step.guard, key.guard, strict=True)) if self.replaced else {}
        waiting = {name: None for name in self.replaced if row[name] == then[name]}
        return waiting | {
            name: value
            for name, value in self.changes(key, row).items()
            if name not in self.contended or row[name] not in self.candidates(key, name, row[name])
        }

    def after(self, key: Key, name: str, value: Scalar) -> Scalar:
        """What stands in a field once the step has been carried out. Raises StoreError."""
        chosen = self.choices.get(key.values) if self.choices else None
        if chosen is not None and name in chosen:
            return chosen[name]
        return next(self.candidates(key, name, value))

    def candidates(self, key: Key, name: str, value: Scalar) -> Iterator[Scalar]:
        """What may stand in a field afterwards, best first; also in one of the key. Raises
        StoreError where there is nothing."""
        if name in self.documents:
            yield self._inside(key, name, value)
        elif name in self.cut:
            yield None
        elif name in self.masked or name in self.key:
            for made in self._masks(key.values, name, value):
                yield self._as_kept(name, value, made)
        elif name in self.redacted and isinstance(value, str):
            for made in self._redactions(key, name, value):
                yield self._as_kept(name, value, made)
        else:
            yield value

    def _inside(self, key: Key, name: str, value: Scalar) -> Scalar:
        def mask(field_: str, number: int, there: Scalar) -> Scalar:
            return self._item(self.slot((*key.values, number), field_, there), field_)

        place, edits = f"{self.place}.{name}", self.documents[name]
        return insides.after(place, self.step, key, value, edits, mask, self.needles)

    def _item(self, slot: Slot, name: str) -> Scalar:
        """What takes the place of one value inside a document: of an array the type of its items,
        or NULL where nothing can be drawn of it; of JSON whatever the value is."""
        field_ = self.step.dataset.get(name)
        method = field_.method if field_ else None
        kind = slot.data_type.removesuffix("[]")
        made = replace(slot, data_type="" if kind.upper().startswith("JSON") else kind)
        drawn = method is None or method.name == "random"
        if drawn and slot.family == "array" and made.family in _NO_ITEMS:
            return None
        try:
            return next(candidates(method, made, NO_HINTS))
        except CannotMask as error:
            raise StoreError(f"{self.place}.{name}", str(error)) from None

    def _as_kept(self, name: str, before: Scalar, after: Scalar) -> Scalar:
        """A text of fixed width comes back padded where it was padded before."""
        column = self.columns[name]
        padded = column.length and isinstance(before, str) and len(before) == column.length
        if padded and isinstance(after, str) and column.data_type.upper().startswith("CHAR("):
            return after.ljust(column.length or 0)
        return after

    def _masks(self, key: Sequence[Scalar], name: str, value: Scalar) -> Iterator[Scalar]:
        found = self.step.dataset.get(name)
        method, any_yet = found.method if found else None, False
        try:
            slot = self.slot(key, name, value)
            for made in candidates(method, slot, self.hints.get(name, NO_HINTS)):
                yield made
                any_yet = True
        except CannotMask as error:
            if not any_yet:  # else the candidates have come to their end
                raise StoreError(f"{self.place}.{name}", str(error)) from None

    def slot(self, key: Sequence[Scalar], name: str, value: Scalar) -> Slot:
        """The place of a value."""
        column, found = self.columns[name], self.step.dataset.get(name)
        return Slot(
            value=value,
            data_type=column.data_type or (found.data_type if found else None) or "",
            length=column.length,
            nullable=column.nullable,
            unique=column.unique,
            seed=self.seed,
            key=(self.step.dataset.address, name, *key),
        )

    def _redactions(self, key: Key, name: str, text: str) -> Iterator[Scalar]:
        redacted = documents.redacted(text, self.needles)
        if redacted == text:
            yield text
            return
        length = self.columns[name].length
        if length is None or len(redacted) <= max(length, len(text)):
            yield redacted
        # Where the mark would not fit; nothing fits always.
        yield documents.redacted(text, self.needles, "")
        mark = token(self.slot(key.values, name, text).noise("mark"), len(REDACTED))
        yield documents.redacted(text, self.needles, mark)
        if self.columns[name].nullable:
            yield None

    def clears(self, name: str) -> bool:
        """True where NULL is what comes first."""
        if name in self.cut:
            return True
        field_ = self.masked.get(name)
        default = field_ is not None and (field_.method is None or field_.method.name == "null")
        return default and self.columns[name].nullable

    def spreads(self, name: str) -> bool:
        """True where what comes first is so random that no other row holds it."""
        field_ = self.masked.get(name) or self.step.dataset.get(name)
        method = field_.method.name if field_ and field_.method else "null"
        random = method in ("null", "random", "pseudonymize") and not self.clears(name)
        return name not in self.redacted and random and self.slot((), name, None).wide

    def is_fixed(self, name: str) -> bool:
        """True where there is nothing to choose from."""
        field_ = self.masked.get(name)
        return field_ is not None and field_.method is not None and field_.method.name == "constant"

    def refused(self, name: str) -> str:
        """Why nothing can be put into a field, and the remedy, after the name of a constraint."""
        if name in self.cut:
            return "refuses NULL, so the reference cannot be cut; declare `on_erase: deep`"
        if self.is_fixed(name):
            return "refuses the constant; declare `method: constant: …` with a value it accepts"
        if self.columns[name].unique:  # where no constant can be
            return "refuses every new value; make the column nullable, or declare `action: delete`"
        null = ", or `method: null`" if self.columns[name].nullable else ""
        return f"refuses every new value; declare `method: constant: …` with one it accepts{null}"

    def state(self, key: Key, row: Row) -> State:
        """Whose row it is now: ours as it was found, done by a former execution, or reused."""
        then, now = key.guard, self.guard_of(row)
        if not self.step.guard or now == then or all(map(holds, now, then)):
            return "ours"
        if self.is_theirs(key, row):
            return "done" if not self.left(key, row) else "reused"
        return "reused"

    def is_theirs(self, key: Key, row: Row) -> bool:
        """True while every field of the guard is as it was found, or as the step may have left
        it; a reference that was to be replaced may lead anywhere else."""
        return all(
            holds(now, then) or self._may_become(key, name, then, now)
            for name, then, now in zip(self.step.guard, key.guard, self.guard_of(row), strict=True)
        )

    def guard_of(self, row: Row) -> tuple[Scalar, ...]:
        """The guard fields' values now."""
        return insides.values_of(self.step.guard, self.guarded, row)

    def _may_become(self, key: Key, name: str, then: Scalar, now: Scalar) -> bool:
        inside = self.guarded.get(name)
        if inside is not None:
            return inside.column in self.changing
        return name in self.replaced or now in self.candidates(key, name, then)

    def rewritten(self, key: Key) -> dict[str, Scalar]:
        """New values of the key's own fields that are personal; empty where none is."""
        if not self.rekeys:
            return {}
        values = dict(zip(self.key, key.values, strict=True))
        return {name: self.after(key, name, values[name]) for name in self.rekeys}

    def may_be(self, key: Key, values: Sequence[Scalar]) -> bool:
        """Whether the row that was at that key may be at these values of it now."""
        return bool(self.rekeys) and all(
            holds(now, then) or (name in self.rekeys and now in self.candidates(key, name, then))
            for name, then, now in zip(self.key, key.values, values, strict=True)
        )

    @property
    def rekeys(self) -> tuple[str, ...]:
        """Fields of the key that anonymising must rewrite, with everything that refers to them."""
        if not masks(self.step):
            return ()
        return tuple(f.name for f in masked_fields(self.step.dataset) if f.name in self.key)


def comparable(value: object) -> str | None:
    """The canonical text of a value, or of several together; None for what equals nothing: NULL,
    NaN, broken text."""
    if type(value) is int:
        return str(value)
    if isinstance(value, tuple):
        parts = [comparable(part) for part in value]
        return None if None in parts else canonical(tuple(parts))
    if value is None or (isinstance(value, (float, Decimal)) and not finite(value)):
        return None
    text = canonical(value)  # type: ignore[arg-type]  # anything else has a str()
    return text if askable(text) else None


def folded(value: object) -> str | None:
    """:func:`comparable` without regard to case: how mailboxes are compared."""
    text = comparable(value)
    return None if text is None else text if text.isdecimal() and text.isascii() else mailbox(text)


def masks(step: Step) -> bool:
    """True when a step anonymises the rows themselves, not only what points at the person."""
    return step.action == "anonymize" and step.via in ("deep", "refcount")


def unique_keys(work: Work) -> Mapping[tuple[Scalar, ...], Key]:
    """The keys of a work by their values, each once. Raises StoreError for a missing guard."""
    width = len(work.step.guard)
    if width and set(map(len, map(attrgetter("guard"), work.keys))) - {width}:
        raise StoreError(work.step.dataset.address, "a key came without its guard; search again")
    return work.by_values


def receipt_of(
    work: Work,
    keys: Mapping[tuple[Scalar, ...], Key],
    *,
    reused: Sequence[Key] = (),
    kept: Sequence[Key] = (),
    note: str = "",
) -> Receipt:
    """What is said about a work: counted from its ``keys``, never from a row count."""
    return Receipt(
        dataset=work.step.dataset.address,
        action=work.step.action,
        done=len(keys) - len(reused) - len(kept),
        residue=residue_after(work.step),
        reused=tuple(reused),
        kept=tuple(kept),
        note=note,
    )


def residue_after(step: Step) -> Residue:
    """The state of the copy once the step has been carried out."""
    if step.action in ("retain", "restrict"):
        return "retained_until"
    if masks(step):
        return residue_of(step.dataset)
    return "logically_deleted"


def failures(
    effect: Effect,
    rows: Iterable[tuple[Key, Row]],
    still_referred: Callable[[Sequence[Key]], Sequence[Key]],
) -> list[str]:
    """Why the postcondition does not hold, one text per row, without values.

    ``still_referred`` answers which of some shared rows somebody refers to: those may stay.
    """
    ours = [(k, row) for k, row in rows if effect.state(k, row) != "reused"]
    if effect.untouched:
        return []
    if effect.step.via == "refcount":
        kept = {key.values for key in still_referred([key for key, _ in ours])}
        ours = [(key, row) for key, row in ours if key.values not in kept]
    return [why for key, row in ours if (why := _failure(effect, key, row))]


def _failure(effect: Effect, key: Key, row: Row) -> str:
    if effect.removes:
        return "the row is still there"
    if effect.rewritten(key).items() - dict(zip(effect.key, key.values, strict=True)).items():
        return "the row still has its personal key"
    left = effect.left(key, row)
    return f"not cleared: {', '.join(sorted(left))}" if left else ""
