"""A mailbox that is known in another spelling only: it may be the person's, or somebody else's."""

from __future__ import annotations

from erasure.domain.finding import Seed
from erasure.domain.values import respelt
from erasure.runs import case
from erasure.runs.roots import lead_to_somebody
from erasure.runs.searching import Stores, Task
from lineage import selectors

_OTHERWISE = (
    "; but a mailbox that differs from one of them in ß and ss only is known: ask whose it is "
    "before you answer, and reopen the case with it where it is theirs"
)


def spelt_otherwise(given: case.Given, only_store: str, stores: Stores) -> str:
    """What to tell whoever answers that nothing is known, where a mailbox given is known with ``ß``
    for ``ss`` or the other way round: the search by key does not take it for theirs. Else empty."""
    others = {
        person: [("email", one) for kind, v in pairs if kind == "email" for one in respelt(v)]
        for person, pairs in given.items()
    }
    if not any(others.values()):
        return ""
    wanted = case.wanted_of(others)
    part = selectors.part(wanted, only_store)
    datasets = part.catalogue.datasets
    seeds = [
        Seed(dataset=stop.address, field=name, kind="email")
        for stop in part.reach.stops
        for name in stop.seeds
        if datasets[stop.address].action != "ignore"
    ]
    task = Task(datasets=datasets, edges=(), seeds=seeds, guards={}, wanted=wanted)
    return _OTHERWISE if lead_to_somebody(task, stores) else ""
