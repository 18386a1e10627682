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


def refuse_reopening(state: str, *, waits: bool) -> None:
    """Raises WrongState for a case that is not closed, or in which something goes by a date of its
    own: the keys kept for that are the only way to those rows."""
    if "reopened" not in REQUEST[state]:
        raise WrongState(f"is {state}; only a closed case can be reopened")
    if waits:
        raise WrongState(
            "rows or copies of it still go on their dates, to which only this case leads, upheld "
            "complaint or not; record a new request for what was seen since, and reopen it after "
            "the last date"
        )


def checked_why(why: str, verdicts: Collection[str]) -> None:
    """``verdicts``: of the complaints about the case. Raises UsageError."""
    if why not in WHYS:
        raise UsageError(f"why: must be one of {', '.join(WHYS)}")
    if why == "complaint" and not {"upheld", "partly_upheld"} & set(verdicts):
        raise UsageError("why: no complaint about this case was upheld; answer it first")
