"""Searching inside documents: JSON paths and arrays as keys, by the dialect's own functions.

What is asked of the database finds at least the rows that hold a value; which hold it, and where,
is told in Python, from the document. A value is compared with the items of a list, too, and lists
on the way are entered; not so where the catalogue declares one plain value (``data_type``), which
is what an index over an expression can serve.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, UserDefinedType

from erasure.stores.rows import comparable
from erasure.stores.sql.kinds import Kind, loose, strict, underlying
from erasure.stores.sql.membership import mailbox_in, one_of
from erasure.stores.sql.reflect import Shape
from lineage.schema import Inside

# Declared types of one plain value; those of lists end with [].
PLAIN = frozenset({"string", "integer", "float", "boolean", "object_id"})
# What the items of a document are called in a statement.
SOURCE = "inside"
_JSON = Kind(bind=sa.Text(), native=NullType(), normal=comparable)
_SQLITE_INDEXES = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
# A number that is written with a fraction or an exponent, and may be a whole one all the same.
_ODD_NUMBER = r"^-?[0-9]+([.][0-9]+([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$"
# So many values are put into one condition that a GIN index can serve; beyond, a hash of them is
# compared with what every row holds.
_SOME = 50
# A list, or a number that may be a whole one all the same.
_ODD = r"^(\[|-?[0-9]+[.eE])"
# Keys that nobody writes otherwise.
_WRITTEN_ONE_WAY = re.compile(r"[A-Za-z0-9_]+")
_LONGEST = 9  # digits, so that a number is one of an INTEGER column


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Values that are looked for in a field inside a column: as given, or folded for mailboxes.
    ``plain``: the field is declared to hold one value."""

    inside: Inside
    values: Sequence[Any]
    email: bool = False
    plain: bool = False


def kind_of(shape: Shape, inside: Inside) -> Kind:
    """How a value there is compared: an item of an array as a column of its type would be."""
    native = underlying(shape.kinds[inside.column].native)
    return strict(native.item_type) if isinstance(native, sa.ARRAY) else _JSON


def condition(connection: sa.Connection, shape: Shape, asked: Asked) -> sa.ColumnElement[bool]:
    """True of every row that may hold one of the values there."""
    dialect = connection.dialect.name
    column = shape.clause.c[asked.inside.column]
    if asked.inside.kind == "array":
        return _in_array(connection, shape, column, asked)
    if dialect == "postgresql":
        return _in_jsonb(connection, shape, column, asked)
    if dialect == "sqlite":
        return _in_sqlite(connection, shape, column, asked)
    if dialect in ("mysql", "mariadb"):
        return _in_mysql(connection, column, asked)
    return column.is_not(None)


def index_over(inside: Inside, dialect: str) -> str:
    """Which index would serve a search inside a document, as a remedy."""
    column, path = inside.column, ".".join(inside.path)
    if dialect == "postgresql":
        arrows = "".join(f"->'{name}'" for name in inside.path[:-1])
        over = f", or declare its data_type and add one on ({column}{arrows}->>'{inside.path[-1]}')"
        return f"add a GIN index on {column}{over if inside.path else ''}"
    if dialect == "sqlite" and inside.path:
        return f"declare its data_type and add an index on json_extract({column}, '$.{path}')"
    if dialect in ("mysql", "mariadb"):
        return "generate a column from it, with an index, and declare that column instead"
    return "no index can serve it: choose a quiet hour"


class _Some(FunctionElement[bool]):
    """``EXISTS (SELECT 1 FROM source WHERE test)``, where the source is made of a column."""

    inherit_cache = True
    type = sa.Boolean()


@compiles(_Some)
def _some(element: _Some, compiler: SQLCompiler, **words: Any) -> str:
    source, test = (compiler.process(clause, **words) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM {source} WHERE {test})"  # noqa: S608 - compiled clauses


class _Items(FunctionElement[Any]):
    """What ``source(document, path)`` gives, as a table ``inside``."""

    inherit_cache = True


class _JsonPath(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "JSONPATH"


class _Queried(_Items):
    inherit_cache = True


@compiles(_Queried)
def _queried(element: _Queried, compiler: SQLCompiler, **words: Any) -> str:
    document, path = (compiler.process(clause, **words) for clause in element.clauses)
    return f"jsonb_path_query({document}, {path}) AS inside (item)"


class _Unnested(_Items):
    inherit_cache = True


@compiles(_Unnested)
def _unnested(element: _Unnested, compiler: SQLCompiler, **words: Any) -> str:
    return f"unnest({compiler.process(element.clauses, **words)}) AS inside (item)"


class _Tree(_Items):
    inherit_cache = True


@compiles(_Tree)
def _tree(element: _Tree, compiler: SQLCompiler, **words: Any) -> str:
    return f"json_tree({compiler.process(element.clauses, **words)}) AS inside"


class _Table(_Items):
    inherit_cache = True


@compiles(_Table)
def _table(element: _Table, compiler: SQLCompiler, **words: Any) -> str:
    document, path = (compiler.process(clause, **words) for clause in element.clauses)
    return f"JSON_TABLE({document}, {path} COLUMNS (item LONGTEXT PATH '$')) AS inside"


def _test(
    connection: sa.Connection, item: sa.ColumnElement[Any], asked: Asked, probes: Sequence[Any]
) -> sa.ColumnElement[bool]:
    if asked.email:
        return mailbox_in(connection, item, asked.values)
    return one_of(connection, item, probes, sa.Text())


def _texts(values: Iterable[Any]) -> list[str]:
    """The texts that may stand there for the values."""
    found: dict[str, None] = {}
    for value in values:
        if (text := comparable(value)) is not None:
            found[text] = None
            if isinstance(value, str):
                found[value] = None  # as it was written, with blanks around it
    return list(found)


# PostgreSQL


def _in_jsonb(
    connection: sa.Connection, shape: Shape, column: sa.ColumnClause[Any], asked: Asked
) -> sa.ColumnElement[bool]:
    if asked.inside.kind == "text":
        return column.is_not(None)  # a cast of what is no document would fail
    texts = _texts(asked.values)
    if asked.plain and asked.inside.path and not asked.email:
        return one_of(connection, _member(column, asked.inside.path), _fractions(texts), sa.Text())
    binary = isinstance(underlying(shape.kinds[asked.inside.column].native), JSONB)
    if binary and len(texts) <= _SOME and not asked.email:
        path = f"{_path(asked.inside.path)} ? ({' || '.join(map(_equals, texts))})"
        wanted = sa.cast(sa.bindparam(None, path, sa.Text(), unique=True), _JsonPath())
        return sa.type_coerce(column.op("@?")(wanted), sa.Boolean())
    # Plain values, nearly all, are compared as they stand; a list, or an odd number, is taken
    # apart; what jsonb cannot hold, and a cast would fail for, is read.
    there, items = _member(column, asked.inside.path), _items_in(connection, column, asked, texts)
    unread = sa.func.strpos(sa.cast(column, sa.Text()), r"\u0000") > 0
    return sa.case(
        *([] if binary else [(unread, sa.true())]),
        (there.is_(None), sa.and_(_is_list(column, asked.inside.path, binary=binary), items)),
        (there.op("~")(_ODD), items),
        else_=_test(connection, there, asked, texts),
    )


def _is_list(
    column: sa.ColumnClause[Any], path: Sequence[str], *, binary: bool
) -> sa.ColumnElement[bool]:
    """True where there is a list on the way."""
    type_of = sa.func.jsonb_typeof if binary else sa.func.json_typeof
    way: sa.ColumnElement[Any] = column
    tests = [type_of(way) == "array"]
    for name in path[:-1]:
        way = way.op("->")(_written(name))
        tests.append(type_of(way) == "array")
    return sa.or_(*tests)


def _items_in(
    connection: sa.Connection, column: sa.ColumnClause[Any], asked: Asked, texts: Sequence[str]
) -> sa.ColumnElement[bool]:
    item: sa.ColumnElement[Any] = sa.literal_column(
        "CASE jsonb_typeof(inside.item) WHEN 'number' "
        "THEN CAST(trim_scale(CAST(inside.item AS NUMERIC)) AS TEXT) "
        "ELSE inside.item #>> '{}' END",
        sa.Text(),
    )
    whole: sa.ColumnElement[Any] = sa.literal_column(_quoted(_path(asked.inside.path)))
    items = _Queried(sa.cast(column, JSONB()), sa.cast(whole, _JsonPath()))
    return _Some(items, _test(connection, item, asked, texts))


def _member(column: sa.ColumnClause[Any], path: Sequence[str]) -> sa.ColumnElement[Any]:
    """``column -> 'user' ->> 'id'``, as an index over it is written."""
    found: sa.ColumnElement[Any] = column
    if not path:
        return found.op("#>>", return_type=sa.Text())(sa.literal_column("'{}'"))
    for name in path[:-1]:
        found = found.op("->")(_written(name))
    return found.op("->>", return_type=sa.Text())(_written(path[-1]))


def _written(text: str) -> sa.ColumnElement[Any]:
    """A constant that is part of the statement: the planner matches indexes by it."""
    return sa.bindparam(None, text, sa.Text(), unique=True, literal_execute=True)


def _fractions(texts: Sequence[str]) -> list[str]:
    return [*texts, *(f"{t}.0" for t in texts if re.fullmatch(r"-?[0-9]+", t))]


def _path(path: Sequence[str]) -> str:
    names = "".join(f".{json.dumps(name)}" for name in path)
    return f"lax ${names}[*]"


def _equals(text: str) -> str:
    same = f"@ == {json.dumps(text)}"
    number = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text)
    return f"{same} || @ == {text}" if number else same


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _in_array(
    connection: sa.Connection, shape: Shape, column: sa.ColumnClause[Any], asked: Asked
) -> sa.ColumnElement[bool]:
    kind = kind_of(shape, asked.inside)
    item: sa.ColumnElement[Any] = sa.literal_column("inside.item", kind.bind)
    item = kind.text(item) if kind.as_text else item
    if asked.email:
        text = item if isinstance(kind.native, sa.String) else sa.cast(item, sa.Text())
        return _Some(_Unnested(column), mailbox_in(connection, text, asked.values))
    probes = list(dict.fromkeys(p for value in asked.values for p in kind.probes(value)))
    if len(probes) <= _SOME and _fits(kind, probes):
        given = sa.bindparam(None, probes, ARRAY(kind.bind), unique=True)
        wanted = sa.cast(given, ARRAY(kind.native))
        return sa.type_coerce(column.op("&&")(wanted), sa.Boolean())
    return _Some(_Unnested(column), one_of(connection, item, probes, kind.bind))


def _fits(kind: Kind, probes: Sequence[Any]) -> bool:
    """Whether the values are some of the items' own type, so that arrays can be compared."""
    if isinstance(kind.native, sa.SmallInteger):
        return False
    if isinstance(kind.native, sa.Integer):
        return all(len(str(abs(p))) <= _LONGEST for p in probes)
    return isinstance(kind.native, sa.Text | sa.VARCHAR | sa.Uuid)


# SQLite


def _in_sqlite(
    connection: sa.Connection, shape: Shape, column: sa.ColumnClause[Any], asked: Asked
) -> sa.ColumnElement[bool]:
    kind = loose(NullType(), both=True)
    probes = list(dict.fromkeys(p for value in asked.values for p in kind.probes(value)))
    if asked.plain and asked.inside.path and not asked.email:
        extracted = _indexed_in_sqlite(connection, shape, asked.inside)
        if extracted is not None:
            return sa.type_coerce(extracted.in_(probes), sa.Boolean())
    valid = sa.and_(sa.func.typeof(column) != "blob", sa.func.json_valid(column) == 1)
    document = sa.case((valid, column), else_=sa.null())
    item: sa.ColumnElement[Any] = sa.literal_column("inside.atom")
    if asked.email:
        return _Some(
            _Tree(document), mailbox_in(connection, sa.cast(item, sa.Text()), asked.values)
        )
    return _Some(_Tree(document), item.in_(probes))


def _indexed_in_sqlite(
    connection: sa.Connection, shape: Shape, inside: Inside
) -> sa.ColumnElement[Any] | None:
    """The expression of an index over that path: it is only there where every row is JSON."""
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name) for name in inside.path):
        return None
    found = connection.exec_driver_sql(_SQLITE_INDEXES, (str(shape.clause.name),)).scalars()
    whole = [sql for sql in found if sql and " WHERE " not in sql.upper()]
    indexes = [re.sub(r'[\s"`\[\]]', "", sql) for sql in whole]
    column: sa.ColumnElement[Any] = shape.clause.c[inside.column]
    path = _written("$." + ".".join(inside.path))
    expression = f"{inside.column},'$.{'.'.join(inside.path)}')"
    if any(f"json_extract({expression}" in sql for sql in indexes):
        return sa.func.json_extract(column, path)
    arrow = f"({inside.column}->>'$.{'.'.join(inside.path)}'"
    if any(arrow in sql for sql in indexes):
        return column.op("->>")(path)
    return None


# MariaDB and MySQL


def _in_mysql(
    connection: sa.Connection, column: sa.ColumnClause[Any], asked: Asked
) -> sa.ColumnElement[bool]:
    document = sa.case((sa.func.json_valid(column) == 1, column), else_=sa.null())
    item: sa.ColumnElement[Any] = sa.literal_column("inside.item", sa.Text())
    test = _test(connection, item, asked, _fractions(_texts(asked.values)))
    if not asked.email:
        test = sa.or_(test, item.regexp_match(_ODD_NUMBER))
    root = "".join(map(_below, asked.inside.path[-1:])) or "$"
    return sa.or_(
        *(
            _Some(_Table(document, sa.literal_column(_mysql_quoted(path))), test)
            for path in (root, f"{root}[*]")
        )
    )


def _below(name: str) -> str:
    """Where a key's value may be. MariaDB compares keys as they are written, and what is no plain
    letter may be written escaped: there the value of any key may be it."""
    return f'$**."{name}"' if _WRITTEN_ONE_WAY.fullmatch(name) else "$**.*"


def _mysql_quoted(path: str) -> str:
    return _quoted(path.replace("\\", "\\\\"))
