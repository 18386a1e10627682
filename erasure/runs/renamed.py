"""Rows of the people's that have another key since the run has rewritten it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from erasure.domain.finding import NOBODY, Wanted, add_wanted, led_on
from erasure.domain.needles import Matcher
from erasure.domain.steps import Step
from erasure.models import Run
from erasure.runs import seeds
from erasure.runs.segments import Entry
from erasure.stores.base import Found, Secrets, Store
from erasure.stores.renaming import KnowsRenamed
from lineage.graph import Edge


@dataclass(frozen=True, kw_only=True)
class Renaming:
    """A step of a run's that gives rows another key, and their store."""

    run: Run
    step: Step
    store: Store

    def strangers(
        self,
        edge: Edge,
        found: Sequence[Found],
        entries: Iterable[Entry],
        alike: Callable[[Entry, Found], bool],
    ) -> list[Found]:
        """Those of the rows that are none of the ``entries`` at its new key. Which of them it can
        be says the value over which both lead on; ``alike``: and all else but the key. Raises
        KeyDestroyed."""
        by_value: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            for text in _texts(edge, entry):
                by_value[text].append(entry)
        pairs = [
            (n, entry, one)
            for n, one in enumerate(found)
            for text in _texts(edge, one)
            for entry in by_value[text]
            if alike(entry, one)
        ]
        told = self._told([(entry, one) for _, entry, one in pairs])
        theirs = {n for (n, _, _), yes in zip(pairs, told, strict=True) if yes}
        return [one for n, one in enumerate(found) if n not in theirs]

    def _told(self, pairs: Sequence[tuple[Entry, Found]]) -> Sequence[bool]:
        if not pairs or not isinstance(self.store, KnowsRenamed):
            return [False] * len(pairs)
        secrets = Secrets(seed=seeds.open_seed(self.run), needles=Matcher(()))
        moved = [(entry.key, one.key.values) for entry, one in pairs]
        return self.store.renamed(self.step, moved, secrets)


def _texts(edge: Edge, row: Entry | Found) -> Collection[str]:
    wanted: Wanted = {}
    add_wanted(wanted, led_on(edge, row.carry), NOBODY)
    return wanted
