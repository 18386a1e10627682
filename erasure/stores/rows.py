"""What a step does to one row: the meaning shared by every store that addresses rows by key.

Deciding is pure and done here; a store only reads, compares and writes. A change leaves its own
result unchanged, so "nothing would change any more" is what ``check`` asks, and a row that a
former execution has already dealt with is recognised by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from erasure.domain.errors import StoreError
from erasure.domain.masking import CannotMask, masked_fields, replacement, residue_of
from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar, canonical, fold
from erasure.stores.base import Key, Receipt, Residue, Secrets, Step, Work
from lineage.graph import Field
from lineage.schema import Column, Table

Row = Mapping[str, Scalar]
State = Literal["ours", "done", "reused"]
ROW_ACTIONS = frozenset({"delete", "anonymize", "redact", "retain", "restrict"})


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A step, resolved against the live table. ``removes``: the row goes; ``untouched``: it stays
    as it is, by law; else its fields change: ``masked``, ``cut`` (to NULL) and ``redacted``.
    ``key`` are the names of the columns that identify a row."""

    place: str
    step: Step
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    seed: bytes
    needles: Matcher
    masked: Mapping[str, Field] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()

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
        """Names of the fields that may change; none of them is part of the key."""
        return tuple(dict.fromkeys((*self.masked, *self.cut, *self.redacted)))

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the fields that deciding needs."""
        return tuple(dict.fromkeys((*self.step.guard, *self.changing)))

    def changes(self, key: Sequence[Scalar], row: Row) -> dict[str, Scalar]:
        """The fields that must change, and to what; empty when nothing is left to do."""
        after = {name: self.after(key, name, row[name]) for name in self.changing}
        return {name: value for name, value in after.items() if value != row[name]}

    def after(self, key: Sequence[Scalar], name: str, value: Scalar) -> Scalar:
        """What stands in a field once the step has been carried out. Raises StoreError."""
        if name in self.cut:
            return None
        if name in self.masked:
            return self._as_kept(name, value, self.mask(key, name, value))
        if name in self.redacted and isinstance(value, str):
            return self._as_kept(name, value, self._redact(name, value))
        return value

    def _as_kept(self, name: str, before: Scalar, after: Scalar) -> Scalar:
        """A text of fixed width comes back padded where it was padded before."""
        column = self.columns[name]
        padded = column.length and isinstance(before, str) and len(before) == column.length
        if padded and isinstance(after, str) and column.data_type.upper().startswith("CHAR("):
            return after.ljust(column.length or 0)
        return after

    def mask(self, key: Sequence[Scalar], name: str, value: Scalar) -> Scalar:
        """The value that anonymising puts there, also into a field of the key."""
        column = self.columns[name]
        found = self.step.dataset.get(name)
        try:
            return replacement(
                found.method if found else None,
                value=value,
                data_type=column.data_type or (found.data_type if found else None),
                length=column.length,
                nullable=column.nullable,
                unique=column.unique,
                seed=self.seed,
                key=(self.step.dataset.address, name, *key),
            )
        except CannotMask as error:
            raise StoreError(f"{self.place}.{name}", str(error)) from None

    def _redact(self, name: str, text: str) -> str:
        redacted = self.needles.redact(text)
        length = self.columns[name].length
        if length is not None and len(redacted) > max(length, len(text)):
            return self.needles.redact(text, "")  # the mark would not fit; nothing fits always
        return redacted

    def state(self, key: Key, row: Row) -> State:
        """Whose row it is now: ours as it was found, done by a former execution, or reused."""
        then, now = key.guard, tuple(row[name] for name in self.step.guard)
        if not self.step.guard or now == then:
            return "ours"
        pairs = zip(self.step.guard, then, now, strict=True)
        if all(n in (t, self.after(key.values, name, t)) for name, t, n in pairs):
            return "done" if not self.changes(key.values, row) else "reused"
        return "reused"

    def rewritten(self, key: Key) -> dict[str, Scalar]:
        """New values of the key's own fields that are personal; empty where none is."""
        if not self.rekeys:
            return {}
        values = dict(zip(self.key, key.values, strict=True))
        return {name: self.mask(key.values, name, values[name]) for name in self.rekeys}

    @property
    def rekeys(self) -> tuple[str, ...]:
        """Fields of the key that anonymising must rewrite, with everything that refers to them."""
        if not masks(self.step):
            return ()
        return tuple(f.name for f in masked_fields(self.step.dataset) if f.name in self.key)


def comparable(value: object) -> str | None:
    """The canonical text of a value, or of several together; None for what equals nothing: NULL,
    NaN, broken text."""
    if isinstance(value, tuple):
        parts = [comparable(part) for part in value]
        return None if None in parts else canonical(tuple(parts))
    if value is None or (isinstance(value, (float, Decimal)) and not math.isfinite(value)):
        return None
    text = canonical(value)  # type: ignore[arg-type]  # anything else has a str()
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return None if "\x00" in text else text


def folded(value: object) -> str | None:
    """:func:`comparable` without regard to case: how mailboxes are compared."""
    text = comparable(value)
    return None if text is None else fold(text)


def masks(step: Step) -> bool:
    """True when a step anonymises the rows themselves, not only what points at the person."""
    return step.action == "anonymize" and step.via in ("deep", "refcount")


def effect_of(
    step: Step, table: Table, key: tuple[str, ...], secrets: Secrets, place: str
) -> Effect:
    """Resolve a step against its live table. Raises StoreError for what cannot be done there."""
    if step.action not in ROW_ACTIONS:
        raise StoreError(
            place,
            f"a store of rows cannot carry out '{step.action}'; "
            f"use one of: {', '.join(sorted(ROW_ACTIONS))}",
        )
    columns = {c.name: c for c in table.columns}
    masked, cut, redacted = _fields(step, columns, key)
    _require(place, columns, (*step.guard, *masked, *cut, *redacted))
    _refuse_cuts(place, step, cut, columns)
    effect = Effect(
        place=place,
        step=step,
        key=key,
        columns=columns,
        seed=secrets.seed,
        needles=secrets.needles.precise() if redacted else Matcher(()),
        masked=masked,
        cut=cut,
        redacted=redacted,
    )
    _refuse_assigned(place, columns, (*effect.changing, *effect.rekeys))
    return effect


def _fields(
    step: Step, columns: Mapping[str, Column], key: tuple[str, ...]
) -> tuple[dict[str, Field], tuple[str, ...], tuple[str, ...]]:
    """Masked, cut and redacted fields; a field is dealt with once, in that order of strength."""
    removes = step.action == "delete" and step.via in ("deep", "refcount")
    if removes or step.action in ("retain", "restrict"):
        return {}, (), ()
    cut = () if step.via == "mention" else tuple(n for n in step.cut if n not in key)
    masked = {
        f.name: f
        for f in (masked_fields(step.dataset) if masks(step) else ())
        if f.name not in key and f.name not in cut and not _generated(columns, f.name)
    }
    redacted = tuple(n for n in step.redact if n not in masked and n not in cut and n not in key)
    return masked, cut, redacted


def _generated(columns: Mapping[str, Column], name: str) -> bool:
    return name in columns and columns[name].generated


def _require(place: str, columns: Mapping[str, Column], names: Iterable[str]) -> None:
    for name in names:
        if name not in columns:
            raise StoreError(place, f"the column '{name}' is missing; correct the catalogue")


def _refuse_cuts(
    place: str, step: Step, cut: tuple[str, ...], columns: Mapping[str, Column]
) -> None:
    for name in cut:
        if name in step.ghost:
            raise StoreError(
                f"{place}.{name}",
                "ghost rows are not made by this version; make the column nullable and declare "
                "`on_erase: shallow`",
            )
        if not columns[name].nullable:
            raise StoreError(
                f"{place}.{name}",
                "the reference cannot be cut, the column refuses NULL; make it nullable, or "
                "declare `on_erase: deep`",
            )


def _refuse_assigned(place: str, columns: Mapping[str, Column], names: Iterable[str]) -> None:
    for name in names:
        if columns[name].assigned:
            raise StoreError(
                f"{place}.{name}",
                "the database alone writes it (GENERATED ALWAYS AS IDENTITY); declare "
                "`method: keep`, or make it GENERATED BY DEFAULT",
            )


def unique_keys(work: Work) -> dict[tuple[Scalar, ...], Key]:
    """The keys of a work by their values, each once. Raises StoreError for a missing guard."""
    width = len(work.step.guard)
    if width and any(len(key.guard) != width for key in work.keys):
        raise StoreError(work.step.dataset.address, "a key came without its guard; search again")
    return {key.values: key for key in work.keys}


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
    left = effect.changes(key.values, row)
    return f"not cleared: {', '.join(sorted(left))}" if left else ""
