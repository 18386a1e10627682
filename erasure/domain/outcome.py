"""What a verified case has come to. Pure.

There is no bare "done": the outcome says whether something stays by law, waits in a backup, or
was seen again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

Outcome = Literal["completed", "partly_granted", "awaiting_copies", "awaiting_rescan", "blocked"]

_COPIES = frozenset({"expires_on", "blocked_until", "beyond_use"})
# From "still there" to "looked for and not found".
_RESIDUES = (
    "present",
    "blocked_until",
    "beyond_use",
    "expires_on",
    "logically_deleted",
    "retained_until",
    "pseudonymized",
    "anonymized",
    "purged",
    "clean",
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one step left behind."""

    action: str
    rows: int
    residue: str
    until: date | None = None


def outcome_of(
    steps: Iterable[Done],
    verdicts: Collection[str],
    *,
    verifiable: bool,
    rescan_due: bool,
    left_before: bool = False,
) -> tuple[Outcome, str]:
    """The outcome, and why. Residue, or nothing to search by, blocks; then what is still due
    outranks what stays by law. ``left_before``: an earlier case of the person has left some."""
    listed = list(steps)
    if "residue" in verdicts:
        return "blocked", "the re-scan saw something of the person again"
    if not verifiable:
        return "blocked", "unverifiable: no value of the person is long enough to search by"
    if rescan_due:
        return "awaiting_rescan", "erased; the deep re-scan is due"
    if any(s.residue in _COPIES for s in listed):
        return "awaiting_copies", "erased in live data; copies expire by date"
    if any(s.action == "expire" and s.residue == "present" for s in listed):
        return "awaiting_copies", "erased in live data; copies are past their date and still there"
    if why := _stays(listed, left_before):
        return "partly_granted", f"erased, except what {why}"
    return "completed", "erased and verified"


def _stays(steps: Iterable[Done], left_before: bool) -> str:
    """Why something is still there, in words; empty where nothing is."""
    residues = {s.residue for s in steps if s.rows}
    if "retained_until" in residues:
        return "the law keeps"
    if "pseudonymized" in residues:
        return "was only pseudonymised"
    return "an earlier case keeps until its own day" if left_before else ""


def weaker(one: str, other: str) -> str:
    """Of the residues of two parts of a copy the one that promises less."""
    return min(one, other, key=_RESIDUES.index)


def verified_residue(residue: str, *, scanned: bool, seen_again: bool) -> str:
    """``purged`` becomes ``clean`` once the store was re-scanned and nothing was seen again."""
    return "clean" if residue == "purged" and scanned and not seen_again else residue
