"""The person's root rows: the ones that an identity leads to directly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from erasure import vault
from erasure.domain.errors import IdentityConflict
from erasure.domain.finding import Findings, KeyText, Person, Seed, key_text, mode_of
from erasure.domain.values import Scalar, canonical, each, fold
from erasure.runs.searching import Stores, Task
from erasure.stores.base import Selector
from lineage.graph import Dataset, in_category


def roots_hashes(task: Task, findings: Findings, people: Iterable[Person]) -> dict[Person, str]:
    """Per person a keyed hash over the keys of their root rows: another root row is another
    plan."""
    texts: dict[Person, list[str]] = {person: [] for person in people}
    for dataset in sorted({seed.dataset for seed in task.seeds}):
        for text, row in sorted(findings.rows.get(dataset, {}).items()):
            for person in row.deep_for & texts.keys():
                texts[person].append("|".join((dataset, *text)))
    return {p: vault.keyed_hash("roots:" + "\n".join(listed)) for p, listed in texts.items()}


def refuse_conflict(task: Task, stores: Stores) -> None:
    """Several identities are one person, or the search is refused.

    In each dataset that knows more than one of those given, no two may lead to different people,
    and no row may be found that names another person by a kind that was given.
    """
    for address, seeds in _seeds_by_dataset(task):
        given = [
            (kind, value) for kind in sorted({s.kind for s in seeds}) for value in task.wanted[kind]
        ]
        if len(given) > 1:
            _refuse(address, _looked_up(address, seeds, task, stores), given)


def lead_to_somebody(task: Task, stores: Stores) -> bool:
    """Whether any of the identities leads to a row, in any dataset."""
    return any(
        led
        for address, seeds in _seeds_by_dataset(task)
        for led in _looked_up(address, seeds, task, stores).values()
    )


def _seeds_by_dataset(task: Task) -> list[tuple[str, list[Seed]]]:
    """Those of the kinds that were given, in the order of addresses."""
    found: dict[str, list[Seed]] = {}
    for seed in task.seeds:
        if task.wanted.get(seed.kind):
            found.setdefault(seed.dataset, []).append(seed)
    return sorted(found.items())


def crowds(task: Task, findings: Findings, stores: Stores) -> list[dict[str, Any]]:
    """Datasets in which what was given leads to rows that may be several people's: a mailbox that
    is shared, a number that was given out again. To be accepted with the plan, as JSON; counts
    only, and a mark that is another one for other rows."""
    found = []
    for address, seeds in _seeds_by_dataset(task):
        dataset = task.datasets[address]
        own = sum(bool(row.deep_for) for row in findings.rows.get(address, {}).values())
        if own < 2 or not _tells_people_apart(dataset):
            continue
        led = _looked_up(address, seeds, task, stores)
        rows = {text: root for table in led.values() for text, root in table.items()}
        names = _names(rows)
        if len(names) > 1 or (not names and len(rows) > 1):
            found.append(_crowd(address, seeds, rows, len(names)))
    return found


def _tells_people_apart(dataset: Dataset) -> bool:
    """Rows with a name; or one row for each person, by a key that is an identity."""
    named = any(in_category(f.categories, ("user.name",)) for f in dataset.fields)
    key = [dataset.get(name) for name in dataset.key]
    return named or (len(key) == 1 and bool(key[0] and key[0].identity))


def _crowd(
    address: str, seeds: Sequence[Seed], rows: Mapping[KeyText, _Root], names: int
) -> dict[str, Any]:
    kinds = " and ".join(sorted({seed.kind for seed in seeds}))
    under = f"under {names} names" if names else "without a name that says whose they are"
    keys = "\n".join(sorted("|".join(text) for text in rows))
    return {
        "code": f"people:{address}",
        "kind": "people",
        "place": address,
        "mark": vault.keyed_hash(f"people:{address}:{keys}"),
        "words": f"{kinds} leads to {len(rows)} rows {under}: they may be several people's",
        "remedy": "make sure that they are one person's; if they are not, withdraw the request "
        "and ask anew by what is this person's alone",
        "rows": len(rows),
    }


@dataclass(kw_only=True)
class _Root:
    """A row that one of the identities led to: its values by kind, and the name in it."""

    values: Mapping[str, set[str]]
    name: str


# (kind, canonical value) → the rows it led to
_Roots = dict[tuple[str, str], dict[KeyText, _Root]]


def _refuse(address: str, roots: _Roots, given: Sequence[tuple[str, str]]) -> None:
    for one, other in permutations(given, 2):
        if _apart(one, other, roots) or _contradicted(one, other, roots, given):
            kinds = " and ".join(sorted({one[0], other[0]}))
            raise IdentityConflict(
                f"{address}: the values of {kinds} are not one person's; "
                "ask with one of them, or check them with the person"
            )


def _apart(one: tuple[str, str], other: tuple[str, str], roots: _Roots) -> bool:
    """Each leads to rows that the other does not know. Of two kinds only an equal name makes
    that one person; a second mailbox is another person's only under another name."""
    mine, theirs = roots.get(one, {}), roots.get(other, {})
    if not mine or not theirs or mine.keys() & theirs.keys():
        return False
    names, others = _names(mine), _names(theirs)
    return not names & others and (one[0] != other[0] or bool(names and others))


def _contradicted(
    one: tuple[str, str],
    other: tuple[str, str],
    roots: _Roots,
    given: Sequence[tuple[str, str]],
) -> bool:
    """A row that ``one`` led to holds another value of the other kind than any that was given:
    somebody else's who shares ``one``, unless the name says that it is a second account."""
    kind = other[0]
    wanted = {value for k, value in given if k == kind}
    if kind == one[0]:
        return False
    mine = roots.get(one, {})
    agreed = {text: row for text, row in mine.items() if row.values[kind] & wanted}
    odd = {t: row for t, row in mine.items() if row.values[kind] and t not in agreed}
    if not agreed:
        return bool(odd)
    return any(row.name and row.name not in _names(agreed) | {""} for row in odd.values())


def _names(rows: Mapping[KeyText, _Root]) -> set[str]:
    return {row.name for row in rows.values() if row.name}


def _looked_up(address: str, seeds: Sequence[Seed], task: Task, stores: Stores) -> _Roots:
    dataset = task.datasets[address]
    names = [f.name for f in dataset.fields if in_category(f.categories, ("user.name",))]
    carry = tuple(dict.fromkeys((*(s.field for s in seeds), *names)))
    roots: _Roots = {}
    for seed in seeds:
        selector = Selector(
            dataset=dataset, mode=mode_of(seed.kind), fields=(seed.field,), carry=carry
        )
        values = [raw for raw, _ in task.wanted[seed.kind].values()]
        for found in stores.get(dataset.store).find(selector, values):
            root = _root(found.carry, seeds, names)
            for match in found.matched:
                place = roots.setdefault((seed.kind, canonical(match, seed.kind)), {})
                place[key_text(found.key.values)] = root
    return roots


def _root(row: Mapping[str, Scalar], seeds: Sequence[Seed], names: Sequence[str]) -> _Root:
    values: dict[str, set[str]] = {}
    for seed in seeds:
        held = values.setdefault(seed.kind, set())
        for value in each(row.get(seed.field)):
            if str(value).strip():
                held.add(canonical(value, seed.kind))
    name = " ".join(fold(str(value)) for n in names for value in each(row.get(n)))
    return _Root(values=values, name=name.strip())
