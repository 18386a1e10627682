"""Steps: one action on one dataset, the unit a plan is made of and a store carries out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from erasure.domain.retention import parse_until
from erasure.domain.values import Scalar, canonical, fold
from lineage.graph import Dataset, Field, Method, Pairs

Action = Literal[
    "delete",
    "anonymize",
    "retain",
    "redact",
    "restrict",
    "rewrite",
    "shred",
    "expire",
    "rebuild",
    "unlearn",
    "retrain",
    "retire",
    "notify",
    "manual",
]
Residue = Literal[
    "present",
    "logically_deleted",
    "purged",
    "anonymized",
    "pseudonymized",
    "retained_until",
    "expires_on",
    "beyond_use",
    "blocked_until",
    "clean",
]
# The row stays as it is, by law: it is listed, and nothing in it is touched.
KEPT = frozenset({"retain", "restrict"})
# How a row was reached. ``mention``: somebody else's text in which a needle stands.
Via = Literal["deep", "refcount", "shallow", "mention"]


@dataclass(frozen=True, kw_only=True)
class Referrer:
    """A field, of this or another collection of the same store, that can refer to a row; with
    ``also`` (field, target field) pairs where the reference is composite."""

    collection: str
    field: str
    target_field: str
    schema: str | None = None
    also: Pairs = ()


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """Where a row is made that takes the person's place, and by which of its fields it is referred
    to: a row for each row that refers to the person, and shared by no two."""

    dataset: Dataset
    field: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is done in one dataset to the rows reached in one way. Frozen into the plan.

    ``reference``: the fields by which the rows refer to the person; ``cut``: reference fields set
    to NULL because the row stays; ``ghost``: where there is one, ``reference`` leads to a row of
    it instead; ``redact``: free-text fields; ``referrers``: who keeps a refcounted row alive, or
    follows a key that is rewritten; ``along``: codes of the cascades that the store may let
    happen, because whoever approves the plan accepts them; ``held``: the step that this one stands
    still for, until a hold is released or an exception has ended; ``kept``: the fields that an
    exception keeps in a row of which the rest goes; ``live_key``: the fields of the key of rows
    that stay, where only their database tells them.
    """

    dataset: Dataset
    action: Action
    via: Via = "deep"
    guard: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    ghost: Ghost | None = None
    redact: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    along: tuple[str, ...] = ()
    held: Step | None = None
    kept: tuple[str, ...] = ()
    live_key: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """Fields of the key, as far as they are told."""
        return self.dataset.key or self.live_key

    def to_json(self) -> dict[str, Any]:
        """JSON-serialisable; holds no value of any person."""
        plain = dict(vars(self))
        plain["dataset"] = self.dataset.to_json()
        if self.ghost:
            plain["ghost"] = {"dataset": self.ghost.dataset.to_json(), "field": self.ghost.field}
        plain["referrers"] = [vars(r) for r in self.referrers]
        held = plain.pop("held")
        if held is not None:
            plain["held"] = held.to_json()
        for name in ("kept", "live_key"):
            if not plain[name]:
                del plain[name]
        return plain


def last_day(step: Step, row: Mapping[str, Scalar]) -> date | None:
    """The last day of keeping a row, or some of its fields, that a step retains; None for a row
    without a date, and where nothing is retained."""
    if (step.action != "retain" and not step.kept) or not step.dataset.until:
        return None
    retention = parse_until(step.dataset.until)
    return retention.ends(row.get(retention.column))


# A record of which an exception has left some, known again by what is in it.
Mark = tuple[str, ...]


def partial(step: Step) -> Step | None:
    """The step that leaves some fields of a row: this one, or the one that it stands still for."""
    while step is not None and not step.kept:
        step = step.held  # type: ignore[assignment]
    return step


def mark_names(step: Step) -> tuple[str, ...]:
    """The fields by which a record is known again of which the step leaves some, in a store whose
    keys do not outlive the change; none where they do."""
    part = partial(step)
    key = step.dataset.key
    later = part.held.guard if part is not None and part.held is not None else ()
    return later if key and set(key) <= set(later) else ()


def mark_of(step: Step, names: Sequence[str], values: Sequence[Scalar]) -> Mark:
    """Those fields of a record of which ``names`` have these ``values``; empty where the step has
    none."""
    wanted = mark_names(step)
    if not wanted:
        return ()  # a key without a guard, too: a model's
    read = dict(zip(names, values, strict=True))
    return marked(read[name] for name in wanted) if read.keys() >= set(wanted) else ()


def marked(values: Iterable[Scalar]) -> Mark:
    """Values as a mark holds them."""
    return tuple("" if value is None else fold(canonical(value)) for value in values)


def in_the_end(step: Step) -> Step:
    """What is done at last to rows that a step leaves for now: what it stands still for, where a
    hold lies over an exception both times, and where it stands for nothing the rows go."""
    if step.held is None:
        return replace(step, action="delete")
    return step.held if step.held.held is None else in_the_end(step.held)


def now_of(step: Step, *, on_hold: bool) -> Step:
    """What a step is now: once its hold is released, the one that stood still for it."""
    held_back = step.held is not None and not step.kept and step.dataset.until is None
    return step.held if step.held is not None and held_back and not on_hold else step


def taken_later(step: Step) -> tuple[Step, ...]:
    """What is still done to the rows of a step on a day of their own, in order: where a hold lies
    over an exception of fields, first what leaves those alone."""
    if not (step.held or (step.action == "retain" and step.dataset.until)):
        return ()
    part = partial(step)
    return (in_the_end(step),) if part in (None, step) else (part, in_the_end(step))


def step_from_json(plain: Mapping[str, Any]) -> Step:
    """The inverse of :meth:`Step.to_json`, also after a trip through JSON text."""
    values = dict(plain)
    values["dataset"] = _dataset(plain["dataset"])
    values["referrers"] = tuple(
        Referrer(**{**r, "also": tuple(map(tuple, r.get("also", ())))}) for r in plain["referrers"]
    )
    for name in ("guard", "reference", "cut", "redact", "along", "kept", "live_key"):
        values[name] = tuple(values.get(name, ()))
    ghost = plain.get("ghost")
    values["ghost"] = (
        Ghost(dataset=_dataset(ghost["dataset"]), field=ghost["field"]) if ghost else None
    )
    values["held"] = step_from_json(plain["held"]) if plain.get("held") else None
    return Step(**values)


def _dataset(plain: Mapping[str, Any]) -> Dataset:
    """The inverse of :meth:`Dataset.to_json`, also after a trip through JSON text."""
    values = dict(plain)
    values["fields"] = tuple(
        Field(
            **{
                **f,
                "categories": tuple(f["categories"]),
                "method": Method(**f["method"]) if f["method"] else None,
            }
        )
        for f in plain["fields"]
    )
    for name in ("after", "quasi_identifiers"):
        values[name] = tuple(values[name])
    return Dataset(**values)
