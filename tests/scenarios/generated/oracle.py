"""What forgetting means, worked out over dicts of rows straight from the catalogue's rules.

It shares no code with the product. A row is named by its table and its mark; values that nobody
can foresee are named by what they replace. Where a rule cannot be kept there is a refusal, and
then nothing at all may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as default

from tests.scenarios.generated.needles import constant_of, needles_in, redacted
from tests.scenarios.generated.world import MARK, Column, Link, Row, Rows, Value, World

Place = tuple[str, Value]


@dataclass(frozen=True)
class Masked:
    """Something else than ``before``, as the column takes it."""

    before: Value


@dataclass(frozen=True)
class Follows:
    """The new key of the row at ``place``."""

    place: Place
    field: str


Expected = dict[str, dict[Value, dict[str, Value | Masked | Follows]]]


@dataclass(frozen=True)
class Edge:
    """Rows of ``origin`` lead to rows of ``destination``."""

    origin: str
    origin_field: str
    destination: str
    destination_field: str
    effect: str


@dataclass
class Reached:
    """What one person's identity leads to; ``cells``: references of others that lead to them."""

    deep: set[Place] = default(default_factory=set)
    shared: set[Place] = default(default_factory=set)
    cells: set[tuple[Place, str]] = default(default_factory=set)


@dataclass
class Outcome:
    """The rows afterwards, why it must be refused instead, and of whom the law keeps rows.
    ``along``: the references whose rows the database changes or takes along by itself."""

    rows: Expected
    refusals: list[str]
    reached: Mapping[str, Reached]
    gone: set[Place]
    retained: set[str]
    along: set[Link]


def edges_of(world: World) -> Iterator[Edge]:
    """Every way that a declared reference can be walked, with the default effects."""
    for link in world.links:
        target, holder = world.table(link.target), world.table(link.holder)
        if not link.declared:
            continue
        there = (link.target, link.target_field)
        here = (link.holder, link.field)
        if link.direction != "to" and holder.action != "ignore":
            own = link.holder == link.target or holder.named(identity=True)
            about_target = link.direction is None and link.on_erase == "refcount"
            effect = None if about_target else link.on_erase
            yield Edge(*there, *here, effect or ("shallow" if own else "deep"))
        if link.direction != "from" and target.action != "ignore":
            effect = link.on_erase if link.direction or link.on_erase == "refcount" else None
            personal = target.about_people and not target.named(identity=True)
            if effect is None and personal and link.holder != link.target:
                effect = "refcount"
            if effect in ("deep", "refcount"):
                yield Edge(*here, *there, effect)


def acted_on(world: World) -> set[str]:
    """Tables that anybody's rows can be in, or text about them: their rows go by being found."""
    told = [table for table in world.tables if table.action not in ("", "ignore")]
    reached = {table.name for table in told if table.named(free_text=True)}
    pending = [table.name for table in told if table.named(identity=True)]
    walked = set()
    while pending:
        walked.add(name := pending.pop())
        for edge in (e for e in edges_of(world) if e.origin == name):
            reached.add(edge.destination)
            if edge.effect == "deep" and edge.destination not in walked:
                pending.append(edge.destination)
    return reached | walked


def find(world: World, rows: Rows, email: str) -> Reached:
    """Follow the edges from the rows that hold the email, until nothing new is found."""
    reached, edges = Reached(), list(edges_of(world))
    pending = [
        (table.name, row[MARK])
        for table in world.tables
        for name in table.named(identity=True)
        for row in rows[table.name]
        if table.action != "ignore" and str(row[name]).casefold() == email.casefold()
    ]
    while pending:
        place = pending.pop()
        if place in reached.deep:
            continue
        reached.deep.add(place)
        for edge in (e for e in edges if e.origin == place[0]):
            value = row_at(rows, place)[edge.origin_field]
            for row in rows[edge.destination]:
                if not same(value, row[edge.destination_field]):
                    continue
                found = (edge.destination, row[MARK])
                if edge.effect == "deep":
                    pending.append(found)
                elif edge.effect == "refcount":
                    reached.shared.add(found)
                else:
                    reached.cells.add((found, edge.destination_field))
    reached.shared -= reached.deep
    return reached


def same(one: object, other: object) -> bool:
    """42 and "42" are one value; NULL equals nothing."""
    return one is not None and other is not None and str(one) == str(other)


def row_at(rows: Rows, place: Place) -> Row:
    """The row of that mark."""
    return next(row for row in rows[place[0]] if row[MARK] == place[1])


def forget(world: World, rows: Rows, emails: Iterable[str]) -> Outcome:
    """Forget these people together."""
    return _Forgetting(world, rows, {email: find(world, rows, email) for email in emails}).outcome()


class _Forgetting:
    def __init__(self, world: World, rows: Rows, reached: Mapping[str, Reached]) -> None:
        self.world, self.rows, self.reached = world, rows, reached
        self.edges = list(edges_of(world))
        self.acted_on = acted_on(world)
        self.deep = {place for found in reached.values() for place in found.deep}
        self.shared = {p for found in reached.values() for p in found.shared} - self.deep
        self.gone = {p for p in self.deep if self._action(p) == "delete"}
        self.changed: set[Place] = set()
        self.unwanted: set[Place] = set()
        self.along: set[Link] = set()
        self.refusals: list[str] = []
        self.after: Expected = {
            name: {row[MARK]: dict(row) for row in listed} for name, listed in rows.items()
        }

    def outcome(self) -> Outcome:
        """Cut, let shared rows go, mask, redact, take away, follow rewritten keys; then look."""
        self._cut_others()
        self._cut_own()
        self._take_along()
        self._go_with_the_last()
        self.changed |= {p for p in self.deep if self._action(p) == "anonymize"}
        for place in sorted(self.changed, key=repr):
            self._mask(place)
        self._redact()
        for table, mark in self.gone:
            del self.after[table][mark]
        self._follow_keys()
        self._look_for_dangling()
        retained = {
            email
            for email, found in self.reached.items()
            if any(self._kept(p, email) for p in found.deep) or found.shared & self.unwanted
        }
        reached, gone, along = self.reached, self.gone, self.along
        return Outcome(self.after, self.refusals, reached, gone, retained, along)

    def _action(self, place: Place) -> str:
        return self.world.table(place[0]).action

    def _kept(self, place: Place, email: str) -> bool:
        """The law keeps that row of theirs."""
        return place in self.reached[email].deep and self._action(place) == "retain"

    def _cut(self, place: Place, name: str) -> None:
        column = self.world.table(place[0]).get(name)
        if column.key or not column.nullable:
            self.refusals.append(f"{place[0]}.{name} cannot be cut")
        self.after[place[0]][place[1]][name] = None

    def _cut_others(self) -> None:
        for email, found in self.reached.items():
            for place, name in found.cells:
                if place not in self.gone and not self._kept(place, email):
                    self._cut(place, name)

    def _cut_own(self) -> None:
        """In the person's rows that stay: what leads to shared rows, and to rows that go."""
        staying = [p for p in self.deep if self._action(p) in ("anonymize", "redact")]
        for place in staying:
            for link in self.world.links_of(place[0]):
                value = row_at(self.rows, place)[link.field]
                if value is None:
                    continue
                if self.world.table(place[0]).get(link.field).key:
                    if link.on_delete and self._goes(link, value):
                        self.refusals.append(f"{link.holder}.{link.field} is a key and stays")
                    continue
                if self._is_shared(link) or self._leads_to_gone(link, value):
                    self._cut(place, link.field)

    def _is_shared(self, link: Link) -> bool:
        ends = (link.holder, link.field, link.target, link.target_field)
        return Edge(*ends, "refcount") in self.edges

    def _leads_to_gone(self, link: Link, value: Value) -> bool:
        here, there = (link.holder, link.field), (link.target, link.target_field)
        walked = any(
            (*here, *there) == (e.origin, e.origin_field, e.destination, e.destination_field)
            or (*there, *here) == (e.origin, e.origin_field, e.destination, e.destination_field)
            for e in self.edges
        )
        return walked and self._goes(link, value)

    def _goes(self, link: Link, value: Value) -> bool:
        return any(
            same(row[link.target_field], value) and (link.target, row[MARK]) in self.gone
            for row in self.rows[link.target]
        )

    def _take_along(self) -> None:
        """What still refers to rows that go is taken along or nulled, as its foreign key says."""
        waiting = set(self.gone)
        while waiting:
            place = waiting.pop()
            for link in (k for k in self.world.links if k.target == place[0]):
                value = row_at(self.rows, place)[link.target_field]
                for mark, row in self.after[link.holder].items():
                    other = (link.holder, mark)
                    if other not in self.gone and same(value, row[link.field]):
                        waiting |= self._follow_along(link, other)

    def _follow_along(self, link: Link, place: Place) -> set[Place]:
        """What its foreign key does to a row; those that go."""
        if link.on_delete not in ("CASCADE", "SET NULL"):
            return set()
        self.along.add(link)
        if link.on_delete == "SET NULL":
            self.after[place[0]][place[1]][link.field] = None
            return set()
        if link.holder in self.acted_on:
            self.refusals.append(f"{link.holder} goes along by {link.field}, and is not found")
        self.gone.add(place)
        return {place}

    def _go_with_the_last(self) -> None:
        """A shared row gets its action once nobody refers to it any more."""
        waiting = set(self.shared)
        while free := {place for place in waiting if not self._referred(place)}:
            waiting -= free
            self.gone |= {p for p in free if self._action(p) == "delete"}
            self.changed |= {p for p in free if self._action(p) == "anonymize"}
            self.unwanted |= {p for p in free if self._action(p) == "retain"}

    def _referred(self, place: Place) -> bool:
        for link in self.world.links:
            if link.target != place[0]:
                continue
            value = row_at(self.rows, place)[link.target_field]
            for mark, row in self.after[link.holder].items():
                other = (link.holder, mark)
                if other != place and other not in self.gone and same(value, row[link.field]):
                    return True
        return False

    def _mask(self, place: Place) -> None:
        row = self.after[place[0]][place[1]]
        for column in self.world.table(place[0]).columns:
            value = row[column.name]
            if column.personal and isinstance(value, str | int):
                row[column.name] = masked(column, value)

    def _redact(self) -> None:
        needles = {email: self._needles(found) | {email} for email, found in self.reached.items()}
        for table in self.world.tables:
            names = table.named(free_text=True) if table.action not in ("", "ignore") else ()
            for mark, row in self.after[table.name].items():
                told = {
                    needle
                    for email, owned in needles.items()
                    for needle in owned
                    if not self._kept((table.name, mark), email)
                }
                for name in names:
                    if isinstance(text := row[name], str):
                        row[name] = redacted(text, told)

    def _needles(self, found: Reached) -> set[str]:
        return {
            needle
            for place in found.deep
            for needle in needles_in(self.world.table(place[0]), row_at(self.rows, place))
        }

    def _follow_keys(self) -> None:
        """A key that is personal is rewritten together with everything that refers to it."""
        for place in self.changed - self.gone:
            for name in self.world.table(place[0]).named(key=True):
                if isinstance(new := self.after[place[0]][place[1]][name], Masked):
                    self._follow(place, name, new.before)

    def _follow(self, place: Place, name: str, old: Value) -> None:
        for link in self.world.links:
            if (link.target, link.target_field) == (place[0], name):
                for row in self.after[link.holder].values():
                    if row[link.field] == old:
                        row[link.field] = Follows(place, name)

    def _look_for_dangling(self) -> None:
        """A foreign key in a row that stays forbids that what it refers to goes."""
        for link in self.world.links:
            held = {row[link.target_field] for row in self.after[link.target].values()}
            for row in self.after[link.holder].values():
                value = row[link.field]
                free = value is None or isinstance(value, Follows)
                if link.on_delete and not free and value not in held:
                    self.refusals.append(f"{link.holder}.{link.field} would dangle")


def masked(column: Column, value: Value) -> Value | Masked:
    """What anonymising puts there: NULL where the column takes it, else something else."""
    if column.method.startswith("constant "):
        return constant_of(column)
    if column.method in ("", "null") and column.nullable and not column.key:
        return None
    return Masked(value)


def contradictions(world: World) -> list[str]:
    """Rows that the law keeps refer to rows that go, or by their key to a key that is rewritten:
    refused as the catalogue stands."""
    going = [
        f"{edge.destination} is kept and refers to {edge.origin}"
        for edge in edges_of(world)
        if edge.effect == "deep"
        and world.table(edge.origin).action == "delete"
        and world.table(edge.destination).action == "retain"
    ]
    moving = [
        f"{link.holder} is kept, and its key follows {link.target}"
        for link in world.links
        if link.declared
        and world.table(link.target).action == "anonymize"
        and world.table(link.holder).action == "retain"
        and (target := world.table(link.target).get(link.target_field)).key
        and target.personal
        and world.table(link.holder).get(link.field).key
    ]
    return going + moving
