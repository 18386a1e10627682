"""Statements on our own database whose text is made once for the process, not at each call.

The ORM puts a query's text together anew each time, which takes several times as long as carrying
it out. What every run asks again and again is written in the ORM all the same, with a
:class:`Slot` where a value comes in; it is compiled when it is first asked. Rows are written as
the ORM writes them, by their fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models.expressions import Expression
from django.db.models.query import ModelIterable, get_related_populators

_Row = TypeVar("_Row")
_SEVERAL = (list, tuple, set, frozenset)
_KEPT = 256  # texts, each for one model and so many values


class Slot(Expression):
    """Where a value comes into a prepared query; a collection of them behind ``__in``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """A placeholder, and this in the place of its value."""
        return "(%s)", [self]


class Prepared(Generic[_Row]):
    """A query for objects of a model, or with ``values_list()`` for tuples. ``make`` writes it."""

    def __init__(self, make: Callable[[], models.QuerySet[Any, _Row]]) -> None:
        self._make = make
        self._made: dict[str, _Compiled] = {}  # by the kind of database

    def all(self, **given: Any) -> list[_Row]:
        """The rows, ``given`` a value for each slot by its name."""
        db = _database()
        compiled = self._made.get(db.vendor)
        if compiled is None:
            compiled = self._made[db.vendor] = _compiled(db, self._make())
        return list(compiled.rows(db, given))

    def first(self, **given: Any) -> _Row | None:
        """The first of them, None without any; the query itself says that it wants one."""
        return next(iter(self.all(**given)), None)


def _database() -> Any:
    """Our database as this thread is connected to it."""
    return connections[DEFAULT_DB_ALIAS]


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    """``params``: what comes into the placeholders of ``text``; ``made``: an object of a row, None
    where rows are told as tuples."""

    text: str
    params: Sequence[Any]
    converters: Sequence[tuple[int, Any, Sequence[Callable[..., Any]]]]
    made: Callable[[Sequence[Any]], Any] | None

    def rows(self, db: Any, given: Mapping[str, Any]) -> Iterator[Any]:
        """What the database answers."""
        text, values = self.text, [given[p.name] if type(p) is Slot else p for p in self.params]
        if any(isinstance(value, _SEVERAL) for value in values):
            text, values = _spread(text, values)
        if not db.features.has_native_uuid_field:
            values = [value.hex if type(value) is UUID else value for value in values]
        with db.cursor() as cursor:
            cursor.execute(text, values)
            answer = cursor.fetchall()
        for row in map(list, answer):
            for place, expression, converters in self.converters:
                for convert in converters:
                    row[place] = convert(row[place], expression, db)
            yield self.made(row) if self.made else tuple(row)


def _spread(text: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """A placeholder for each of several values. NULL equals nothing: nothing is in no values."""
    first, *parts = text.split("%s")
    spread, bound = [first], list[Any]()
    for value, part in zip(values, parts, strict=True):
        listed = list(value) if isinstance(value, _SEVERAL) else [value]
        spread += [", ".join(["%s"] * len(listed)) or "NULL", part]
        bound += listed
    return "".join(spread), bound


def _compiled(db: Any, queryset: models.QuerySet[Any, Any]) -> _Compiled:
    compiler: Any = queryset.query.get_compiler(db.alias)
    text, params = compiler.as_sql()
    listed = [expression for expression, _, _ in compiler.select]
    found = compiler.get_converters(listed).items()
    return _Compiled(
        text=text,
        params=params,
        converters=[(place, expression, convert) for place, (convert, expression) in found],
        made=_maker(compiler) if issubclass(queryset._iterable_class, ModelIterable) else None,
    )


def _maker(compiler: Any) -> Callable[[Sequence[Any]], Any]:
    """As the ORM makes objects: with what was selected along, and with annotations."""
    info, select = compiler.klass_info, compiler.select
    start, end = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [expression.target.attname for expression, _, _ in select[start:end]]
    populators: Any = get_related_populators  # its stubs are of another version
    along = populators(info, select, compiler.using)

    def made(row: Sequence[Any]) -> Any:
        one = info["model"].from_db(compiler.using, names, row[start:end])
        for populator in along:
            populator.populate(row, one)
        for name, place in compiler.annotation_col_map.items():
            setattr(one, name, row[place])
        return one

    return made


def attach(one: models.Model, name: str, rows: Sequence[models.Model]) -> None:
    """What ``one.name.all()`` is from now on, as ``prefetch_related`` would have read it."""
    related = getattr(one, name).all()
    related._result_cache, related._prefetch_done = list(rows), True
    one.__dict__.setdefault("_prefetched_objects_cache", {})[name] = related


def insert(rows: Sequence[models.Model]) -> None:
    """Add rows of one model, all or none; a key that the database makes is not told."""
    if not rows:
        return
    db = _database()
    text, columns = _inserting(db.vendor, type(rows[0]))
    values = [columns.of(db, row) for row in rows]
    if len(rows) == 1:
        _execute(db, text, values[0])
    else:
        with transaction.atomic(savepoint=False), db.cursor() as cursor:
            cursor.executemany(text, values)
    for row in rows:
        row._state.adding, row._state.db = False, db.alias


def update(model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Change the rows whose fields equal what ``where`` says, or one of a list of them; returns how
    many there were."""
    db = _database()
    tests = tuple([(name, _sort_of(value)) for name, value in where.items()])
    text, columns = _updating(db.vendor, model, tuple(values), tests)
    given = [*values.values()]
    for value in where.values():
        if isinstance(value, list):
            given += value
        elif value is not None:
            given.append(value)
    return _execute(db, text, columns.saved(db, given))


_ONE = -1  # a test for one value; else how many there are in a list, None for NULL


def _sort_of(value: Any) -> int | None:
    if value is None:
        return None
    return len(value) if isinstance(value, list) else _ONE


class _Columns:
    """Fields whose values are written, in the order of a statement's placeholders. Those of types
    that the database takes as they are need no call of their field's."""

    def __init__(self, db: Any, fields: Sequence[Any]) -> None:
        self._fields = [(field, _plain(db, field)) for field in fields]
        self._read = attrgetter(*(field.attname for field in fields))
        self._stamped = [f for f in fields if type(f).pre_save is not models.Field.pre_save]

    def of(self, db: Any, row: models.Model) -> list[Any]:
        """Everything of a row that is added; a model has more fields than one."""
        for field in self._stamped:
            field.pre_save(row, add=True)
        return self.saved(db, self._read(row))

    def saved(self, db: Any, values: Iterable[Any]) -> list[Any]:
        """As the driver takes them."""
        return [
            value if value is None or type(value) in plain else _saved(db, field, value)
            for (field, plain), value in zip(self._fields, values, strict=True)
        ]


def _plain(db: Any, field: Any) -> frozenset[type]:
    """Types of values that need not be changed for the database."""
    field = getattr(field, "target_field", field)
    if isinstance(field, models.CharField | models.TextField):
        return frozenset({str})
    numbered = isinstance(field, models.IntegerField | models.BooleanField)
    # PostgreSQL's driver is told how wide a number is.
    return frozenset({int, bool}) if numbered and db.vendor == "sqlite" else frozenset()


@lru_cache(maxsize=_KEPT)
def _inserting(_vendor: str, model: type[models.Model]) -> tuple[str, _Columns]:
    db, meta = _database(), cast(Any, model._meta)
    fields = [f for f in meta.concrete_fields if not isinstance(f, models.AutoField)]
    names, places = ", ".join(_quoted(db, f) for f in fields), ", ".join(["%s"] * len(fields))
    text = f"INSERT INTO {db.ops.quote_name(meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608
    return text, _Columns(db, fields)


@lru_cache(maxsize=_KEPT)
def _updating(
    _vendor: str,
    model: type[models.Model],
    values: tuple[str, ...],
    tests: tuple[tuple[str, int | None], ...],
) -> tuple[str, _Columns]:
    db, meta = _database(), cast(Any, model._meta)
    fields, told = [meta.get_field(name) for name in values], list[str]()
    changes = ", ".join(f"{_quoted(db, field)} = %s" for field in fields)
    for name, sort in tests:
        field = meta.pk if name == "pk" else meta.get_field(name)
        told.append(f"{_quoted(db, field)} {_test(sort)}")
        fields += [field] * (1 if sort == _ONE else sort or 0)
    table = db.ops.quote_name(meta.db_table)
    text = f"UPDATE {table} SET {changes} WHERE {' AND '.join(told)}"  # noqa: S608
    return text, _Columns(db, fields)


def _test(sort: int | None) -> str:
    if sort is None:
        return "IS NULL"
    return "= %s" if sort == _ONE else f"IN ({', '.join(['%s'] * sort) or 'NULL'})"


def _quoted(db: Any, field: Any) -> str:
    return str(db.ops.quote_name(field.column))


def _saved(db: Any, field: Any, value: Any) -> Any:
    value = value.pk if isinstance(value, models.Model) else value
    return field.get_db_prep_save(value, db)


def _execute(db: Any, text: str, bound: Sequence[Any]) -> int:
    with transaction.mark_for_rollback_on_error(db.alias), db.cursor() as cursor:
        cursor.execute(text, bound)
        return int(cursor.rowcount)
