"""Why a closed case is taken up again, and when that cannot be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.states import REQUEST

WHYS: Mapping[str, str] = {
    "seen_again": "the person's data were seen again",
    "complaint": "a complaint was upheld",
    "restored": "a restore brought data back",
    "asked_again": "the person asks again",
    "mistake": "it was closed by mistake",
}


# These wait for copies or a re-scan: what is reopened goes on beside them.
_BESIDE = frozenset({"awaiting_copies"})


def may_reopen(state: str) -> bool:
    """Whether a case in that state is closed."""
    return "reopened" in REQUEST[state] or state in _BESIDE


def refuse_reopening(place: str, state: str) -> None:
    """Raises WrongState for a case that is not closed."""
    if not may_reopen(state):
        raise WrongState(f"{place}: is {state}; only a closed case can be reopened")


def checked_why(why: str, verdicts: Collection[str]) -> None:
    """``verdicts``: of the complaints about the case. Raises UsageError."""
    if why not in WHYS:
        raise UsageError(f"why: must be one of {', '.join(WHYS)}")
    if why == "complaint" and not {"upheld", "partly_upheld"} & set(verdicts):
        raise UsageError("why: no complaint about this case was upheld; answer it first")
