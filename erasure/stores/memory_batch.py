"""Carrying works out in memory, on a copy of the rows that is put in place when all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import Key, Receipt, Secrets, Step, Work
from erasure.stores.choosing import Given, Proposal, Verdict, choose
from erasure.stores.resolving import effect_of
from erasure.stores.rows import Effect, comparable, receipt_of, unique_keys
from erasure.stores.rules import Rule
from lineage.schema import ForeignKey, Table

if TYPE_CHECKING:
    from erasure.stores.memory import MemoryStore, World

Row = dict[str, Scalar]
KeyValues = tuple[Scalar, ...]


def by_key(rows: Sequence[Row], key: Sequence[str]) -> dict[KeyValues, Row]:
    """The rows of a table by their keys."""
    return {tuple(row[n] for n in key): row for row in rows}


def rules_of(table: Table) -> list[Rule]:
    """What is unique in a table."""
    groups: list[tuple[str, ...]] = [(c.name,) for c in table.columns if c.unique]
    groups += [table.primary_key] if table.primary_key else []
    return [
        Rule(kind="unique", name=", ".join(group), columns=frozenset(group), expressions=group)
        for group in dict.fromkeys(groups)
    ]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Looks for another row that holds the same; see :class:`erasure.stores.choosing.Judge`."""

    rows: Sequence[Row]
    key: tuple[str, ...]

    def __call__(
        self, rules: Sequence[Rule], names: Sequence[str], proposals: Sequence[Proposal]
    ) -> list[Verdict]:
        """What refuses each row."""
        now = by_key(self.rows, self.key)
        verdicts: list[Verdict] = []
        for values, vector in proposals:
            new = {**now[values], **dict(zip(names, vector, strict=True))}
            holders = {place: self._holder(rule, values, new) for place, rule in enumerate(rules)}
            verdicts.append({place: holder for place, holder in holders.items() if holder})
        return verdicts

    def _holder(self, rule: Rule, values: KeyValues, new: Row) -> KeyValues | None:
        wanted = [comparable(new[n]) for n in rule.expressions]
        for row in self.rows if None not in wanted else ():
            key = tuple(row[n] for n in self.key)
            if key != values and [comparable(row[n]) for n in rule.expressions] == wanted:
                return key
        return None


@dataclass(frozen=True, kw_only=True)
class _Link:
    """Columns of ``collection`` that refer to ``target_columns`` of another."""

    collection: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]

    def form(self, row: Row, names: Sequence[str]) -> tuple[str, ...] | None:
        """The reference as text; None where a part of it is NULL."""
        parts = [comparable(row[n]) for n in names]
        found = tuple(p for p in parts if p is not None)
        return found if len(found) == len(parts) else None


class Batch:
    """Works carried out on a copy of the rows."""

    def __init__(self, store: MemoryStore, world: World, secrets: Secrets) -> None:
        self._store, self._world, self._secrets = store, world, secrets
        self.rows = world.copy()
        self._removed: list[tuple[str, Row]] = []

    def resolve(self, work: Work) -> tuple[Effect, dict[KeyValues, Row]]:
        """The effect of a work, and the live rows of its table by key."""
        step = work.step
        if step.ghost:
            raise StoreError(
                step.dataset.address,
                "ghost rows are added in databases only; declare `on_erase: shallow`",
            )
        table = self._store._table(step.dataset, step.guard)
        key = self._store._key(step.dataset, table)
        place = f"{self._store.name}.{table.name}"
        effect = effect_of(step, table, key, self._secrets, place)
        return effect, by_key(self.rows[table.name], key)

    def settled(self, effect: Effect, pairs: Sequence[tuple[Key, Row]]) -> Effect:
        """The effect with every value chosen so that what is unique stays so."""
        table = self._world.tables[effect.step.dataset.name]
        judge = Judge(rows=self.rows[table.name], key=effect.key)
        theirs = {key.values: (key, row) for key, row in pairs if effect.is_theirs(key, row)}
        given = Given(
            keys={values: key for values, (key, _) in theirs.items()},
            rows={values: row for values, (_, row) in theirs.items()},
        )
        return effect if effect.removes else choose(effect, given, rules_of(table), judge)

    def act(self, work: Work) -> Receipt:
        """Carry out one work; the copy is thrown away when anything raises."""
        effect, rows = self.resolve(work)
        keys = unique_keys(work)
        if effect.untouched:
            return receipt_of(work, keys)
        present = [(key, rows[values]) for values, key in keys.items() if values in rows]
        kept: Sequence[Key] = ()
        if work.step.via == "refcount":
            kept = self.still_referred(work, rows)([key for key, _ in present])
        acted = [(key, row) for key, row in present if key not in kept]
        effect = self.settled(effect, acted)
        reused = [key for key, row in acted if effect.state(key, row) == "reused"]
        for key, row in acted:
            if key not in reused:
                self._apply(work, effect, key, row)
        return receipt_of(work, keys, reused=reused, kept=kept)

    def _apply(self, work: Work, effect: Effect, key: Key, row: Row) -> None:
        name = work.step.dataset.name
        if effect.removes:
            self.rows[name] = [other for other in self.rows[name] if other is not row]
            self._removed.append((name, row))
            return
        row.update(effect.changes(key, row))
        renamed = effect.rewritten(key)
        for link in self._links(work) if renamed else ():
            before = link.form(row, link.target_columns)
            for other in self.rows[link.collection]:
                if before is not None and link.form(other, link.columns) == before:
                    pairs = zip(link.columns, link.target_columns, strict=True)
                    other.update({c: renamed[t] for c, t in pairs if t in renamed})
        row.update(renamed)

    def still_referred(
        self, work: Work, rows: Mapping[KeyValues, Row]
    ) -> Callable[[Sequence[Key]], list[Key]]:
        """Which of some rows anybody but themselves refers to."""

        def answer(keys: Sequence[Key]) -> list[Key]:
            return [k for k in keys if self._referrers(work, rows[k.values])]

        return answer

    def _referrers(self, work: Work, row: Row) -> bool:
        return any(
            other is not row
            and link.form(other, link.columns) == link.form(row, link.target_columns)
            and link.form(other, link.columns) is not None
            for link in self._links(work)
            for other in self.rows[link.collection]
        )

    def _links(self, work: Work) -> list[_Link]:
        links = {
            _Link(
                collection=r.collection,
                columns=(r.field, *(mine for mine, _ in r.also)),
                target_columns=(r.target_field, *(theirs for _, theirs in r.also)),
            )
            for r in work.step.referrers
        }
        for link in links:
            known = self._world.tables.get(link.collection)
            if known is None or known.get(link.columns[0]) is None:
                raise StoreError(
                    f"{self._store.name}.{link.collection}",
                    f"'{link.columns[0]}' is missing; correct the catalogue",
                )
        links |= {link for link, _ in self._children(work.step.dataset.name)}
        return sorted(links, key=repr)

    def _children(self, target: str) -> Iterator[tuple[_Link, ForeignKey]]:
        for name, table in self._world.tables.items():
            for key in table.foreign_keys:
                if key.target == target:
                    yield (
                        _Link(
                            collection=name, columns=key.columns, target_columns=key.target_columns
                        ),
                        key,
                    )

    def refuse_dangling(self, steps: Sequence[Step]) -> None:
        """No reference may be left to a row that went. Raises LateRows; or StoreError where the
        children would have gone or changed without the plan naming their table."""
        planned = {
            (s.dataset.name, field) for s in steps for field in (*s.guard, *s.cut, *s.reference)
        }
        for name, row in self._removed:
            for link, key in self._children(name):
                gone = link.form(row, link.target_columns)
                if gone is None or all(
                    link.form(other, link.columns) != gone for other in self.rows[link.collection]
                ):
                    continue
                place = f"{self._store.name}.{link.collection}"
                named = all((link.collection, field) in planned for field in link.columns)
                if named or key.on_delete in ("NO ACTION", "RESTRICT"):
                    raise LateRows(place)
                raise StoreError(
                    place,
                    f"rows here would change with '{name}' (ON DELETE {key.on_delete}) and the "
                    "plan does not name them; declare the table, then plan again",
                )
