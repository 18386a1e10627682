"""Errors of drivers, translated at the edge: by SQLSTATE and constraint name only.

Drivers print parameters, and PostgreSQL's DETAIL shows values even where parameters are hidden.
So no text of a driver is ever passed on; what is said here comes from codes and schema names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy.exc as sa_exc

from erasure.domain.errors import LateRows, StoreError, StoreUnreachable

FOREIGN_KEY = "foreign key"


@dataclass(frozen=True)
class Problem:
    """What a code means: words with the remedy, and whether a retry can help."""

    words: str
    permanent: bool = True
    unreachable: bool = False


_LOST = Problem(
    "no connection; check that the server runs and the address is right",
    permanent=False,
    unreachable=True,
)
_BUSY = Problem("another transaction holds these rows; try again", permanent=False)
_SLOW = Problem(
    "cancelled after statement_timeout; raise it or try again when the store is idle",
    permanent=False,
)
_CROWDED = Problem(
    "the server takes no more connections; close some or raise its limit", permanent=False
)
_FULL = Problem("the store has no room or memory left; make room, then try again", permanent=False)
_MOVED = Problem("a table or column of the plan is missing; plan again")
_DENIED = Problem("permission denied; grant the product's user what the plan needs")
_HIDDEN = Problem("row-level security hides rows from the product's user; ALTER ROLE … BYPASSRLS")
_LOGIN = Problem("login refused; check the user and password of the store's url")
_DUPLICATE = Problem("a value would not be unique; declare the method 'random' for that field")
_NOT_NULL = Problem("a column refuses NULL; declare another method for it")
_CHECK = Problem("a check constraint refuses the new value; declare a method it accepts")
_LENGTH = Problem("a new value does not fit its column; declare another method for it")
_KEPT = Problem("a foreign key forbids it; declare that reference in the catalogue")
_DAMAGED = Problem("not a usable database; restore it or correct the store's url")
_READ_ONLY = Problem("the store is read-only; give the product's user write access")
_BINLOG = Problem(
    "the server's binlog_format STATEMENT refuses READ COMMITTED; set it to MIXED or ROW"
)
_ILLEGIBLE = Problem("holds a text that is no UTF-8 where one is needed; repair it in the store")
_UNKNOWN = Problem("the store refused")
_INSTEAD = Problem(
    "the table cannot be written like that; drop the rule that acts INSTEAD, if it has one"
)

# PostgreSQL and the SQL standard: whole codes first, then classes (their first two characters).
_SQLSTATES: dict[str, Problem] = {
    "40001": _BUSY, "40P01": _BUSY, "55P03": _BUSY, "57014": _SLOW, "42501": _DENIED,
    "42P01": _MOVED, "42703": _MOVED, "3F000": _MOVED, "23505": _DUPLICATE, "23502": _NOT_NULL,
    "23503": _KEPT, "23001": _KEPT, "23514": _CHECK, "22001": _LENGTH, "22003": _LENGTH,
    "0A000": _INSTEAD, "25006": _READ_ONLY, "3D000": _DAMAGED, "53300": _CROWDED,
    "08": _LOST, "57": _LOST, "28": _LOGIN, "53": _FULL, "58": _FULL,
}  # fmt: skip
# While connecting there is no code but the server's words: in English, or nothing is made of them.
_CONNECTING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"FATAL: +(\w+ authentication failed|role \".*\" (does not exist|is not perm)|"
                r"no pg_hba.conf entry|pg_hba.conf rejects)|no password supplied"), "28000"),
    (re.compile(r"FATAL: +database \".*\" does not exist"), "3D000"),
    (re.compile(r"FATAL: +permission denied for database"), "42501"),
    (re.compile(r"FATAL: +(sorry, too many clients|too many connections|remaining connection "
                r"slots)"), "53300"),
)  # fmt: skip
_SQLITE: dict[str, Problem] = {
    "SQLITE_BUSY": _BUSY, "SQLITE_LOCKED": _BUSY, "SQLITE_CANTOPEN": _LOST, "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": _FULL, "SQLITE_NOTADB": _DAMAGED, "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_READONLY": _READ_ONLY, "SQLITE_PERM": _DENIED, "SQLITE_AUTH": _DENIED,
    "SQLITE_CONSTRAINT_UNIQUE": _DUPLICATE, "SQLITE_CONSTRAINT_PRIMARYKEY": _DUPLICATE,
    "SQLITE_CONSTRAINT_NOTNULL": _NOT_NULL, "SQLITE_CONSTRAINT_CHECK": _CHECK,
    "SQLITE_CONSTRAINT_FOREIGNKEY": _KEPT, "SQLITE_TOOBIG": _LENGTH,
    "SQLITE_MISMATCH": _CHECK,
}  # fmt: skip
_MYSQL_CODES: tuple[tuple[Problem, tuple[int, ...]], ...] = (
    (_BUSY, (1205, 1213, 1020, 1099, 1100, 1223, 1412, 1637)),
    (_SLOW, (3024, 1969, 1317, 1028)),
    (_CROWDED, (1040, 1203, 1226)),
    (_LOST, (2002, 2003, 2005, 2006, 2013, 2014, 2055, 1042, 1043, 1053, 1077, 1078, 1080,
             1129, 1152, 1156, 1158, 1159, 1160, 1161, 1184, 1927, 4031)),
    (_LOGIN, (1044, 1045, 1130, 1251, 1698, 1820, 1862, 3118, 4151)),
    (_DENIED, (1142, 1143, 1227, 1370, 1419)),
    (_MOVED, (1054, 1091, 1109, 1146, 1176, 1356)),
    (_DAMAGED, (1046, 1049, 1033, 1034, 1035, 1194, 1195, 1932)),
    # Those of the file system below have small numbers.
    (_FULL, (3, 14, 20, 1021, 1026, 1037, 1038, 1041, 1114, 1135, 1206, 1534)),
    (_DUPLICATE, (1022, 1062, 1169, 1586, 1761, 1762, 1859)),
    (_NOT_NULL, (1048, 1364, 1830)),
    (_KEPT, (1216, 1217, 1451, 1452)),
    (_CHECK, (3819, 4025, 1265, 1292, 1366, 1369, 1411, 1526, 3140, 4038)),
    (_LENGTH, (1264, 1406, 1118, 1301, 1690)),
    (_READ_ONLY, (1036, 1290, 1792, 1836)),
    (_BINLOG, (1665,)),
)  # fmt: skip
_MYSQL = {code: problem for problem, codes in _MYSQL_CODES for code in codes}
# As below; PostgreSQL names the table of a constraint, but not of a privilege.
_DENIED_TO = re.compile(r"permission denied for [a-z]+ (.+)")
_HIDDEN_BY = re.compile(r".*row-level security.* \"(.+)\"")
# Messages that hold names only, or in which a name stands where no value can: whole, and in
# English, or nothing of them is taken.
_NAME = r"((?:[^`]|``)*)"
# A trigger's own words may hold anything, also where the server's would have a name: in PostgreSQL
# it is told where they come from, in MariaDB only what looks like a plain name is one.
_RAISED = "exec_stmt_raise"
_PLAIN = re.compile(r"[\w$ `-]{1,64}")
_MYSQL_SUBJECTS: dict[int, re.Pattern[str]] = {
    1048: re.compile(r"Column '([^']*)' cannot be null"),
    1062: re.compile(r"Duplicate entry '.*' for key '([^']*)'", re.DOTALL),
    1406: re.compile(r"Data too long for column '([^']*)' at row \d+"),
    1264: re.compile(r"Out of range value for column '([^']*)' at row \d+"),
    1142: re.compile(rf"[A-Z ,]+ command denied to user .* for table (?:`{_NAME}`\.)?[`'](.*)[`']"),
    4025: re.compile(rf"CONSTRAINT `{_NAME}` failed for `{_NAME}`\.`{_NAME}`"),
    3819: re.compile(r"Check constraint '([^']*)' is violated\."),
    **dict.fromkeys(
        (1451, 1452),
        re.compile(
            rf"Cannot [a-z ]+: a foreign key constraint fails "
            rf"\(`{_NAME}`\.`{_NAME}`, CONSTRAINT `{_NAME}` .*\)",
            re.DOTALL,
        ),
    ),
}


@dataclass(frozen=True)
class Diagnosis:
    """A driver's error without its text: the code, and the schema name it concerns."""

    code: str
    problem: Problem
    subject: str = ""

    @property
    def foreign_key(self) -> bool:
        """True when a reference forbade the change."""
        return self.problem is _KEPT


def diagnose(error: BaseException) -> Diagnosis:
    """Read code and constraint name of a driver's error; never its message or detail."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, UnicodeError):
        return Diagnosis("", _ILLEGIBLE)
    kind = type(original).__module__.split(".")[0]
    if kind == "sqlite3":
        return _sqlite(original)
    if kind == "pymysql":
        return _mysql(original)
    return _standard(original, bool(getattr(error, "connection_invalidated", False)))


def _standard(original: Any, lost: bool) -> Diagnosis:
    code = getattr(original, "sqlstate", None)
    if not code and isinstance(original, Exception):
        told = str(original)
        code = next((known for words, known in _CONNECTING if words.search(told)), None)
    if not code:
        connecting = type(original).__name__ in ("OperationalError", "ConnectionTimeout")
        return Diagnosis("", _LOST if connecting or lost else _UNKNOWN)
    problem = _SQLSTATES.get(code) or _SQLSTATES.get(code[:2]) or _UNKNOWN
    diagnostics = getattr(original, "diag", None)
    if getattr(diagnostics, "source_function", None) == _RAISED:
        return Diagnosis(code, problem)
    subject = [getattr(diagnostics, name, None) for name in ("table_name", "constraint_name")]
    if problem is _DENIED:
        problem, name = _denied(getattr(diagnostics, "message_primary", None) or "")
        subject = [name]
    return Diagnosis(code, problem, ".".join(s for s in subject if s))


def _denied(message: str) -> tuple[Problem, str | None]:
    """PostgreSQL has one code for a privilege that is missing and for a policy that hides rows."""
    hidden = _HIDDEN_BY.fullmatch(message)
    denied = hidden or _DENIED_TO.fullmatch(message)
    return _HIDDEN if hidden else _DENIED, denied[1] if denied else None


def _mysql(original: Any) -> Diagnosis:
    code, message = (*original.args, None, None)[:2]
    if not isinstance(code, int) or not code:  # the driver's own words
        lost = type(original).__name__ in ("OperationalError", "InterfaceError")
        return Diagnosis("", _LOST if lost else _UNKNOWN)
    problem = _MYSQL.get(code, _UNKNOWN)
    pattern = _MYSQL_SUBJECTS.get(code)
    match = pattern.fullmatch(message) if pattern and isinstance(message, str) else None
    if match is None:
        return Diagnosis(str(code), problem)
    names = [name.replace("``", "`") for name in match.groups() if name is not None]
    if not all(_PLAIN.fullmatch(part) for name in names for part in name.split(".")):
        return Diagnosis(str(code), problem)
    if code == 4025:
        names = [names[2], names[0]]
    return Diagnosis(str(code), problem, names[-1] if code == 1142 else ".".join(names[-2:]))


def _sqlite(original: Any) -> Diagnosis:
    code = getattr(original, "sqlite_errorname", "") or ""
    text = str(original)
    if text == "FOREIGN KEY constraint failed":  # RESTRICT reports itself as a trigger
        return Diagnosis(code, _KEPT)
    if code == "SQLITE_ERROR" and text.startswith(("no such table", "no such column")):
        return Diagnosis(code, _MOVED)
    problem = _SQLITE.get(code) or _SQLITE.get("_".join(code.split("_")[:2])) or _UNKNOWN
    # These two say which column, and nothing else.
    named = code in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_NOTNULL")
    return Diagnosis(code, problem, text.partition(": ")[2] if named else "")


def translate(error: BaseException, place: str) -> StoreError:
    """The one-line error of a driver's error."""
    found = diagnose(error)
    about = " ".join(part for part in (found.code, found.subject) if part)
    words = found.problem.words + (f" ({about})" if about else "")
    if found.problem.unreachable:
        return StoreUnreachable(place, words)
    return StoreError(place, words, permanent=found.problem.permanent)


@contextmanager
def translated(place: str, *, late: bool = False) -> Iterator[None]:
    """Turn a driver's error into a StoreError at ``place``.

    ``late``: something is being deleted, so a foreign key that forbids it means that a row which
    refers to it appeared after the search.
    """
    try:
        yield
    except (sa_exc.SQLAlchemyError, UnicodeError, OverflowError) as error:
        if late and isinstance(error, sa_exc.DBAPIError) and diagnose(error).foreign_key:
            table = diagnose(error).subject.partition(".")[0]
            store = place.partition(".")[0]
            raise LateRows(f"{store}.{table}" if table else place) from None
        raise translate(error, place) from None
