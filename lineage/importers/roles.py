"""Which tables of a schema are about people, and which rows go with them.

``person``     has an email of its own
``child``      its rows belong to a person: they refer to one, or to a child
``shared``     an address that persons and children refer to
``uncertain``  looks like people, but nothing says how they are asked for
``linked``     refers to people, but it is unclear whose its rows are
``plain``      nothing personal in it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lineage.importers.guesses import names_actor
from lineage.importers.suggestions import Evidence, Role
from lineage.schema import ForeignKey, Table

# deep: the row is the person's. cut: the row is somebody else's, or nobody knows. shared: the
# target goes when nobody refers to it any more.
Tie = Literal["deep", "cut", "shared"]


@dataclass(frozen=True, kw_only=True)
class Link:
    """A column that refers to another: what a catalogue reference can say."""

    holder: str
    column: str
    target: str
    target_column: str
    in_key: bool
    nullable: bool


def links_of(tables: Mapping[str, Table]) -> dict[str, list[Link]]:
    """By collection, its single-column foreign keys to tables of the same store."""
    found: dict[str, list[Link]] = {name: [] for name in tables}
    for name, table in tables.items():
        for key in table.foreign_keys:
            column = table.get(key.columns[0])
            if single(key) and key.target in tables and column is not None:
                link = Link(
                    holder=name,
                    column=column.name,
                    target=key.target,
                    target_column=key.target_columns[0],
                    in_key=column.primary_key,
                    nullable=column.nullable,
                )
                found[name].append(link)
    return found


def single(key: ForeignKey) -> bool:
    """One column alone leads to the other table."""
    return len(key.columns) == 1 and len(key.target_columns) == 1


Links = Mapping[str, Sequence[Link]]


class Roles:
    """The role of every table and the tie of every link.

    ``links``: by collection, the references that count; ``doubtful``: those that only a person
    can confirm, which make a table worth a question and nothing more.
    """

    def __init__(
        self, evidence: Mapping[str, Sequence[Evidence]], links: Links, doubtful: Links
    ) -> None:
        self.links = links
        self._doubtful = doubtful
        self._strong = {n: [e for e in found if e.strong] for n, found in evidence.items()}
        self._asked = {n for n, found in evidence.items() if any(e.doubtful for e in found)}
        self._persons = {n for n, found in evidence.items() if any(e.names_row for e in found)}
        self._uncertain = self._find_uncertain()
        self._people = self._persons | self._uncertain
        self._staff = self._find_staff()
        self._attended = self._find_attended()
        self._children = self._find_children(self._persons)
        self._uncertain -= self._children
        self._shared = self._find_shared()
        self._linked = self._find_linked()

    def role(self, name: str) -> Role:
        """What the table of that name is."""
        if name in self._persons:
            return "person"
        if name in self._children:
            return "child"
        if name in self._shared:
            return "shared"
        if name in self._uncertain:
            return "uncertain"
        unclear = name in self._linked or name in self._asked or self._strong[name]
        return "linked" if unclear else "plain"

    def tie(self, link: Link) -> Tie:
        """What happens along a link when the row it refers to goes."""
        if link.target in self._shared and self._settled(link.holder):
            return "shared"
        owners = self._people | self._children | self._linked
        return "cut" if self._cut(link, owners) else "deep"

    def _settled(self, name: str) -> bool:
        return name in self._persons or name in self._children or name in self._shared

    def _find_uncertain(self) -> set[str]:
        """Tables with names or the like but no email, unless they refer to another such table
        by a column that may name their owner: those are about what that person does."""
        telling = {n for n, found in self._strong.items() if any(e.telling for e in found)}
        candidates = telling - self._persons
        return {
            name
            for name in candidates
            if not any(
                link.target in telling - {name} and not names_actor(link.column)
                for link in (*self.links[name], *self._doubtful[name])
            )
        }

    def _find_staff(self) -> set[str]:
        """People whom other people refer to, and those with a hierarchy: who handle rows."""
        return {
            link.target
            for name in self._people
            for link in self.links[name]
            if link.target in self._people
        }

    def _find_attended(self) -> set[str]:
        """What people are joined with by a table of pairs, as a course with those who attend it:
        whoever gives it, its row is not theirs alone, and would take everybody's pairs along."""
        return {
            link.target
            for links in self.links.values()
            for link in links
            for other in links
            if link.in_key and other.in_key and other.column != link.column
            if other.target in self._people and link.target not in self._people
        }

    def _find_children(self, persons: set[str]) -> set[str]:
        children: set[str] = set()
        while True:
            owners = persons | children
            grown = {
                name
                for name in self._strong.keys() - owners - self._attended
                if any(
                    link.target in owners and not self._cut(link, owners)
                    for link in self.links[name]
                )
            }
            if not grown:
                return children
            children |= grown

    def _cut(self, link: Link, owners: set[str]) -> bool:
        """True where the row may be somebody else's: the link names who handled it, or another
        link names its owner as well."""
        if link.holder in {*self._persons, link.target} or link.target not in owners:
            return False
        if link.in_key:  # without it the row means nothing
            return False
        if names_actor(link.column) or link.holder in self._attended:
            return True
        others = [
            other
            for other in self.links[link.holder]
            if other != link and other.target in owners and not names_actor(other.column)
        ]
        if link.target in self._staff:
            return bool(others)
        owner = self._people - self._staff
        return link.target in owner and any(other.target in owner for other in others)

    def _find_shared(self) -> set[str]:
        return {
            link.target
            for name in self._persons | self._children
            for link in self.links[name]
            if not self._settled_owner(link.target)
            and any(e.address for e in self._strong[link.target])
            and not any(e.telling for e in self._strong[link.target])
        }

    def _settled_owner(self, name: str) -> bool:
        return name in self._persons or name in self._children

    def _find_linked(self) -> set[str]:
        """Tables that lead to people, or to what may be people, in a way that is not clear, and
        what refers to those."""
        unclear = self._uncertain | {n for n, found in self._strong.items() if found} | self._asked
        unclear = {name for name in unclear if not self._settled(name)}
        linked: set[str] = set()
        while True:
            grown = {
                name
                for name in self._strong
                if not self._settled(name)
                and name not in unclear
                and any(
                    link.target in unclear or self._settled_owner(link.target)
                    for link in (*self.links[name], *self._doubtful[name])
                )
            }
            if not grown:
                return linked
            linked |= grown
            unclear |= grown
