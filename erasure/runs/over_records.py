"""Records in files whose retention has run out. They have no key: those of equal date that are the
same people's, and are referred to alike, go or stay together, whatever object they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from erasure.domain.finding import KeyText, key_text
from erasure.domain.values import Scalar, canonical, fold
from erasure.runs.over import Row, Survey
from erasure.runs.places import Places
from erasure.runs.searching import Stores
from erasure.stores.base import Key
from erasure.stores.dating import Dated, Object, Record
from lineage.graph import Dataset
from lineage.snapshot import Snapshot

_SEVERAL = "several values in one field by which others refer to them, or of their date: left alone"
_UNREAD = "lines that cannot be read: nobody can tell how old they are"


@dataclass
class _Alike:
    """Records of one date and one person: how many in which object, and what leads on."""

    since: date
    carry: Mapping[str, Scalar]
    counts: Counter[str] = field(default_factory=Counter)


class RecordSurvey(Survey):
    """What is over in one dataset of files. A key is (object, date field, its text, and the guard's
    texts, which tell apart)."""

    keyed = False

    def __init__(self, dataset: Dataset, catalogue: Snapshot, stores: Stores, today: date) -> None:
        super().__init__(dataset, catalogue, stores, today)
        self._targets = {n for r in self._into.get(dataset.address, ()) for n in r.target_fields}
        self._counted: Counter[KeyText] = Counter()

    def _told_by(self) -> set[str]:
        """Equal records that are referred to differently are told apart as well."""
        targets = {n for r in self._into.get(self.dataset.address, ()) for n in r.target_fields}
        return {*self._rule.fields, *self.dataset.key, *targets} - {self._rule.starts}

    def root_of(self, values: Sequence[Scalar]) -> KeyText:
        """The object is no part of it: records move when a log is rotated, or files are merged."""
        return key_text(values[2:])

    def there(self, root: KeyText) -> int | None:
        """As they were counted when they were taken."""
        return self._counted[root]

    def look(self, most: int) -> None:
        """One pass over everything; so many kinds of records are taken, the rest is counted."""
        self._admit(_Pass(self, None, most))

    def take(self, keys: Sequence[tuple[Scalar, ...]]) -> None:
        """One pass over what holds one of their dates."""
        wanted = {self.root_of(key) for key in keys}
        if wanted:
            self._admit(_Pass(self, wanted, len(wanted)))

    def _admit(self, seen: _Pass) -> None:
        address = self.dataset.address
        store = self._stores.get(self.dataset.store)
        assert isinstance(store, Dated)  # noqa: S101 - this survey is made for those
        places = self._places(address)
        fields = {*self._rule.fields, *self.root.step.guard, *(places.fields if places else ())}
        texts = None if seen.wanted is None else sorted({root[0] for root in seen.wanted})
        for one in store.dated(self.dataset, self._rule.starts, sorted(fields), texts):
            seen.read(one, places)
        seen.settle()
        self._left.update({(address, why): n for why, n in seen.left.items()})
        self.more += seen.more
        self.present |= seen.present
        for root, kind in seen.alike.items():
            self.since = min(self.since or kind.since, kind.since)
            self._counted[root] = kind.counts.total()
            for name, count in kind.counts.items():
                values = (name, self._rule.starts, *root)
                key = Key(values, root[1:], count, seen.versions[name])
                row = Row(address, key, kind.carry, {root})
                self._rows.setdefault(address, {})[key_text(values)] = self._roots[root] = row
        self._grow([row for row in self._rows.get(address, {}).values() if row.roots])

    def judged(self, record: Record) -> tuple[KeyText, date] | str:
        """What tells it from others and its last day; why it stays; empty for one that is young."""
        if record is None:
            return _UNREAD
        if any(len(record[n]) > 1 for n in {*self._rule.fields, *self._targets} & record.keys()):
            return _SEVERAL
        row = {name: held[0] for name, held in record.items() if held}
        last = self._rule.last_day(row)
        if last is None:
            return self._rule.untold
        since = self._rule.over_since(row, self._today)
        if since is None:
            return ""
        told_by = (row.get(name) for name in self.root.step.guard)
        guard = ("" if v is None else fold(canonical(v)) for v in told_by)
        return (canonical(row[self._rule.starts]), *guard), since

    def carried(self, record: Record) -> dict[str, Scalar]:
        """What others refer to."""
        found = record or {}
        return {name: found[name][0] for name in self._targets if found.get(name)}


class _Pass:
    """One reading of a dataset: what may go, by kind, and what stays."""

    def __init__(self, survey: RecordSurvey, wanted: Collection[KeyText] | None, most: int) -> None:
        self.wanted, self._survey, self._most = wanted, survey, most
        self.alike: dict[KeyText, _Alike] = {}
        self.versions: dict[str, str] = {}
        self.left: Counter[str] = Counter()
        self.present: set[KeyText] = set()
        self.more = 0
        self._stays: dict[KeyText, str] = {}

    def read(self, one: Object, places: Places | None) -> None:
        """Every record of an object."""
        for record in one.records:
            judged = self._survey.judged(record)
            if isinstance(judged, str):
                self.left[judged] += bool(judged)
                continue
            root, since = judged
            if self.wanted is not None:
                if root not in self.wanted:
                    continue
                self.present.add(root)
            self._take(one.name, record or {}, root, since, places)
        if one.name in self.versions:
            self.versions[one.name] = one.version()

    def _take(
        self,
        name: str,
        record: Mapping[str, tuple[Scalar, ...]],
        root: KeyText,
        since: date,
        places: Places | None,
    ) -> None:
        """One that is over: it may go, stays with a reason, or is counted."""
        if why := places.why(record) if places else "":
            self.left[why] += 1
            if places and not places.whole:  # bounded by the records of those it is about
                self._stays[root] = why
        elif root in self.alike or len(self.alike) < self._most:
            kind = self.alike.setdefault(root, _Alike(since, self._survey.carried(record)))
            kind.counts[name] += 1
            self.versions[name] = ""
        else:
            self.more += 1

    def settle(self) -> None:
        """Records that cannot be told from one that stays, stay with it."""
        for root, why in self._stays.items():
            if root in self.alike:
                self.left[why] += self.alike.pop(root).counts.total()
        self.left = +self.left


def survey_in(dataset: Dataset, catalogue: Snapshot, stores: Stores, today: date) -> Survey:
    """The survey for a dataset, by what its store can tell rows by."""
    dated = isinstance(stores.get(dataset.store), Dated)
    return (RecordSurvey if dated else Survey)(dataset, catalogue, stores, today)
