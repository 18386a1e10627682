"""From a live schema and what was sampled of it to findings: a suggestion per column, references
that no foreign key declares, and what each table is to people.

Pure: samples are handed in one table at a time and judged at once; only counts stay, and for
columns that may be keys some values, until the references are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from lineage.importers import joins, overlaps
from lineage.importers.guesses import guesses_of
from lineage.importers.joins import Candidate, KeySample
from lineage.importers.overlaps import Measure, Suggested
from lineage.importers.roles import Link, Roles, links_of
from lineage.importers.suggestions import Evidence, Suggestion, suggest
from lineage.importers.values import UNSEEN, Look, look
from lineage.importers.words import column_words
from lineage.schema import Inspection, Sample, Table

# One short statement each; beyond that, names have to do.
MOST_MEASURED = 2_000
# What identifies a row is short; and so many different values say as much as all.
_KEY_LENGTH, _KEY_VALUES = 80, 200
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a draft is written from. Places are (collection, column). ``identities``: columns that
    say who the row is; ``logins``: addresses that may, though nothing in the name says so.
    ``rows``: by collection, how many were looked at."""

    inspection: Inspection
    suggestions: Mapping[Place, Suggestion]
    identities: frozenset[Place]
    logins: frozenset[Place]
    references: Mapping[Place, tuple[Suggested, ...]]
    roles: Roles
    rows: Mapping[str, int]
    unread: Mapping[str, str]

    @property
    def sampled(self) -> int:
        """Of how many collections rows were looked at."""
        return len(self.rows)

    @property
    def declared(self) -> int:
        """How many references the schema itself declares, those of several columns too."""
        return sum(len(t.foreign_keys) for t in self.inspection.tables.values())


class Discovery:
    """Collects samples and measures; :meth:`findings` draws the conclusions."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._looks: dict[str, dict[str, Look]] = {}
        self._keys: dict[Place, KeySample] = {}
        self._measures: dict[Candidate, Measure | None] = {}
        self._unread: dict[str, str] = {}
        self._rows: dict[str, int] = {}
        self._candidates: list[Candidate] | None = None
        self._guesses = {name: guesses_of(t) for name, t in inspection.tables.items()}

    def take(self, sample: Sample) -> None:
        """Judge a table's sample and keep the counts."""
        name = sample.collection
        self._candidates = None
        if sample.unread:
            self._unread[name] = sample.unread
            return
        self._rows[name] = max(map(len, sample.values.values()), default=0)
        self._looks[name] = {
            column: look(self._guesses[name].get(column), values)
            for column, values in sample.values.items()
        }
        for column in self._inspection.tables[name].columns:
            if joins.family(column):
                self._keys[name, column.name] = _key_sample(sample.values.get(column.name, ()))

    def candidates(self) -> list[Candidate]:
        """The references worth measuring, the nearest names first; at most so many."""
        return self._all_candidates()[:MOST_MEASURED]

    def _all_candidates(self) -> list[Candidate]:
        if self._candidates is None:
            self._candidates = joins.candidates(self._inspection.tables, self._keys)
        return self._candidates

    def values(self, candidate: Candidate) -> tuple[object, ...]:
        """The different sampled values of a candidate's column, to be looked for in its target."""
        link = candidate.link
        return self._keys.get((link.holder, link.column), KeySample()).values

    def measured(self, candidate: Candidate, found: int | None) -> None:
        """So many of them are there; None where it could not be measured."""
        sampled = len(self.values(candidate))
        measure = None if found is None else Measure(sampled=sampled, found=min(found, sampled))
        self._measures[candidate] = measure

    def findings(self) -> Findings:
        """Everything found; references that were not measured count by their names."""
        tables = self._inspection.tables
        measures = {c: self._measures.get(c) for c in self._all_candidates()}
        suggested = overlaps.judged(measures)
        evidence = {name: tuple(self._evidence(name, table)) for name, table in tables.items()}
        links = links_of(tables)
        for reference in suggested:
            if reference.confidence == "high":
                links[reference.link.holder].append(reference.link)
        roles = Roles(evidence, links, _doubtful(tables, suggested))
        return Findings(
            inspection=self._inspection,
            suggestions={
                (name, e.column.name): one
                for name, found in evidence.items()
                for e in found
                if (one := suggest(e, roles.role(name))) is not None
            },
            identities=_places(evidence, lambda e: e.names_row),
            logins=_places(evidence, lambda e: e.may_name_row),
            references=_by_place(suggested),
            roles=roles,
            rows=self._rows,
            unread=self._unread,
        )

    def _evidence(self, name: str, table: Table) -> Iterator[Evidence]:
        split = column_words(table)
        looks = self._looks.get(name, {})
        for column in table.columns:
            yield Evidence(
                column=column,
                words=split[column.name],
                guess=self._guesses[name].get(column.name),
                look=looks.get(column.name, UNSEEN),
            )


def _places(
    evidence: Mapping[str, Sequence[Evidence]], test: Callable[[Evidence], bool]
) -> frozenset[Place]:
    return frozenset((n, e.column.name) for n, found in evidence.items() for e in found if test(e))


def _key_sample(values: Sequence[object]) -> KeySample:
    given = [v for v in values if v is not None and v != ""]
    if any(isinstance(v, float) or len(str(v)) > _KEY_LENGTH for v in given):
        return KeySample()
    different = dict.fromkeys(given)
    return KeySample(
        values=tuple(islice(different, _KEY_VALUES)), repeated=len(different) < len(given)
    )


def _doubtful(tables: Mapping[str, Table], suggested: Sequence[Suggested]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {name: [] for name in tables}
    for one in suggested:
        if one.confidence == "medium":
            found[one.link.holder].append(one.link)
    return found


def _by_place(suggested: Sequence[Suggested]) -> dict[Place, tuple[Suggested, ...]]:
    found: dict[Place, tuple[Suggested, ...]] = {}
    for one in suggested:
        place = (one.link.holder, one.link.column)
        found[place] = (*found.get(place, ()), one)
    return found
