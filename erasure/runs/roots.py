"""The person's root rows: the ones that an identity leads to directly."""

from __future__ import annotations

from collections.abc import Mapping

from erasure import vault
from erasure.domain.errors import IdentityConflict
from erasure.domain.finding import Findings, KeyText, Person, Seed, Wanted, key_text, mode_of
from erasure.runs.searching import Stores, Task
from erasure.stores.base import Selector


def roots_hash(task: Task, findings: Findings, person: Person) -> str:
    """Keyed hash over the keys of a person's root rows: another root row is another plan."""
    texts = []
    for dataset in sorted({seed.dataset for seed in task.seeds}):
        for text, row in sorted(findings.rows.get(dataset, {}).items()):
            if person in row.deep_for:
                texts.append("|".join((dataset, *text)))
    return vault.keyed_hash("roots:" + "\n".join(texts))


def refuse_conflict(task: Task, stores: Stores) -> None:
    """Several identities are one person, or the search is refused.

    In a dataset that knows two of the given kinds, the rows found by one must be found by the
    other, unless one of them finds nothing anywhere and contradicts nothing.
    """
    by_dataset: dict[str, list[Seed]] = {}
    for seed in task.seeds:
        if task.wanted.get(seed.kind):
            by_dataset.setdefault(seed.dataset, []).append(seed)
    for dataset, seeds in sorted(by_dataset.items()):
        if len({s.kind for s in seeds}) > 1:
            _compare(dataset, seeds, task, stores)


def _compare(dataset: str, seeds: list[Seed], task: Task, stores: Stores) -> None:
    found = {seed: _rows_of(seed, seeds, task.wanted[seed.kind], task, stores) for seed in seeds}
    for seed, rows in found.items():
        for other in seeds:
            if other.kind == seed.kind or not rows or rows.keys() & found[other].keys():
                continue
            if found[other] or any(row.get(other.field) is not None for row in rows.values()):
                raise IdentityConflict(
                    f"{dataset}: {seed.kind} and {other.kind} are not one person's; "
                    "ask with one of them, or check both with the person"
                )


def _rows_of(
    seed: Seed, seeds: list[Seed], wanted: Wanted, task: Task, stores: Stores
) -> Mapping[KeyText, Mapping[str, object]]:
    dataset = task.datasets[seed.dataset]
    selector = Selector(
        dataset=dataset,
        mode=mode_of(seed.kind),
        fields=(seed.field,),
        carry=tuple(sorted({s.field for s in seeds})),
    )
    values = [raw for raw, _ in wanted.values()]
    return {
        key_text(found.key.values): found.carry
        for found in stores.get(dataset.store).find(selector, values)
    }
