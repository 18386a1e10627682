"""What lineage events leave to decide: nothing downstream of personal data stays undecided in
silence. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lineage.graph import Dataset, Derivation, Reach
from lineage.snapshot import Snapshot

# (code, place, reason, remedy), as the gate has them.
Open = tuple[str, str, str, str]


def left_open(catalogue: Snapshot) -> Iterator[Open]:
    """Datasets nobody decided, suggestions to confirm, fields nobody knows, and what was merely
    influenced."""
    undecided = [a for a, dataset in catalogue.datasets.items() if is_undecided(dataset)]
    made_of = dict.fromkeys(undecided, "")
    for derivation in catalogue.derivations:
        if made_of.get(derivation.downstream) == "":
            made_of[derivation.downstream] = derivation.upstream
    keyed = {
        r.holder: f"{r.target}.{r.target_field} is in its '{r.holder_field}'"
        for r in catalogue.references
        if r.holder in made_of
    }
    for address in undecided:
        if made_of[address]:
            yield _undecided(address, made_of[address], keyed.get(address))
    for holder, mine, target, theirs in catalogue.suggestions:
        yield (
            "suggested-reference",
            f"{holder}.{mine}",
            f"{target}.{theirs} flows into it, transformed",
            _reference(holder, mine, target, theirs),
        )
    for address, name in catalogue.unknown:
        yield (
            "unclassified-column",
            f"{address}.{name}",
            "a key or an identity flows into it, and the catalogue does not know it",
            f"- {{name: {name}}}",
        )
    for derivation in catalogue.influences:
        yield _influenced(derivation)


def is_undecided(dataset: Dataset) -> bool:
    """Known from events only, and nobody said what happens to it."""
    return dataset.heard and dataset.action is None and not dataset.decided


def _undecided(address: str, upstream: str, key: str | None) -> Open:
    remedy = f"decide_lineage '{address}' rebuild|anonymous|drop --because …, or catalogue it"
    if key:
        return "undecided-downstream", address, f"it is made from {upstream}; {key}", remedy
    reason = f"it is made from {upstream}, and no key of a person is in it"
    return "derived-without-key", address, reason, remedy


def _reference(holder: str, mine: str, target: str, theirs: str) -> str:
    dataset, _, collection = target.partition(".")
    return (
        f"{mine}: fides_meta: {{references: [{{dataset: {dataset}, field: {collection}.{theirs}, "
        f"direction: from}}]}}  # on {holder}, if equal values are the same person"
    )


def _influenced(derivation: Derivation) -> Open:
    fields = sorted({flow.theirs for flow in derivation.flows if flow.theirs})
    which = f"'{', '.join(fields[:5])}' of {derivation.upstream}" if fields else derivation.upstream
    reason = f"{which} decided which rows are in it; no data of it flowed"
    return "influenced", derivation.downstream, reason, "nothing, unless its rows tell of people"


def warnings(reach: Reach, datasets: Mapping[str, Dataset]) -> list[str]:
    """What a plan says of datasets that are reached and undecided."""
    return [_warning(a) for a in _reached(reach) if is_undecided(datasets[a])]


def _reached(reach: Reach) -> Iterable[str]:
    return (stop.address for stop in reach.stops)


def _warning(address: str) -> str:
    return (
        f"{address}: made from the person's data, as lineage events tell, and nobody decided what "
        "happens to it; its owner is to be told by hand"
    )
