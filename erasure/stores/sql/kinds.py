"""How the values of a column are compared: 42 and "42" are one value of an integer column, and
what cannot be a value of the column cannot match, and raises nothing.

SQL narrows with ``probes``; ``normal`` confirms in Python what was read. Columns of types that
have no plain Python value (enumerations, JSON, addresses, extensions) are read and compared as
text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import CITEXT, DOMAIN, INET
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import UnsupportedCompilationError
from sqlalchemy.types import NullType, TypeEngine, UserDefinedType

from erasure.domain.values import Scalar
from erasure.stores.rows import comparable, folded
from erasure.stores.sql.moments import or_odd
from erasure.stores.sql.quirks import Bits, Clock, Exact, Place, Single, single

# No column holds more digits, and Python refuses to read very many.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}")
_LEAST, _BIGGEST = -(2**63), 2**63 - 1
_UNSIGNED = 2**64 - 1
_TRUE = ("true", "t", "1")
_FALSE = ("false", "f", "0")


def _whole(value: object, biggest: int = _BIGGEST) -> int | None:
    if type(value) is int:  # nearly all keys are
        return value if _LEAST <= value <= biggest else None
    text = comparable(value)
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if _LEAST <= number <= biggest else None


def _unsigned(value: object) -> int | None:
    return _whole(value, _UNSIGNED)


def _flag(value: object) -> int | None:
    """A number that stands for yes or no."""
    text = comparable(value)
    return int(text == "true") if text in ("true", "false") else _whole(value)


def _parsed(parse: Callable[[str], Hashable], value: object) -> Hashable:
    text = comparable(value)
    try:
        return None if text is None else parse(text)
    except (ValueError, ArithmeticError):
        return None


def _decimal(text: str) -> Decimal:
    """As far as PostgreSQL's ``numeric`` reaches, the widest there is."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -16_383 or number.adjusted() >= 131_072:
        raise ValueError
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _real(text: str) -> float:
    """In single precision, as the column has it; what is too large for it is no value of it."""
    number = single(_float(text))
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _naive(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        raise ValueError
    return moment


def _normal(parse: Callable[[str], Hashable]) -> Callable[[object], Hashable]:
    return lambda value: _parsed(parse, value)


def _padded(value: object) -> Hashable:
    text = comparable(value)
    return text.rstrip(" ") if text is not None else None


def _alike(value: object) -> Hashable:
    text = comparable(value)
    if text is None:
        return None
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c)).rstrip()


class Bpchar(UserDefinedType[str]):
    """``bpchar`` without a length: a cast to ``char(n)`` would cut a longer value to a match."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "bpchar"


class Named(UserDefinedType[str]):
    """A type of the database that SQLAlchemy has no class for, read and written as text."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return self.name


class Xml(Named):
    """``xml``; SQLAlchemy makes it without arguments."""

    cache_ok = True  # it is asked of each class itself

    def __init__(self) -> None:
        super().__init__("XML")


@dataclass(frozen=True)
class Kind:
    """``bind``: the type of a parameter compared with the column. ``as_text``: the column is
    read through a cast to that type, a text. ``normal``: the form in which two values are equal,
    None where the value cannot be one of this column. ``native``: the reflected type, for
    writing. ``column``: the column's type in statements where it is not that of parameters."""

    bind: TypeEngine[Any]
    native: TypeEngine[Any]
    normal: Callable[[object], Hashable]
    as_text: bool = False
    both: bool = False
    column: TypeEngine[Any] | None = None

    def text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column that is read as text, as its values are written: a cast of PostgreSQL's to text
        adds the mask to an address that has none."""
        if isinstance(underlying(self.native), INET):
            return sa.func.abbrev(column, type_=self.bind)
        return sa.cast(column, self.bind)

    @property
    def folds(self) -> bool:
        """True where the column's collation holds different texts equal."""
        return isinstance(self.column, Exact)

    def alike(self, value: object) -> Hashable:
        """The form in which a reference equals what it refers to: rather one too many is held
        equal than one too few, since what is referred to stays."""
        return _alike(value) if self.folds else self.normal(value)

    def as_given(self, values: Sequence[object]) -> bool:
        """True of integers, all of which this column may hold: each is its own normal form, and
        its only probe. Nearly all keys are."""
        if self.normal is not _whole or set(map(type, values)) != {int}:
            return False
        numbers: Sequence[int] = values  # type: ignore[assignment]  # just seen
        return min(numbers) >= _LEAST and max(numbers) <= _BIGGEST

    def probes(self, value: Scalar) -> Iterable[Any]:
        """The parameters that find ``value`` in SQL; none where it cannot be there."""
        normal = self.normal(value)
        if normal is None:
            return ()
        if not isinstance(normal, str):
            return (normal,)
        found: dict[Any, None] = {normal: None}
        if isinstance(value, str) and comparable(value) is not None:
            found[value] = None  # as stored, with the blanks that comparing takes away
        if self.both:
            found.update(_loose(value, normal))
        return found


def _loose(value: Scalar, text: str) -> dict[Any, None]:
    """SQLite columns hold what they were given, so an integer is searched as both."""
    if isinstance(value, bytes):
        return {value: None}
    whole = _whole(value)
    if whole is not None:
        return {whole: None}
    if isinstance(value, float | Decimal):
        return {float(value): None}
    number = _parsed(_float, text)
    return {number: None} if number is not None and _decimal_text(text) else {}


def _decimal_text(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+\.[0-9]+", text) is not None


def loose(native: TypeEngine[Any], *, both: bool, folds: bool = False) -> Kind:
    """The kind of a column of SQLite or of an engine that is not known here: values pass as the
    driver has them. ``folds``: its collation holds different texts equal."""
    column = Exact() if folds else None
    return Kind(bind=NullType(), native=native, normal=comparable, both=both, column=column)


def underlying(native: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that a domain, or a domain of a domain, is made of."""
    while isinstance(native, DOMAIN):
        native = native.data_type
    return native


def strict(native: TypeEngine[Any], *, folds: bool = False) -> Kind:
    """The kind of a PostgreSQL column, whose parameters are typed."""
    if isinstance(native, sa.DateTime):
        parse = _aware if native.timezone else _naive
        return Kind(bind=native, native=native, normal=or_odd(_normal(parse)))
    if isinstance(native, CITEXT):
        return Kind(bind=native, native=native, normal=folded)
    for types, bind, normal in _STRICT:
        if isinstance(native, types) and not isinstance(native, sa.Enum):
            column = Exact() if folds else None
            return Kind(bind=bind or native, native=native, normal=normal, column=column)
    normal = _address if isinstance(native, INET) else comparable
    return Kind(bind=sa.Text(), native=native, normal=normal, as_text=True)


def _address(value: object) -> Hashable:
    """One address may be written with the mask of one."""
    text = comparable(value)
    return text and text.removesuffix("/128" if ":" in text else "/32")


# First match wins. No length in the bound types: a cast that cuts would make values equal.
_STRICT: tuple[
    tuple[tuple[type, ...], TypeEngine[Any] | None, Callable[[object], Hashable]], ...
] = (
    ((sa.Integer,), sa.BigInteger(), _whole),
    ((sa.CHAR, Bpchar), Bpchar(), _padded),
    ((sa.String,), sa.Text(), comparable),
    ((sa.REAL,), None, _normal(_real)),
    ((sa.Float,), None, _normal(_float)),
    ((sa.Numeric,), sa.Numeric(), _normal(_decimal)),
    ((sa.Boolean,), sa.Boolean(), _normal(_boolean)),
    ((sa.Uuid,), sa.Uuid(), _normal(UUID)),
    ((sa.Date,), sa.Date(), or_odd(_normal(date.fromisoformat))),
    ((sa.Time,), None, _normal(time.fromisoformat)),
    ((sa.LargeBinary,), None, _normal(bytes.fromhex)),
)


def mysql(declared: str, *, folds: bool = True) -> Kind:
    """The kind of a column of MariaDB or MySQL; ``declared`` as its COLUMN_TYPE is. These convert
    whatever is compared (``'42x' = 42``), so parameters are of the column's own type."""
    word = re.split(r"[( ]", declared, maxsplit=1)[0]
    if declared in ("tinyint(1)", "bit(1)"):
        bind = _MYSQL[word][0]
        return Kind(bind=bind, native=bind, normal=_flag)
    if word in _TEXTS:
        column = Exact() if folds else None
        return Kind(bind=sa.Text(), native=sa.String(), normal=comparable, column=column)
    if word in _PLACES:
        return Kind(bind=sa.Text(), native=NullType(), normal=comparable, column=Place())
    if word in _MYSQL:
        bind, normal = _MYSQL[word]
        return Kind(bind=bind, native=bind, normal=normal)
    # A network address, a document of MySQL: what is no value of the type could not be compared.
    return Kind(bind=Exact(), native=NullType(), normal=comparable, as_text=True)


_TEXTS = frozenset(["char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"])
_PLACES = frozenset(
    ["geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
     "geometrycollection", "geomcollection"]
)  # fmt: skip
_MYSQL: Mapping[str, tuple[TypeEngine[Any], Callable[[object], Hashable]]] = {
    **dict.fromkeys(
        ("tinyint", "smallint", "mediumint", "int", "bigint", "year"), (sa.BigInteger(), _unsigned)
    ),
    "bit": (Bits(), _unsigned),
    "decimal": (sa.Numeric(), _normal(_decimal)),
    "float": (Single(), _normal(_real)),
    "double": (sa.Double(), _normal(_float)),
    "date": (sa.Date(), _normal(date.fromisoformat)),
    "datetime": (sa.DateTime(), _normal(_naive)),
    "timestamp": (sa.DateTime(), _normal(_naive)),
    "time": (Clock(), _normal(time.fromisoformat)),
    "uuid": (sa.Text(), _normal(lambda text: str(UUID(text)))),
    **dict.fromkeys(
        ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
        (sa.LargeBinary(), _normal(bytes.fromhex)),
    ),
}


def type_name(native: TypeEngine[Any], dialect: Dialect) -> str:
    """A reflected type in the words of its database; labels of an enumeration included."""
    if isinstance(native, sa.Enum) and native.enums:
        return "ENUM(" + ", ".join(f"'{_escaped(label)}'" for label in native.enums) + ")"
    if isinstance(native, NullType):
        return ""
    try:
        return native.compile(dialect).partition(" COLLATE")[0]
    except UnsupportedCompilationError:
        return type(native).__name__.upper()


def _escaped(label: str) -> str:
    return label.replace("'", "''")
