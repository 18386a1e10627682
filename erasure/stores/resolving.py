"""A step is resolved against its live table: what it changes there, or why it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from erasure.domain.errors import StoreError
from erasure.domain.expressions import Hints
from erasure.domain.masking import masked_fields
from erasure.domain.needles import Matcher
from erasure.stores import insides
from erasure.stores.base import Secrets, Step
from erasure.stores.rows import ROW_ACTIONS, Effect, masks
from lineage.graph import Field
from lineage.schema import Column, Table


def effect_of(
    step: Step,
    table: Table,
    key: tuple[str, ...],
    secrets: Secrets,
    place: str,
    hints: Mapping[str, Hints] | None = None,
) -> Effect:
    """Resolve a step against its live table. Raises StoreError for what cannot be done there."""
    if step.action not in ROW_ACTIONS:
        raise StoreError(
            place,
            f"a store of rows cannot carry out '{step.action}'; "
            f"use one of: {', '.join(sorted(ROW_ACTIONS))}",
        )
    names = (*(f.name for f in step.dataset.fields), *step.guard, *step.cut, *step.redact)
    columns = insides.columns_of(table, step, names)
    masked, cut, redacted = _fields(step, columns, key)
    replaced = step.reference if step.ghost else ()
    _require(place, columns, (*step.guard, *masked, *cut, *redacted, *replaced))
    _refuse_cuts(place, [n for n in cut if table.inside(n) is None], columns)
    inside = insides.edits_of(table, masked, cut, redacted)
    covered = insides.covered(table, (*masked, *cut, *redacted), inside)
    effect = Effect(
        place=place,
        step=step,
        key=key,
        columns=columns,
        seed=secrets.seed,
        needles=secrets.needles.precise() if redacted else Matcher(()),
        masked={n: f for n, f in masked.items() if n not in covered},
        cut=tuple(n for n in cut if n not in covered),
        redacted=tuple(n for n in redacted if n not in covered),
        documents=inside,
        guarded=insides.insides_of(table, step.guard),
        replaced=replaced,
        hints=hints or {},
    )
    _refuse_assigned(place, columns, (*effect.changing, *effect.rekeys))
    _refuse_large_objects(place, table, effect)
    if not (table.transactional or effect.untouched):
        raise StoreError(
            place,
            "its engine has no transactions, so that a crash would leave half; ALTER TABLE "
            f"{table.name} ENGINE=InnoDB",
        )
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


def _refuse_cuts(place: str, cut: Sequence[str], columns: Mapping[str, Column]) -> None:
    for name in cut:
        if not columns[name].nullable:
            raise StoreError(
                f"{place}.{name}",
                "the reference cannot be cut, the column refuses NULL; declare "
                "`on_erase: {shallow: ghost}`, or `on_erase: deep`",
            )


def _refuse_large_objects(place: str, table: Table, effect: Effect) -> None:
    """They are no part of the row, would stay behind it, and no search looks into them."""
    numbers = {f.name for f in effect.step.dataset.fields if f.data_type == "integer"}
    for name in table.large_objects:
        if (effect.removes or name in effect.changing) and name not in numbers:
            raise StoreError(
                f"{place}.{name}",
                "a large object would stay when this number of it goes; CREATE TRIGGER … BEFORE "
                "UPDATE OR DELETE … EXECUTE FUNCTION lo_manage(…) (extension lo), or declare "
                "`data_type: integer` where it is a plain number",
            )


def _refuse_assigned(place: str, columns: Mapping[str, Column], names: Iterable[str]) -> None:
    for name in names:
        if columns[name].assigned:
            raise StoreError(
                f"{place}.{name}",
                "the database alone writes it (GENERATED ALWAYS AS IDENTITY); declare "
                "`method: keep`, or make it GENERATED BY DEFAULT",
            )
