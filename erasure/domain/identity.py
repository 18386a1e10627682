"""Which of the identifiers that somebody gave may be searched by: those that were proved to be
theirs. Nobody has another person forgotten by typing their email address."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from erasure.domain.errors import UsageError

Proof = Literal["officer", "mailbox", "account"]
Asker = Literal["self", "agent", "guardian"]
# Arts. 15 to 18, 20 and 21. Erasure is carried out here, copies are gathered and handed over, the
# others are answered by hand, or handed on.
RIGHTS = (
    "erasure", "access", "rectification", "restriction", "portability", "objection",
)  # fmt: skip
GATHERED = frozenset({"access", "portability"})
HANDLED = GATHERED | {"erasure"}
# As long as a request is in one of these, nobody knows yet who asks.
UNPROVED = frozenset({"received", "confirmed", "identity_required", "reopened"})
# These may show by a link that a mailbox is theirs; who is ``confirmed`` has done so.
LINKED = UNPROVED - {"confirmed"}
ASKERS: tuple[Asker, ...] = ("self", "agent", "guardian")


def proved_kinds(given: Iterable[str], proves: Collection[str] | None) -> frozenset[str]:
    """The kinds among ``given`` that a check has proved: all, unless it names some. Raises
    UsageError when it proves none, or one that was not given."""
    known = frozenset(given)
    proved = known if proves is None else frozenset(proves)
    if not proved:
        raise UsageError("identity: the check proves none of what was given")
    if not proved <= known:
        unknown = ", ".join(sorted(proved - known))
        raise UsageError(f"identity: {unknown} was not given, so it cannot be proved")
    return proved


def refuse_without_mandate(asked_by: str, mandate: str) -> None:
    """Somebody who asks for another shows what allows them to. Raises UsageError."""
    if asked_by != "self" and not mandate.strip():
        raise UsageError(
            f"mandate: the request was made by the person's {asked_by}; say how their mandate was "
            "checked"
        )
