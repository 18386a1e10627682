"""One column, many values: typed arrays on PostgreSQL, short lists elsewhere.

Never a list of pairs (``(a, b) IN …``), which took 43 s where this takes 0.3 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from erasure.domain.values import Value
from erasure.stores.rows import folded
from erasure.stores.sql.address import compared
from erasure.stores.sql.literals import array_of
from erasure.stores.sql.reflect import Shape

ARRAY_SIZE = 10_000
LIST_SIZE = 500
# Per dialect with indexes over expressions, what takes off blanks and ends of lines.
_TRIMMED = {
    "postgresql": ("btrim", r"E' \t\n\r\013\014'"),
    "sqlite": ("trim", "char(9,10,11,12,13,32)"),
}


def batch_size(connection: sa.Connection) -> int:
    """How many values go into one statement."""
    return ARRAY_SIZE if connection.dialect.name == "postgresql" else LIST_SIZE


def batches_of(values: Sequence[Value], size: int) -> Iterator[list[Value]]:
    """The values, so many at once."""
    if set(map(type, values)) == {int}:  # nearly always: there is one spelling of each
        each = iter(dict.fromkeys(values))
        while whole := list(islice(each, size)):
            yield whole
        return
    # One value in all its spellings stays in one batch, so that its row comes once.
    by_text: dict[str | None, list[Value]] = {}
    for value in values:
        by_text.setdefault(folded(value), []).append(value)
    by_text.pop(None, None)
    spellings = iter(by_text.values())
    while batch := list(islice(spellings, size)):
        yield [value for group in batch for value in group]


def member_of(
    connection: sa.Connection, shape: Shape, name: str, values: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """The column equals one of ``values``, as its kind compares."""
    return one_of(connection, compared(shape, name), values, shape.kinds[name].bind)


def mailbox_in(
    connection: sa.Connection, text: sa.ColumnElement[Any], folded: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """``lower(text)`` or an odd value: lower() of a database is not Unicode's, so what has letters
    beyond ASCII or blanks around it is confirmed in Python. An index on each of the two serves
    (see :func:`mailbox_indexes`): so the odd is one condition, of a form that is indexed."""
    if connection.dialect.name == "sqlite":
        octets = sa.func.length(sa.cast(text, sa.LargeBinary()))
        characters = sa.func.length(text)
    else:
        octets, characters = sa.func.octet_length(text), sa.func.char_length(text)
    lowered = one_of(connection, sa.func.lower(text), folded, sa.Text())
    odd = sa.or_(characters != octets, _blanks_around(connection, text)).self_group()
    dialect = connection.dialect.name
    if dialect == "postgresql":
        odd = sa.type_coerce(odd, sa.Boolean()).is_(sa.true())
    elif dialect == "sqlite":
        odd = sa.type_coerce(odd, sa.Integer()) == sa.literal_column("1")
    return sa.or_(lowered, odd)


def _blanks_around(
    connection: sa.Connection, text: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """Blanks, tabs or ends of lines on either side: a database's own ``trim()`` knows blanks only.
    The characters are a literal, not a parameter, or no index would serve."""
    dialect = connection.dialect.name
    if dialect in ("mysql", "mariadb"):
        ends: sa.ColumnElement[str] = sa.literal_column("'^[[:space:]]|[[:space:]]$'")
        return sa.type_coerce(text.op("REGEXP")(ends), sa.Boolean())
    if dialect not in _TRIMMED:
        return text != sa.func.trim(text)
    function, characters = _TRIMMED[dialect]
    trimmed = getattr(sa.func, function)(text, sa.literal_column(characters))
    return sa.type_coerce(text != trimmed, sa.Boolean())


def mailbox_indexes(name: str, dialect: str) -> str:
    """The two indexes by which mailboxes in a column are found, in words; empty where an engine
    has no indexes over expressions that would serve."""
    octets = {
        "postgresql": f"char_length({name}) <> octet_length({name})",
        "sqlite": f"length({name}) <> length(CAST({name} AS BLOB))",
    }.get(dialect)
    if octets is None:
        return ""
    function, characters = _TRIMMED[dialect]
    trimmed = f"{function}({name}, {characters})"
    return f"add two indexes, on (lower({name})) and on (({octets} OR {name} <> {trimmed}))"


def one_of(
    connection: sa.Connection,
    expression: sa.ColumnElement[Any],
    values: Sequence[Any],
    bind: sa.types.TypeEngine[Any],
) -> sa.ColumnElement[bool]:
    """The expression equals one of ``values`` of the type ``bind``."""
    if connection.dialect.name == "postgresql":
        return in_array(expression, array_of(values, bind))
    # A parameter is named after its column unless told, and a name may hold a line's end.
    listed = sa.bindparam(None, list(values), expression.type, unique=True, expanding=True)
    return expression.in_(listed)


def in_array(
    expression: sa.ColumnElement[Any], array: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """The expression equals an item of the array."""
    return sa.type_coerce(expression == sa.any_(array), sa.Boolean())
