"""One tree for everything that can go wrong while a person is forgotten.

``LetheError``               one line: the place, what is wrong, the remedy; never a personal value
  ``UsageError``             the caller asked for something that cannot be (exit 2)
    ``IdentityConflict``     the identifiers given are those of two people
  ``StalePlan``              the world has moved since the plan was approved
  ``WrongState``             that move is not possible from this state
  ``Fenced``                 another worker took this run over; stop without writing
  ``KeyDestroyed``           a vault key is gone, so what it sealed is gone too
  ``EvidenceError``          the ledger or a certificate may not be written like that
  ``StoreError``             a store said no; ``permanent`` tells whether a retry can help
    ``LateRows``             rows appeared after the search; search again, then retry
    ``StoreUnreachable``     no connection; retry later
    ``DriverMissing``        the optional driver is not installed; names the extra
"""


class LetheError(Exception):
    """Base of the tree."""


class UsageError(LetheError):
    """The request itself cannot be carried out as asked."""


class IdentityConflict(UsageError):
    """Two identities that match two different people."""


class StalePlan(LetheError):
    """What was approved is no longer what would be done."""


class WrongState(LetheError):
    """A move that the state table does not know."""


class Fenced(LetheError):
    """The lease was lost to a newer epoch."""


class KeyDestroyed(LetheError):
    """A sealed value cannot be opened any more, by design."""


class EvidenceError(LetheError):
    """Evidence is written once, in one form, under one pinned key."""


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


class DriverMissing(StoreError):
    """The store needs an optional driver."""

    def __init__(self, place: str, extra: str) -> None:
        super().__init__(place, f"driver not installed; install the extra 'lethe[{extra}]'")
