"""Worlds written by hand: rows as tuples in the order of the columns, marks by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.scenarios.generated.world import MARK, Column, Link, Table, Value, World

ANN, BEN, CLEO = "ann.archer@example.com", "ben.baker@example.com", "cleo.carter@example.com"
KEY = Column(name="id", type="int", nullable=False, key=True)
EMAIL = Column(name="email", identity=True, category="user.contact.email")
EMAIL_KEY = Column(name="email", identity=True, key=True, nullable=False)
NOTE = Column(name="note", free_text=True)
STREET = Column(name="street", category="user.contact.address.street")


def number(name: str, **more: Any) -> Column:
    """A column of numbers."""
    return Column(name=name, type="int", **more)


def table(name: str, *columns: Column, action: str = "delete") -> Table:
    """A table with its mark."""
    mark = Column(name=MARK, type="int", nullable=False, unique=True)
    return Table(name=name, columns=(mark, *columns), action=action)


def link(holder: str, target: str, **more: Any) -> Link:
    """``link("orders.customer_id", "customer.id")``: a declared reference, followed from the
    target; ``on_delete`` makes it a foreign key."""
    (here, field), (there, target_field) = holder.split("."), target.split(".")
    ends = {"holder": here, "field": field, "target": there, "target_field": target_field}
    return Link(**{"direction": "from", **ends, **more})


def small(
    tables: Sequence[Table],
    links: Sequence[Link],
    *leavers: str,
    **rows: Sequence[tuple[Value, ...]],
) -> World:
    """A world whose ``leavers`` leave together; ``rows`` by table."""
    made = {}
    for position, one in enumerate(tables):
        names = [c.name for c in one.columns]
        made[one.name] = tuple(
            dict(zip(names, (position * 100 + i, *values), strict=True))
            for i, values in enumerate(rows[one.name])
        )
    return World(tables=tuple(tables), links=tuple(links), rows=made, leavers=(leavers,))
