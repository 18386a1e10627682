"""Worlds by Hypothesis: tables first, then references between any of them, then rows.

Most of what is drawn can be carried out. What must be refused is drawn seldom, so that refusals
are seen without being the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.scenarios.generated.filling import Filler
from tests.scenarios.generated.world import MARK, Column, Link, OnDelete, Table, Type, World

T = TypeVar("T")
Draw = Any

KINDS = (*["child"] * 7, *["shared"] * 3, "person", "person", "text", "text", "plain", "stranger")
# Reserved, mixed case, and every character that a driver or a formatter could take for its own.
ODD_TABLES = ("order", "Group By", 'quo"te', "select", "per%cent", "ünï-cöde", "%s :x ?")
ODD_COLUMNS = {
    "id": "key",
    "email": "e-mail",
    "name": "%(name)s",
    "note": "from",
    "phone": ":phone",
}


@dataclass
class Draft:
    """A table in the making. ``handle``: the column by which it is referred to."""

    name: str
    kind: str
    style: str
    handle: Column
    action: str = "delete"
    columns: list[Column] = default(default_factory=list)
    links: list[Link] = default(default_factory=list)
    key_told: bool = True

    def finished(self) -> Table:
        """The table, its mark first."""
        mark = Column(name=MARK, type="int", nullable=False, unique=True)
        return Table(
            name=self.name,
            columns=(mark, *self.columns),
            action=self.action,
            key_told=self.key_told,
        )


class Dice:
    """Draws, with the simplest answer first."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def number(self, low: int, high: int) -> int:
        """A number, both ends included."""
        return self._draw(st.integers(low, high))  # type: ignore[no-any-return]

    def likely(self, percent: int) -> bool:
        """True that often."""
        return self.number(0, 99) >= 100 - percent

    def pick(self, among: Sequence[T]) -> T:
        """One of them."""
        return among[self.number(0, len(among) - 1)]


@st.composite
def worlds(draw: Draw) -> World:
    """Any world."""
    return _Maker(Dice(draw)).world()


class _Maker:
    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.odd = dice.likely(25)

    def world(self) -> World:
        count = self.dice.number(2, 7)
        kinds = ["person", *(self.dice.pick(KINDS) for _ in range(count - 1))]
        self.drafts = [self._draft(i, kind) for i, kind in enumerate(kinds)]
        for position, draft in enumerate(self.drafts):
            self._link(position, draft)
        for draft in self.drafts:
            self._decide(draft)
        for draft in self.drafts:
            self._describe(draft)
        tables = tuple(d.finished() for d in self.drafts)
        links = tuple(link for d in self.drafts for link in d.links)
        filler = Filler(self.dice, tables, links)
        rows = filler.rows()
        return World(tables=tables, links=links, rows=rows, leavers=filler.leavers())

    def _draft(self, position: int, kind: str) -> Draft:
        """Its name and its key, by which others may already refer to it."""
        name = ODD_TABLES[position] if self.odd else f"{kind}{position}"
        styles = ["id", "id", "composite"]
        styles += {"person": ["email", "tenant"], "child": ["numbered", "called"]}.get(kind, [])
        style = self.dice.pick(styles)
        made: Type = self.dice.pick(("int", "text", "uuid"))
        length = 40 if made == "text" and self.dice.likely(40) else 0
        if style == "email":
            handle = self._email(key=True)
        elif style == "called":
            handle = self._called()
        elif style == "id":
            handle = Column(
                name=self._name("id"), type=made, length=length, nullable=False, key=True
            )
        else:
            handle = Column(name="code", type=made, length=length, nullable=False, unique=True)
        draft = Draft(name=name, kind=kind, style=style, handle=handle, columns=[handle])
        if style in ("composite", "tenant"):
            draft.columns.append(Column(name="tenant", type="int", nullable=False, key=True))
        if style in ("composite", "numbered"):
            draft.columns.append(Column(name="no", type="int", nullable=False, key=True))
        if kind == "person" and style != "email":
            draft.columns.append(self._email(key=style == "tenant"))
        draft.key_told = not self.dice.likely(15)
        return draft

    def _email(self, *, key: bool) -> Column:
        nullable = not key and self.dice.likely(60)
        unique = not key and self.dice.likely(50)
        methods = ["random"] if key or unique else ["random", "constant gone@example.com"]
        return Column(
            name=self._name("email"),
            nullable=nullable,
            unique=unique,
            length=self.dice.pick((0, 40)),
            key=key,
            identity=True,
            category="user.contact.email",
            method=self.dice.pick(methods) if self.dice.likely(20) else "",
        )

    def _called(self) -> Column:
        """A number that tells a line, and whose it is."""
        return Column(
            name="line",
            nullable=False,
            length=self.dice.pick((0, 24)),
            key=True,
            category="user.contact.phone_number",
            method=self.dice.pick(("", "", "random")),
        )

    def _name(self, name: str) -> str:
        return ODD_COLUMNS.get(name, name) if self.odd else name

    # References

    def _link(self, position: int, draft: Draft) -> None:
        if draft.kind in ("child", "text"):
            owners = [d for d in self.drafts[:position] if d.kind in ("person", "child")]
            if draft.kind == "child" or self.dice.likely(50):
                self._refer(draft, self.dice.pick(owners), first=True)
        most = {"child": 2, "person": 2, "shared": 1, "plain": 1, "stranger": 1}.get(draft.kind, 0)
        for _ in range(self.dice.number(0, most)):
            targets = [d for d in self.drafts if self._may_refer(draft, d)]
            if targets:
                self._refer(draft, self.dice.pick(targets), first=False)

    def _may_refer(self, holder: Draft, target: Draft) -> bool:
        if target.kind in ("text", "stranger"):
            return False
        if holder.kind == "plain":
            return target.kind == "plain"
        if holder.kind == "shared":
            return target.kind in ("plain", "shared")
        return True

    def _refer(self, holder: Draft, target: Draft, *, first: bool) -> None:
        link = Link(
            holder=holder.name,
            field=f"{'to ' if self.odd else 'ref'}{len(holder.links)}",
            target=target.name,
            target_field=target.handle.name,
        )
        link = replace(link, **self._effect(holder, target, first=first))
        in_key = first and holder.style == "numbered"
        cut = link.on_erase == "shallow" or holder.kind == "person" or holder is target
        nullable = not in_key and not self.dice.likely(4 if cut else 30)
        choices: list[OnDelete | None] = ["NO ACTION", None, "CASCADE", "RESTRICT"]
        choices += ["SET NULL"] if nullable else []
        if holder.kind == "stranger":  # what is not walked forbids, unless it goes along
            link = replace(link, declared=False)
            choices = ["CASCADE", "SET NULL" if nullable else "CASCADE", *choices[2:]]
        link = replace(link, on_delete=self.dice.pick(choices), deferrable=self.dice.likely(40))
        column = replace(
            target.handle,
            name=link.field,
            nullable=nullable,
            unique=False,
            key=in_key,
            identity=False,
            category="",
            method="",
        )
        if not link.on_delete and column.type == "int" and self.dice.likely(30):
            column = replace(column, type="text")  # 42 and "42" are one value
        holder.links.append(link)
        holder.columns.append(column)

    def _effect(self, holder: Draft, target: Draft, *, first: bool) -> dict[str, Any]:
        """Direction and effect, as the catalogue may say them."""
        pick = self.dice.pick
        if target is holder:
            # One person may lead to another; who has rows of their own elsewhere is then found
            # there again, and that is for a person to look at.
            lonely = holder.kind != "person" or [d.kind for d in self.drafts].count("person") == 1
            return {
                "direction": "from",
                "on_erase": pick((None, "shallow", "deep") if lonely else (None, "shallow")),
            }
        if target.kind == "plain":
            return {"direction": pick((None, "to", "from"))}
        if holder.kind == "stranger":
            return {}
        if target.kind == "shared":
            return {"direction": pick((None, "to")), "on_erase": pick((None, None, "refcount"))}
        effects = (None, "deep") if first else (None, None, "deep", "shallow")
        if holder.kind == "person":
            effects = (None, "shallow")
        if not first and not target.handle.personal and self.dice.likely(5):
            return {"direction": "to"}  # nobody cuts it, so nothing personal may stand in it
        # Shared by its number, such a row would leave it to whoever refers to it by nothing else,
        # and whose they are is for a person to look at.
        followed = ("from",) if target.style == "called" else (None, "from")
        return {"direction": pick(followed), "on_erase": pick(effects)}

    # What the catalogue says

    def _decide(self, draft: Draft) -> None:
        """Actions, mostly such that they do not contradict each other."""
        if draft.kind in ("plain", "stranger"):
            draft.action = self.dice.pick(("ignore", "delete")) if draft.kind == "plain" else ""
            return
        choices = ["delete", "delete", "anonymize"]
        if draft.kind == "child":
            # What stays as it is may hold nothing that is to be found nowhere else.
            choices += ["anonymize"] if draft.handle.personal else ["anonymize", "redact", "retain"]
        action = self.dice.pick(choices)
        gone = {d.name for d in self.drafts if d.action == "delete" and d is not draft}
        shared = {d.name for d in self.drafts if d.kind == "shared"}
        fixed = {c.name for c in draft.columns if not c.nullable}
        stuck = any(k.field in fixed and k.target in gone | shared for k in draft.links)
        stuck |= action == "retain" and any(k.target in gone for k in draft.links)
        # A key is never nulled; what is personal in it is residue, for a person to look at.
        told = any(k.field in fixed and self._by_person(k) for k in draft.links)
        draft.action = "delete" if stuck and (told or not self.dice.likely(8)) else action

    def _by_person(self, link: Link) -> bool:
        return next(d.handle.personal for d in self.drafts if d.name == link.target)

    def _describe(self, draft: Draft) -> None:
        """The columns that are about people, and text that may be."""
        if draft.kind == "person":
            self._name_columns(draft)
        if draft.kind == "shared":
            draft.columns.append(self._personal("street", "user.contact.address.street"))
        if draft.kind in ("person", "child") and draft.action != "redact":
            for name, category, percent in (
                (self._name("phone"), "user.contact.phone_number", 40),
                ("gov", "user.government_id", 20),
                ("born", "user.demographic", 20),
            ):
                if self.dice.likely(percent):
                    draft.columns.append(self._personal(name, category))
        if draft.kind == "text" or (draft.action not in ("", "ignore") and self.dice.likely(40)):
            nullable = self.dice.likely(70)
            draft.columns.append(Column(name=self._name("note"), free_text=True, nullable=nullable))
        if self.dice.likely(20):
            draft.columns.append(Column(name="label"))

    def _name_columns(self, draft: Draft) -> None:
        if self.dice.likely(30):
            draft.columns.append(self._personal("first", "user.name.first"))
            draft.columns.append(self._personal("last", "user.name.last"))
        else:
            draft.columns.append(self._personal(self._name("name"), "user.name"))

    def _personal(self, name: str, category: str) -> Column:
        unique = category not in ("user.name.first", "user.name.last") and self.dice.likely(20)
        methods = ["", "", "random", "null", "fake name"]
        methods += [] if unique else ["constant gone"]
        return Column(
            name=name,
            category=category,
            nullable=self.dice.likely(60),
            unique=unique,
            length=self.dice.pick((0, 24)),
            method=self.dice.pick(methods),
        )
