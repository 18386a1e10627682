"""Rows of the people's that have another key since the run has rewritten it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from erasure.domain.finding import NOBODY, KeyText, Wanted, add_wanted, led_on
from erasure.domain.needles import Matcher
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.models import Run
from erasure.runs import seeds
from erasure.runs.known import Known
from erasure.runs.segments import Entry
from erasure.stores.base import Found, Key, Secrets, Store
from erasure.stores.renaming import KnowsRenamed, Moved
from lineage.graph import Edge


@dataclass(frozen=True, kw_only=True)
class Renaming:
    """A step of a run's that gives rows another key, and their store; ``reading``: the names of
    the fields that a row is found with as its guard."""

    run: Run
    step: Step
    store: Store
    known: Known
    reading: Sequence[str]

    def strangers(
        self, edge: Edge, found: Sequence[Found], entries: Iterable[Entry]
    ) -> list[Found]:
        """Those of the rows that are none of the ``entries`` at its new key. Which of them it can
        be says the value over which both lead on. Raises KeyDestroyed."""
        by_value: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            for text in _texts(edge, entry):
                by_value[text].append(entry)
        theirs = self._theirs(
            (n, entry, one.key)
            for n, one in enumerate(found)
            for text in _texts(edge, one)
            for entry in by_value[text]
        )
        return [one for n, one in enumerate(found) if n not in theirs]

    def again(self, rows: Mapping[KeyText, Key], entries: Iterable[Entry]) -> list[KeyText]:
        """Those of the rows that are some of the ``entries`` at its new key. Which of them it can
        be says what the run leaves of a row: nearly always what it was found by. Raises
        KeyDestroyed."""
        alike: dict[KeyText, list[Entry]] = defaultdict(list)
        for entry in entries:
            guard = dict(zip(self.step.guard, entry.key.guard, strict=True))
            alike[self.known.firm(self.step, guard)].append(entry)
        theirs = self._theirs(
            (n, entry, key)
            for n, key in enumerate(rows.values())
            for entry in alike[self.known.firm(self.step, self._now(key))]
        )
        return [text for n, text in enumerate(rows) if n in theirs]

    def _theirs(self, pairs: Iterable[tuple[int, Entry, Key]]) -> set[int]:
        """The numbers of the rows that are one of those that they are compared to."""
        likely = [
            (number, (entry.key, key.values))
            for number, entry, key in pairs
            if self.known.may_be(self.step, entry, self._now(key))
        ]
        told = self._told([moved for _, moved in likely])
        return {number for (number, _), yes in zip(likely, told, strict=True) if yes}

    def _told(self, moved: Sequence[Moved]) -> Sequence[bool]:
        if not moved or not isinstance(self.store, KnowsRenamed):
            return [False] * len(moved)
        secrets = Secrets(seed=seeds.open_seed(self.run), needles=Matcher(()))
        return self.store.renamed(self.step, moved, secrets)

    def _now(self, key: Key) -> Mapping[str, Scalar]:
        return dict(zip(self.reading, key.guard, strict=True))


def _texts(edge: Edge, row: Entry | Found) -> Collection[str]:
    wanted: Wanted = {}
    add_wanted(wanted, led_on(edge, row.carry), NOBODY)
    return wanted
