"""Rows for generated tables: keys, references between them, people's values, and talk of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from tests.scenarios.generated.world import MARK, Column, Link, Row, Rows, Table, Value

T = TypeVar("T")
FIRST = ("Ann", "Ben", "Cleo", "Dan")
LAST = ("Archer", "Baker", "Carter", "Dorn")
PEOPLE = range(len(FIRST))
# What keys of text are like where people choose them.
TEXT_KEYS = ("a", "A b", "it's", 'say "x"', "back\\slash", "10", "50%", "ø", ":k", "z/z")
SHARED_PHONE = "030 5559999"


class Drawing(Protocol):
    """What is asked of the dice."""

    def number(self, low: int, high: int) -> int:
        """A number, both ends included."""

    def likely(self, percent: int) -> bool:
        """True that often."""

    def pick(self, among: Sequence[T]) -> T:
        """One of them."""


def email_of(person: int) -> str:
    """The address that a person asks with."""
    return f"{FIRST[person]}.{LAST[person]}@example.com".lower()


class Filler:
    """Fills tables; ``leavers`` is asked afterwards."""

    def __init__(self, dice: Drawing, tables: Sequence[Table], links: Sequence[Link]) -> None:
        self.dice, self.tables = dice, tables
        self.links = {(link.holder, link.field): link for link in links}
        self.made: Rows = {}
        self.present: list[int] = []

    def rows(self) -> Mapping[str, tuple[Row, ...]]:
        """All rows: keys first, since references may lead to any table."""
        for position, table in enumerate(self.tables):
            self.made[table.name] = self._keys(position, table)
        for table in self.tables:
            for row in self.made[table.name]:
                self._refer(table, row)
        for table in self.tables:
            for row in self.made[table.name]:
                self._talk(table, row)
        return {name: tuple(rows) for name, rows in self.made.items()}

    def leavers(self) -> tuple[tuple[str, ...], ...]:
        """Who leaves together, and who after them."""
        # A row that the law keeps for one, and in which another is mentioned: when both leave in
        # one run, both are redacted there, since a run has one set of needles.
        most = (
            1 if any(t.action == "retain" and t.named(free_text=True) for t in self.tables) else 2
        )
        left = list(self.present)
        rounds = []
        for _ in range(2 if self.dice.likely(10) else 1):
            count = min(self.dice.number(1, most), len(left))
            leaving = [left.pop(self.dice.number(0, len(left) - 1)) for _ in range(count)]
            rounds.append(tuple(map(email_of, leaving)))
        return tuple(filter(None, rounds))

    def _keys(self, position: int, table: Table) -> list[Row]:
        people = self._people(table)
        count = len(people) or self.dice.number(1, 4)
        start = self.dice.number(0, 2)  # 0 is a key like any other
        rows = []
        for i in range(count):
            person = people[i] if people else None
            mark = position * 100 + i
            row: Row = {
                c.name: self._value(c, start + i, mark, person)
                for c in table.columns
                if (table.name, c.name) not in self.links and not c.free_text
            }
            if any(row[c.name] is None for c in table.columns if c.identity):
                # Whose it is cannot be told: no value of anybody's may stand there, or it is
                # residue, for a person to look at.
                row |= {c.name: self._nobodys(c, mark) for c in table.columns if c.category}
            rows.append(row | {MARK: mark})
        return rows

    def _people(self, table: Table) -> list[int]:
        """Whose rows a table of people holds; somebody may have two where that is possible."""
        identity = [c for c in table.columns if c.identity]
        if not identity:
            return []
        people = [p for p in PEOPLE if p < 2 or self.dice.likely(50)]
        self.present += [p for p in people if p not in self.present]
        alone = any(c.unique or c.key for c in table.columns if c.identity or "name" in c.category)
        again = [p for p in people if self.dice.likely(10)] if not alone else []
        return people + again

    def _value(self, column: Column, number: int, mark: int, person: int | None) -> Value:
        if column.key and column.category and not column.identity:
            return f"030 777{mark:04}"
        if column.key or (column.unique and not column.personal):
            return self._key(column, number, person)
        if column.identity:
            unknown = column.nullable and person not in (0, 1) and self.dice.likely(20)
            return None if unknown else self._mailbox(person or 0)
        if column.category.startswith("user.name"):
            return self._named(column, person or 0)
        if column.category and column.nullable and self.dice.likely(20):
            return None
        return self._personal(column, mark)

    def _nobodys(self, column: Column, mark: int) -> Value:
        return None if column.identity else f"nobody {mark}"

    def _personal(self, column: Column, mark: int) -> Value:
        if column.category == "user.contact.phone_number":
            shared = not column.unique and mark < 100 and self.dice.likely(20)
            return SHARED_PHONE if shared else f"030 555{mark:04}"
        return {
            "user.contact.address.street": f"{mark} Quiet Lane",
            "user.government_id": f"ID{mark:06}",
            "user.demographic": f"1970-01-{mark % 28 + 1:02}#{mark}",
        }.get(column.category, f"label {mark % 3}")

    def _key(self, column: Column, number: int, person: int | None) -> Value:
        if column.identity:
            return self._mailbox(person or 0)
        if column.name == "tenant":
            return self.dice.number(0, 1)
        if column.type == "uuid":
            return str(UUID(int=0xA0000000_0000_4000_8000_000000000000 + number))
        return number if column.type == "int" else TEXT_KEYS[number]

    def _mailbox(self, person: int) -> str:
        email = email_of(person)
        return email.title().replace("Com", "com") if self.dice.likely(30) else email

    def _named(self, column: Column, person: int) -> str:
        part = {"user.name.first": FIRST[person], "user.name.last": LAST[person]}
        return part.get(column.category, f"{FIRST[person]} {LAST[person]}")

    def _refer(self, table: Table, row: Row) -> None:
        for column in table.columns:
            link = self.links.get((table.name, column.name))
            if link is None:
                continue
            targets = self.made[link.target]
            chosen = self.dice.number(-1 if column.nullable else 0, len(targets) - 1)
            value = None if chosen < 0 else targets[chosen][link.target_field]
            row[column.name] = str(value) if value is not None and column.type == "text" else value

    def _talk(self, table: Table, row: Row) -> None:
        for name in table.named(free_text=True):
            words = ["likes tea"]
            for _ in range(self.dice.number(0, 2)):
                words.insert(0, self._mention(self.dice.pick(PEOPLE)))
            silent = table.get(name).nullable and self.dice.likely(20)
            row[name] = None if silent else " and ".join(words)

    def _mention(self, person: int) -> str:
        first, last, email = FIRST[person], LAST[person], email_of(person)
        ways = (email, f"{first} {last}", f"{last}, {first}", email.upper(), f"{last} {first}")
        return self.dice.pick(ways)
