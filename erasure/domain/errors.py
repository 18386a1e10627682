"""One tree for everything that can go wrong while a person is forgotten.

``LetheError``               one line: the place, what is wrong, the remedy; never a personal value
  ``UsageError``             the caller asked for something that cannot be (exit 2)
    ``IdentityConflict``     the identifiers given are those of two people
  ``StalePlan``              the world has moved since the plan was approved
  ``WrongState``             that move is not possible from this state
  ``Denied``                 the role of whoever asks does not allow that
  ``Fenced``                 another worker took this run over; stop without writing
  ``KeyDestroyed``           a vault key is gone, so what it sealed is gone too
  ``EvidenceError``          the ledger or a certificate may not be written like that
  ``CannotForget``           a trained model cannot forget in place; it is as it was
    ``UnknownPerson``        was not in its training, or is forgotten already
    ``RowsDiffer``           the rows handed over are not those of its training
    ``RetrainNeeded``        not exactly or not provably; train again without the person
    ``NothingLeft``          nobody would be left; retire the model
  ``CallFailed``             a machine elsewhere did not answer; ``permanent`` as below
  ``StoreError``             a store said no; ``permanent`` tells whether a retry can help
    ``LateRows``             rows appeared after the search; search again, then retry
    ``StoreUnreachable``     no connection; retry later
    ``AtWork``               what was begun elsewhere goes on; ask again later
    ``DriverMissing``        the optional driver is not installed; names the extra
"""

from __future__ import annotations

import re

_LONG = re.compile(r"\S{400,}")
_CUT = 100


def one_line(text: str) -> str:
    """What is told stays one line, whatever stands in a name: control characters are written
    out, and a word that nobody would read to its end is cut."""
    told = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return _LONG.sub(lambda word: f"{word[0][:_CUT]}…", told)


class LetheError(Exception):
    """Base of the tree."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class UsageError(LetheError):
    """The request itself cannot be carried out as asked."""


class IdentityConflict(UsageError):
    """Two identities that match two different people."""


class StalePlan(LetheError):
    """What was approved is no longer what would be done."""


class WrongState(LetheError):
    """A move that the state table does not know."""


class Denied(LetheError):
    """A deed that is somebody else's. Nothing has happened."""


class Fenced(LetheError):
    """The lease was lost to a newer epoch."""


class KeyDestroyed(LetheError):
    """A sealed value cannot be opened any more, by design."""


class EvidenceError(LetheError):
    """Evidence is written once, in one form, under one pinned key."""


class CannotForget(LetheError):
    """A trained model cannot forget in place. Nothing in it was changed."""


class UnknownPerson(CannotForget):
    """Somebody who was not in the training, or is forgotten already."""


class RowsDiffer(CannotForget):
    """The rows handed over are not those that the model was trained on."""


class RetrainNeeded(CannotForget):
    """Forgetting in place would not be exact, or could not be proven so."""


class NothingLeft(CannotForget):
    """Without these people there is nobody to learn from: the model is to be retired."""


class CallFailed(LetheError):
    """A call to a machine elsewhere failed. ``host`` names it, without path or body."""

    def __init__(self, host: str, message: str, *, permanent: bool) -> None:
        super().__init__(f"{host}: {message}")
        self.host = host
        self.permanent = permanent


class StoreError(LetheError):
    """A store refused or failed. ``place`` names store and dataset, never a value."""

    def __init__(self, place: str, message: str, *, permanent: bool = True) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.permanent = permanent


class LateRows(StoreError):
    """Rows that refer to what was to be deleted appeared after the search."""

    def __init__(self, place: str) -> None:
        super().__init__(
            place, "rows were added since the search; searching again", permanent=False
        )


class StoreUnreachable(StoreError):
    """The store cannot be reached now."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(place, message, permanent=False)


class AtWork(StoreError):
    """A training that was begun elsewhere has not ended: ``since`` when (ISO), ask again at ``ask``
    in ``seconds``."""

    def __init__(self, place: str, *, since: str, ask: str, seconds: float) -> None:
        super().__init__(place, "its pipeline is at work", permanent=False)
        self.since, self.ask, self.seconds = since, ask, seconds


class DriverMissing(StoreError):
    """The store needs an optional driver."""

    def __init__(self, place: str, extra: str) -> None:
        super().__init__(place, f"driver not installed; install the extra 'lethe[{extra}]'")
