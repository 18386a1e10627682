"""Faults inside one object, and their translation into the one tree of errors."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from erasure.domain.errors import StoreError

# A retry can help once somebody has made room, or the device answers again.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EBUSY})


class Fault(Exception):
    """Something is wrong with one object; the text has the remedy and no value of anybody."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.permanent = permanent


class Moved(Fault):
    """The object is no longer where it was: rotated or removed while it was looked at."""

    def __init__(self) -> None:
        super().__init__("was moved while it was read; run again", permanent=False)


@contextmanager
def translated(place: Callable[[], str]) -> Iterator[None]:
    """Turn faults and operating-system errors into ``StoreError`` of that place.

    The place is only worked out when there is something to say about it. The system's own text
    names paths, which can hold identifiers, so only its kind is told.
    """
    try:
        yield
    except Fault as fault:
        raise StoreError(place(), str(fault), permanent=fault.permanent) from None
    except FileNotFoundError:
        raise StoreError(place(), str(Moved()), permanent=False) from None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        passing = error.errno in _PASSING
        remedy = "make room or mend the device, then run again" if passing else "check its rights"
        raise StoreError(
            place(), f"the system says {name}; {remedy}", permanent=not passing
        ) from None
