"""What is left as it is in one case: legal holds, and exceptions until a day. Pure.

A step that is kept carries the step it stands for, which is taken when the hold is released or
the day has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from erasure.domain.errors import UsageError
from erasure.domain.plan import Draft
from erasure.domain.steps import KEPT
from lineage.graph import Edge

# Art. 17(3), with the names the certificate exports; 11 CCR 7022 has some of its own.
REASONS: Mapping[str, str] = {
    "freedom_of_expression": "FreedomOfExpression",
    "legal_obligation": "LegallyRequired",
    "public_interest": "PublicInterest",
    "official_authority": "OfficialAuthority",
    "public_health": "PublicHealth",
    "archiving": "Archiving",
    "legal_claims": "LegalClaims",
    "complete_transaction": "",
    "security": "",
    "internal_use": "",
}
# Nothing is done to rows there, so there is nothing to leave.
_WHOLE = frozenset({"expire", "notify", "manual", "retrain", "unlearn", "retire", "rebuild"})


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Why a dataset is left as it is. ``dataset``: empty for all of the person's; ``since``: when
    a hold was placed; ``until``: the last day of an exception; one of the two."""

    dataset: str
    code: str
    reference: str
    because: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def words(self) -> str:
        """As a plan says it."""
        if self.since:
            return f"on hold since {self.since} ({self.code})"
        return f"kept until {self.until} ({self.code}: {self.reference})"


def kept(drafts: Sequence[Draft], edges: Iterable[Edge], keeps: Iterable[Keep]) -> list[Draft]:
    """The drafts, with steps in datasets that are kept standing still. A hold takes along what its
    rows refer to: a row cannot stay without it."""
    by_dataset = {keep.dataset: keep for keep in keeps if keep.dataset}
    holds = {address: keep for address, keep in by_dataset.items() if keep.since}
    _spread(holds, [(e.reference.holder, e.reference.target) for e in edges])
    every = by_dataset | holds
    return [_standing(draft, every.get(draft.step.dataset.address)) for draft in drafts]


def _spread(holds: dict[str, Keep], references: Sequence[tuple[str, str]]) -> None:
    grown = True
    while grown:
        grown = False
        for holder, target in references:
            if holder in holds and target not in holds:
                holds[target] = holds[holder]
                grown = True


def _standing(draft: Draft, keep: Keep | None) -> Draft:
    step = draft.step
    if keep is None or step.action in KEPT | _WHOLE:
        return draft
    until = keep.until.isoformat() if keep.until else None
    dataset = replace(
        step.dataset, until=until, exception=keep.code, legal_reference=keep.reference
    )
    still = replace(step, action="retain", dataset=dataset, cut=(), ghost=None, held=step)
    return replace(draft, step=still, reason=keep.words)


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
    code: str, reference: str, until: date | None, *, today: date, dataset: str
) -> None:
    """Raises UsageError by field for an exception that lacks what the law wants of it."""
    if code not in REASONS:
        raise UsageError(f"code: must be one of {', '.join(REASONS)}")
    if not reference.strip() or len(reference) > 200 or not reference.isprintable():
        raise UsageError("legal_reference: name the provision, in at most 200 characters")
    if until is None or until <= today:
        raise UsageError(f"until: say the last day of keeping {dataset or 'it'}, after today")
