"""A recipient who is told by hand: a printer, a partner, an authority without an interface.

Nothing can be looked up or searched there. The store says so instead of claiming anything: a
step leaves the residue ``present`` and a note, from which the flow makes an officer's task; the
task's answer, not this store, closes the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar, Value, canonical
from erasure.stores.base import (
    Declared,
    Failure,
    Found,
    Hit,
    Key,
    Purged,
    Receipt,
    Searched,
    Secrets,
    Selector,
    Work,
)
from erasure.stores.matching import single_values
from lineage.graph import Dataset
from lineage.schema import Inspection

TO_BE_TOLD = "to be told by hand"
_ACTIONS = frozenset({"notify", "manual"})


class ManualStore:
    """The adapter of a recipient. ``url`` is any words that say how to reach them (an address, a
    department), or empty. The options are those of their webhook, which the flow calls once the
    erasure was verified, if they have one."""

    kind = "manual"
    options = frozenset({"webhook", "secret", "identifiers", "form", "acknowledges"})

    def __init__(self, *, name: str, url: str = "", options: Mapping[str, Any]) -> None:
        self.name = name
        self.contact = url
        self._options = dict(options)

    def inspect(self) -> Inspection:
        """Nothing can be seen from here: no tables, and a fingerprint that never changes."""
        return Inspection(tables={}, fingerprint=hashlib.sha256(b"manual").hexdigest())

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """One key per person's value: what the recipient has to be told. The recipient may hold
        it; only they can say. Free text cannot be searched, so mode ``text`` finds nothing."""
        if selector.mode == "text":
            return
        kind = "email" if selector.mode == "email" else None
        together: dict[str, list[Scalar]] = {}
        for value in single_values(selector.dataset.address, selector, values):
            if value is not None:
                together.setdefault(canonical(value, kind), []).append(value)
        for text, given in together.items():
            yield Found(key=Key(values=(text,)), matched=tuple(given))

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """The recipient's records cannot be read: no needles."""
        return iter(())

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Nothing happens by itself: each receipt asks for a person to tell the recipient."""
        for work in works:
            if work.step.action not in _ACTIONS:
                raise StoreError(
                    f"{self.name}, {work.step.dataset.address}",
                    f"'{work.step.action}' cannot be done by hand; let the action be 'notify'",
                )
        return [
            Receipt(
                dataset=work.step.dataset.address,
                action=work.step.action,
                done=0,
                residue="present",
                note=TO_BE_TOLD,
            )
            for work in works
        ]

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """No postcondition can be read; the residue ``present`` stands until the task is done."""
        return []

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Nothing, not even a count: this store cannot be looked into."""
        return iter(())

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Nothing was deleted from here."""
        return Purged(residue="present", note=TO_BE_TOLD)

    def close(self) -> None:
        """Nothing is open."""
