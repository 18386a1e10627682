"""What one job looks up once, however often it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from erasure import vault
from lineage import selectors


@contextmanager
def looked_up_once() -> Iterator[None]:
    """Data keys and the catalogue's revision are asked for once inside. For work that is soon over:
    what others change meanwhile is seen by the next."""
    with vault.kept_open(), selectors.steady():
        yield
