"""Which dataset an address means at a time: names, aliases, renames. Writes as it goes, inside the
transaction of whoever learns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from lineage.event_models import HeardDataset, HeardFlow, HeardName
from lineage.naming import Aliases

_PART = 500
MOST_COLUMNS = 2_000
_MOST_JOBS = 100


class Register:
    """The names of some addresses, held in memory while a batch of events is learnt from."""

    def __init__(self) -> None:
        self.datasets: dict[int, HeardDataset] = {}
        self._names: dict[str, list[HeardName]] = {}
        self._dirty: set[int] = set()
        self._silent: set[int] = set()
        # Primary keys: data of the first may be in the second since a rename.
        self.doubtful: list[tuple[int, int]] = []

    def know(self, addresses: Iterable[str], aliases: Aliases, at: datetime) -> None:
        """Read these addresses with all their aliases; make datasets for those never heard of, and
        one of those that turn out to be one."""
        wanted = sorted({*addresses, *(a for group in aliases.groups().values() for a in group)})
        for start in range(0, len(wanted), _PART):
            part = wanted[start : start + _PART]
            rows = HeardName.objects.filter(address__in=part).select_related("dataset")
            for name in rows.order_by("id"):
                name.dataset = self.datasets.setdefault(name.dataset_id, name.dataset)
                self._names.setdefault(name.address, []).append(name)
        groups: dict[str, list[str]] = {}
        for address in wanted:
            groups.setdefault(aliases.find(address), []).append(address)
        fresh = {r: n for r, n in groups.items() if not any(self._names.get(one) for one in n)}
        self._make(fresh, at)
        for names in groups.values():
            self._join(names)

    def _known(self, names: Sequence[str]) -> list[HeardDataset]:
        """The datasets that go by these names now, each once."""
        found = (self._now(name) for name in names)
        return list({row.dataset_id: row.dataset for row in found if row}.values())

    def _now(self, address: str) -> HeardName | None:
        return next((n for n in self._names.get(address, ()) if n.until is None), None)

    def _make(self, groups: dict[str, list[str]], at: datetime) -> None:
        made = HeardDataset.objects.bulk_create(
            [HeardDataset(address=root, first_at=at, last_at=at) for root in groups]
        )
        for row, names in zip(made, groups.values(), strict=True):
            self.datasets[row.pk] = row
            self._silent.add(row.pk)
            self._name(row, names)

    def _name(self, dataset: HeardDataset, addresses: Sequence[str]) -> None:
        rows = [HeardName(address=address, dataset=dataset) for address in addresses]
        for row in HeardName.objects.bulk_create(rows):
            self._names.setdefault(row.address, []).append(row)

    def _join(self, names: list[str]) -> None:
        known = sorted(self._known(names), key=lambda d: (d.address, d.pk))
        if not known:
            return  # former names only: whose they are depends on the time
        for other in known[1:]:
            self.merge(known[0], other)
        fresh = [name for name in names if self._now(name) is None]
        if fresh:
            self._name(known[0], fresh)

    def at(self, address: str, when: datetime) -> HeardDataset:
        """The dataset that went by this name then; made where none did."""
        if address not in self._names:
            self.know([address], Aliases(), when)
        names = self._names[address]
        former = [n for n in names if n.until is not None and when <= n.until]
        if former:
            return min(former, key=lambda n: (n.until, n.pk)).dataset
        now = self._now(address)
        if now is None:
            self._make({address: [address]}, when)
            now = self._now(address)
        assert now is not None  # noqa: S101 - made just now
        return now.dataset

    def rename(self, pairs: Iterable[tuple[str, str]], when: datetime) -> None:
        """What went by the first name of each pair until then goes by the second from now on, all
        at once, so that names can be swapped; the first names are free again."""
        fresh = [(old, new) for old, new in pairs if not self._heard_already(old, new, when)]
        moving = [
            (old, new, self.at(old, when)) for old, new in self._without_stopovers(fresh).items()
        ]
        for one, other in _stopovers([(old, new) for old, new, _ in moving]):
            # Where the other was gone, and only stood in between, the one went all the way round.
            self.doubtful.append((self.at(one, when).pk, self.at(other, when).pk))
        # What has a name now although it was given up then came later, and keeps it.
        kept = {old for old, _, _ in moving if not self._give_up(old, when)}
        for old, new, _ in moving:
            moved = self.at(old, when)
            taken = self._from(new, when)
            if taken is None:
                self._name(moved, [new])
            else:
                self.merge(moved, taken)
            if moved.address == old and old not in kept:
                moved.address = new
            self.changed(moved)

    def _heard_already(self, old: str, new: str, when: datetime) -> bool:
        return old == new or any(n.until == when for n in self._names.get(old, ()))

    def _without_stopovers(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """a → tmp, b → a, tmp → b: nobody ever heard of tmp, so a goes to b."""
        found = dict(pairs)
        for old, through in list(found.items()):
            now = self._now(through)
            if through in found and (now is None or now.dataset_id in self._silent):
                found[old] = found.pop(through)
        return {old: new for old, new in found.items() if old != new}

    def _give_up(self, name: str, when: datetime) -> bool:
        now = self._now(name)
        if now is not None:
            now.until = when
            now.save(update_fields=["until"])
        return now is not None

    def _from(self, address: str, when: datetime) -> HeardDataset | None:
        """The dataset that goes by this name after then, if any does."""
        later = [n for n in self._names.get(address, ()) if n.until is None or when < n.until]
        former = [n for n in later if n.until is not None]
        found = min(former, key=lambda n: (n.until, n.pk)) if former else self._now(address)
        return found.dataset if found else None

    def heard_of(self, dataset: HeardDataset) -> None:
        """An event told of it by itself, and not only of its name."""
        self._silent.discard(dataset.pk)

    def merge(self, kept: HeardDataset, gone: HeardDataset) -> None:
        """Both are one dataset: names and flows of the second become the first's."""
        if kept.pk == gone.pk:
            return
        HeardName.objects.filter(dataset=gone).update(dataset=kept)
        _merge_flows(kept, gone)
        kept.fields = kept.fields or gone.fields
        kept.kind = kept.kind or gone.kind
        kept.tags = [list(t) for t in sorted({tuple(t) for t in (*kept.tags, *gone.tags)})]
        kept.personal = kept.personal or gone.personal
        kept.owners = sorted({*kept.owners, *gone.owners})
        kept.first_at = min(kept.first_at, gone.first_at)
        kept.last_at = max(kept.last_at, gone.last_at)
        # Only what emptied both is gone from both.
        if kept.emptied_at and gone.emptied_at:
            kept.emptied_at = min(kept.emptied_at, gone.emptied_at)
        else:
            kept.emptied_at, kept.emptied_how = None, ""
        HeardDataset.objects.filter(pk=gone.pk).delete()
        self.datasets.pop(gone.pk, None)
        self._dirty.discard(gone.pk)
        for names in self._names.values():
            for name in names:
                if name.dataset_id == gone.pk:
                    name.dataset = kept
        keys = {gone.pk: kept.pk}
        self.doubtful = [(keys.get(a, a), keys.get(b, b)) for a, b in self.doubtful]
        self.changed(kept)

    def changed(self, dataset: HeardDataset) -> None:
        """To be written at the end."""
        self._dirty.add(dataset.pk)

    def write(self) -> None:
        """Write what changed."""
        rows = [self.datasets[pk] for pk in sorted(self._dirty) if pk in self.datasets]
        if rows:
            HeardDataset.objects.bulk_update(rows, _COLUMNS, batch_size=_PART)
        self._dirty.clear()


_COLUMNS = (
    *("address", "kind", "fields", "tags", "owners", "others", "version", "first_at", "last_at"),
    *("emptied_at", "emptied_how", "personal"),
)


def _stopovers(moves: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Of every ring of three or more that is told in the order of a script - b → c, a → b, c → a,
    each to a name that was just given up - what moved first, and by which name it went meanwhile.
    """
    into = dict(moves)
    for start in into:
        ring = [start]
        while (name := into.get(ring[-1], "")) and name not in ring:
            ring.append(name)
        if name != start or len(ring) < 3 or start != min(ring):
            continue
        told = [(old, new) for old, new in moves if old in ring]
        freed = [new == before for (_, new), (before, _) in zip(told[1:], told, strict=False)]
        if all(freed) and told[0][1] == told[-1][0]:
            yield told[0]


def _merge_flows(kept: HeardDataset, gone: HeardDataset) -> None:
    for mine, other in (("upstream", "downstream"), ("downstream", "upstream")):
        for flow in HeardFlow.objects.filter(**{mine: gone}):
            far = getattr(flow, f"{other}_id")
            twin = HeardFlow.objects.filter(**{mine: kept, f"{other}_id": far}).first()
            if far == kept.pk or twin is not None:
                flow.delete()
            if twin is not None:
                take_in(twin, flow)
                twin.save()
            elif far != kept.pk:
                setattr(flow, mine, kept)
                flow.save(update_fields=[mine])


def take_in(flow: HeardFlow, other: HeardFlow) -> bool:
    """What the second says is added to the first; True when that changed it."""
    before = _said(flow)
    known = {tuple(c) for c in flow.columns}
    fresh = [c for c in other.columns if tuple(c) not in known]
    flow.columns = [*flow.columns, *fresh[: max(0, MOST_COLUMNS - len(known))]]
    for job, knows in other.jobs.items():
        # Beyond so many they are one, which is never said to have told everything.
        name = job if job in flow.jobs or len(flow.jobs) < _MOST_JOBS else ""
        flow.jobs[name] = bool(name) and (flow.jobs.get(name, False) or knows)
    settle(flow)
    flow.first_at = min(flow.first_at, other.first_at)
    flow.last_at = max(flow.last_at, other.last_at)
    return before != _said(flow)


def settle(flow: HeardFlow) -> None:
    """Data flowed where a column says so, and where a job never told its columns."""
    data = any(how != "INDIRECT" for _, _, how, _ in flow.columns)
    flow.direct = data or not all(flow.jobs.values())


def _said(flow: HeardFlow) -> tuple[object, ...]:
    return (flow.direct, len(flow.columns), dict(flow.jobs), flow.first_at, flow.last_at)
