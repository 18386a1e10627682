"""Types for columns that do not compare or read as what they seem.

What they need is said by the type, so that every statement made with such a column is right by
itself: a text whose collation holds different texts equal, a FLOAT that shows fewer digits than
it keeps, a TIME beyond a day.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, UserDefinedType

_EQUAL = frozenset({operators.eq, operators.in_op, operators.is_not_distinct_from})
_UNEQUAL = frozenset({operators.ne, operators.not_in_op, operators.is_distinct_from})
_DAY = timedelta(days=1)


class exactly(FunctionElement[str]):  # noqa: N801 - it is used like a function
    """A text as it is stored: case, accents and trailing blanks count."""

    inherit_cache = True
    type = sa.Text()


@compiles(exactly)
def _exactly(element: exactly, compiler: SQLCompiler, **words: Any) -> str:
    return f"({compiler.process(element.clauses, **words)} COLLATE BINARY)"


@compiles(exactly, "postgresql")
def _exactly_postgresql(element: exactly, compiler: SQLCompiler, **words: Any) -> str:
    return f'({compiler.process(element.clauses, **words)} COLLATE "C")'


@compiles(exactly, "mysql", "mariadb")
def _exactly_mysql(element: exactly, compiler: SQLCompiler, **words: Any) -> str:
    # Every text collation of MySQL, and most of MariaDB, ignores trailing blanks: bytes do not.
    return f"CAST(CONVERT({compiler.process(element.clauses, **words)} USING utf8mb4) AS BINARY)"


class Exact(sa.Text):
    """Text whose collation holds different texts equal. The collation narrows, since an index
    has its order; the stored text decides."""

    class Comparator(sa.Text.Comparator[str]):
        """Adds the second look to every test of equality."""

        def operate(
            self, op: operators.OperatorType, *other: Any, **words: Any
        ) -> sa.ColumnElement[Any]:
            """``column op other``, and the same of the stored text."""
            narrow: sa.ColumnElement[Any] = super().operate(op, *other, **words)
            if op in _EQUAL:
                return sa.and_(narrow, op(exactly(self.expr), *other, **words))
            if op in _UNEQUAL:
                return sa.or_(narrow, op(exactly(self.expr), *other, **words))
            return narrow

    comparator_factory = Comparator


class Single(TypeDecorator[float]):
    """MySQL's FLOAT: shown with six digits, and equal to no double that it does not hold."""

    impl = sa.Float
    cache_ok = True

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """All digits."""
        return sa.type_coerce(sa.cast(column, sa.Double()), self)

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """In single precision."""
        return sa.cast(bindvalue, sa.Float())

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        """The shortest number that is the same in single precision."""
        if value is None:
            return None
        candidates = (float(f"{value:.{digits}g}") for digits in range(6, 10))
        return next((c for c in candidates if single(c) == value), value)


def single(number: float) -> float:
    """The nearest number of single precision; infinity beyond its range."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


class Bits(UserDefinedType[int]):
    """MySQL's BIT, which the driver reads as bytes."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "BIT"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """A number."""
        return lambda value: int.from_bytes(value) if isinstance(value, bytes) else value


class Place(UserDefinedType[str]):
    """MySQL's geometries, which can be compared with nothing: read and compared as text."""

    cache_ok = True

    class Comparator(UserDefinedType.Comparator[str]):
        """Puts the text in the column's place."""

        def operate(
            self, op: operators.OperatorType, *other: Any, **words: Any
        ) -> sa.ColumnElement[Any]:
            """``column op other``, of the text."""
            if op in (operators.is_, operators.is_not):
                return super().operate(op, *other, **words)
            text: Any = sa.func.ST_AsText(self.expr, type_=sa.Text())
            found: sa.ColumnElement[Any] = op(text, *other, **words)
            return found

    comparator_factory = Comparator

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "GEOMETRY"

    def column_expression(self, colexpr: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Such as ``POINT(1 2)``."""
        return sa.func.ST_AsText(colexpr, type_=sa.Text())


class Clock(UserDefinedType[Any]):
    """MySQL's TIME, which the driver reads as a span: a time of day, or text beyond a day."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "TIME"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """A time, or text such as ``-01:30:00``."""
        return _time_of


def _time_of(span: Any) -> Any:
    if not isinstance(span, timedelta):
        return span
    if timedelta() <= span < _DAY:
        return (datetime.combine(date.min, time()) + span).time()
    seconds = abs(span) // timedelta(seconds=1)
    fraction = f".{abs(span).microseconds:06}" if span.microseconds else ""
    sign = "-" if span < timedelta() else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"
