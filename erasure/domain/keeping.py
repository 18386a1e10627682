"""What is left as it is in one case: legal holds, and exceptions until a day. Pure.

A step that is kept carries the step it stands for, which is taken when the hold is released or
the day has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from erasure.domain.errors import UsageError
from erasure.domain.masking import masked_fields
from erasure.domain.plan import Draft, World
from erasure.domain.steps import KEPT, Step, Via
from lineage.graph import Dataset, Edge, Method, StoreEntry

# Art. 17(3), with the names the certificate exports.
_ARTICLE_17: Mapping[str, str] = {
    "freedom_of_expression": "FreedomOfExpression",
    "legal_obligation": "LegallyRequired",
    "public_interest": "PublicInterest",
    "official_authority": "OfficialAuthority",
    "public_health": "PublicHealth",
    "archiving": "Archiving",
    "legal_claims": "LegalClaims",
}
# Cal. Civ. Code 1798.105(d) and 1798.145(a); those that no other law has carry no exported name.
_CALIFORNIA = (
    "complete_transaction", "security", "debugging", "freedom_of_expression",
    "communications_privacy", "archiving", "internal_use", "legal_obligation", "legal_claims",
)  # fmt: skip
REASONS: Mapping[str, str] = {**dict.fromkeys(_CALIFORNIA, ""), **_ARTICLE_17}


def reasons_of(law: str) -> tuple[str, ...]:
    """The reason codes for which that law lets data be kept."""
    return _CALIFORNIA if law == "ccpa" else tuple(_ARTICLE_17)


# Nothing is done to rows there, so there is nothing to leave.
_WHOLE = frozenset({"expire", "notify", "manual", "retrain", "unlearn", "retire", "rebuild"})

_OWN = frozenset({"deep", "refcount"})
# Copies as they are, or no rows at all.
_NOT_BY_ROW = frozenset({"backups", "model_registry", "mlflow", "manual"})
# Found by value and object: there a record is known again by its own key and what is left in it.
OBJECTS = frozenset({"files", "logs"})
# In a key of theirs, the name of no object: its records may be in any of the collection.
ANYWHERE = ""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Why a dataset is left as it is. ``dataset``: empty for all of the person's; ``since``: when
    a hold was placed; ``until``: the last day of an exception; one of the two. ``fields``: what
    alone is left in each row, of an exception; empty for all of it."""

    dataset: str
    code: str
    reference: str
    because: str = ""
    since: date | None = None
    until: date | None = None
    fields: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As a plan says it."""
        if self.since:
            return f"on hold since {self.since} ({self.code})"
        what = f"{', '.join(self.fields)} kept" if self.fields else "kept"
        return f"{what} until {self.until} ({self.code}: {self.reference})"


def partly(
    draft: Callable[[World], list[Draft]], world: World, keeps: Iterable[Keep]
) -> list[Draft]:
    """The drafts of a world, where exceptions keep some fields of a dataset: its rows stay and are
    anonymised but for those. ``draft``: makes the drafts. Raises UsageError where that cannot be.
    """
    drafts, spared = draft(world), {k.dataset: k for k in keeps if k.fields}
    whole = {
        (d.step.dataset.address, d.step.via): d.step
        for d in drafts
        if d.step.dataset.address in spared and d.step.via in _OWN and d.step.action not in KEPT
    }
    if not whole:
        return drafts
    spared = {address: spared[address] for address, _ in whole}
    datasets = {a: _spared(world.datasets[a], keep) for a, keep in spared.items()}
    drafts = draft(replace(world, datasets={**world.datasets, **datasets}))
    return [_partly(d, spared, whole, world, _cut_in(drafts)) for d in drafts]


def _spared(dataset: Dataset, keep: Keep) -> Dataset:
    rewritten = [f.name for f in masked_fields(dataset) if f.primary_key]
    if rewritten:
        raise UsageError(
            f"{dataset.address}: its key ({', '.join(rewritten)}) is personal and does not stay; "
            "except the whole dataset"
        )
    fields = tuple(
        replace(f, method=Method(name="keep")) if f.name in keep.fields else f
        for f in dataset.fields
    )
    return replace(
        dataset,
        action="anonymize",
        fields=fields,
        until=keep.until.isoformat() if keep.until else None,
        exception=keep.code,
        legal_reference=keep.reference,
    )


def _cut_in(drafts: Sequence[Draft]) -> dict[str, set[str]]:
    """By dataset, the references that are cut in its rows."""
    cut: dict[str, set[str]] = {}
    for d in drafts:
        cut.setdefault(d.step.dataset.address, set()).update(d.step.cut)
    return cut


def _partly(
    draft: Draft,
    spared: Mapping[str, Keep],
    whole: Mapping[tuple[str, Via], Step],
    world: World,
    cut: Mapping[str, Collection[str]],
) -> Draft:
    """What is left guards the row until the rest of it goes, too. In rows of others that mention
    or refer to the person nothing is kept."""
    step, address = draft.step, draft.step.dataset.address
    if address not in spared:
        return draft
    if (address, step.via) not in whole:
        return replace(draft, step=replace(step, dataset=world.datasets[address]))
    keep, objects = spared[address], draft.store.kind in OBJECTS
    known = step.dataset.key if objects else ()
    guard = tuple(sorted({*step.guard, *keep.fields, *known}))
    gone = {f.name for f in masked_fields(step.dataset)} | set(cut[address])
    later = replace(
        whole[address, step.via], guard=tuple(name for name in guard if name not in gone)
    )
    fields = tuple(
        replace(f, free_text=f.free_text and f.name not in keep.fields) for f in step.dataset.fields
    )
    partly = replace(
        step,
        dataset=replace(step.dataset, fields=fields),
        guard=guard,
        redact=tuple(name for name in step.redact if name not in keep.fields),
        kept=keep.fields,
        held=later,
    )
    return replace(draft, step=partly, reason=f"{keep.words}; the rest of the row is anonymised")


def kept(drafts: Sequence[Draft], edges: Iterable[Edge], keeps: Iterable[Keep]) -> list[Draft]:
    """The drafts, with steps in datasets that are kept standing still. A hold takes along what its
    rows refer to: a row cannot stay without it."""
    whole = [keep for keep in keeps if keep.dataset and not keep.fields]
    exceptions = {keep.dataset: keep for keep in whole if not keep.since}
    holds = {keep.dataset: keep for keep in whole if keep.since}
    spread(holds, [(e.reference.holder, e.reference.target) for e in edges])
    return [
        _standing(_standing(draft, exceptions.get(address)), holds.get(address))
        for draft, address in ((d, d.step.dataset.address) for d in drafts)
    ]


def spread(holds: dict[str, Keep], references: Sequence[tuple[str, str]]) -> None:
    """Let the holds, by dataset, reach what the rows there refer to; (holder, target) pairs."""
    grown = True
    while grown:
        grown = False
        for holder, target in references:
            if holder in holds and target not in holds:
                holds[target] = holds[holder]
                grown = True


def _standing(draft: Draft, keep: Keep | None) -> Draft:
    """On hold, what an exception keeps goes on being kept until its day once that is released."""
    step = draft.step
    excepted = step.held is not None
    if keep is None or (step.action in KEPT | _WHOLE and not excepted):
        return draft
    until = keep.until.isoformat() if keep.until else None
    dataset = replace(
        step.dataset, until=until, exception=keep.code, legal_reference=keep.reference
    )
    still = replace(step, action="retain", dataset=dataset, cut=(), ghost=None, kept=(), held=step)
    reason = f"{keep.words}; then {draft.reason}" if excepted else keep.words
    return replace(draft, step=still, reason=reason)


def kept_by(
    spec: Mapping[str, Any], until: date | None
) -> Iterator[tuple[Mapping[str, Any], date | None]]:
    """What keeps the rows of a step, each as its ``Step.to_json`` with its last day: a hold, and
    the exception under it. ``until``: the last day of the step as it is."""
    if spec["action"] != "retain" and not spec.get("kept"):
        return
    yield spec, until
    under = spec.get("held")
    if under and not spec.get("kept") and (under["action"] == "retain" or under.get("kept")):
        yield under, date.fromisoformat(under["dataset"]["until"])


def in_force(spec: Mapping[str, Any], *, on_hold: bool) -> Mapping[str, Any]:
    """Of what keeps the rows of a step, by its ``Step.to_json``, that which does so now: once a
    hold is released, the exception under it."""
    found = [one for one, _ in kept_by(spec, None)]
    return found[-1] if found and not on_hold else spec


def stopping(datasets: Mapping[str, str], keeps: Iterable[Keep]) -> Keep | None:
    """The hold for which the whole case waits: one on the person, or on what can only be left
    whole. ``datasets``: address → action of the steps."""
    for keep in keeps:
        if keep.since and (not keep.dataset or datasets.get(keep.dataset) in _WHOLE - {"expire"}):
            return keep
    return None


def overtaken(datasets: Mapping[str, str], keeps: Iterable[Keep]) -> Keep | None:
    """A hold on something that the plan would change: it was placed after the plan was made."""
    for keep in keeps:
        action = datasets.get(keep.dataset)
        if keep.since and action is not None and action not in KEPT | _WHOLE:
            return keep
    return None


def checked_exception(
    code: str, reference: str, until: date | None, *, today: date, dataset: str, law: str
) -> None:
    """Raises UsageError by field for an exception that lacks what the law wants of it."""
    if code not in reasons_of(law):
        raise UsageError(f"code: under this law, must be one of {', '.join(reasons_of(law))}")
    if not reference.strip() or len(reference) > 200 or not reference.isprintable():
        raise UsageError("legal_reference: name the provision, in at most 200 characters")
    if until is None or until <= today:
        raise UsageError(f"until: say the last day of keeping {dataset or 'it'}, after today")


def checked_fields(dataset: Dataset, store: StoreEntry, fields: Sequence[str]) -> tuple[str, ...]:
    """The fields of an exception, sorted. Raises UsageError for one that cannot be kept alone."""
    for name in fields:
        found = dataset.get(name)
        if found is None:
            raise UsageError(f"fields: {dataset.address} has no such field in the catalogue")
        if found.primary_key:
            raise UsageError(f"fields: {name} is part of the key, and stays with the row anyway")
        if around := _around(dataset, name, fields):
            raise UsageError(
                f"fields: {name} and {around} stand in one another, and only one of them stays; "
                "name the innermost, or except the whole dataset"
            )
    if fields and store.kind in _NOT_BY_ROW:
        raise UsageError(
            f"fields: of a store of {store.kind} no field is kept alone: what is left could not be "
            "found again on its day; except the whole dataset, or keep that field in a database"
        )
    if fields and store.kind in OBJECTS:
        _refuse_unknowable(dataset, store, fields)
    return tuple(sorted(set(fields)))


def _around(dataset: Dataset, name: str, fields: Sequence[str]) -> str:
    """A field that goes and stands around this one, or inside it; empty where none does."""
    goes = [f.name for f in masked_fields(dataset) if f.name not in fields]
    goes += [f for f in dataset.free_text if f not in fields]
    nested = (g for g in goes if g.startswith(f"{name}.") or name.startswith(f"{g}."))
    return next(nested, "")


def _refuse_unknowable(dataset: Dataset, store: StoreEntry, fields: Sequence[str]) -> None:
    """Raises UsageError where a record of a file could not be known again by what is left in it.
    A text is redacted wherever it stands, a line of no fields has nothing else."""
    if store.kind == "logs" and store.options.get("format") != "jsonl":
        raise UsageError(
            f"fields: a line of {dataset.address} has no fields that can be told apart: where its "
            "lines are JSON, say so (options: {format: jsonl}); else except the whole dataset"
        )
    if not dataset.key:
        raise UsageError(
            f"fields: the records of {dataset.address} could not be found again on that day; "
            "declare the field that numbers them (primary_key: true), or except the whole dataset"
        )
    for name in sorted(set(fields) & set(dataset.free_text)):
        raise UsageError(
            f"fields: {name} is a text in which others may be named, too, and is redacted in every "
            "record of a file; except the whole dataset"
        )
