"""Reading what databases keep as text only: the columns of an expression, and what SQLite
remembers of CREATE TABLE and tells no other way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lineage.schema import Check

_TOKEN = re.compile(
    r"""
    (?P<string>'(?:[^'\\]|''|\\.)*') |
    (?P<name>"(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]) |
    (?P<comment>--[^\n]* | /\*.*?(?:\*/|\Z)) |
    (?P<word>[^\W\d][\w$]*) |
    (?P<number>\d[\w.]*) |
    (?P<sign>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
# In SQLite a backslash is a letter like any other.
_PLAIN = re.compile(_TOKEN.pattern.replace(r"[^'\\]|''|\\.", r"[^']|''"), _TOKEN.flags)


_WORDS = re.compile("check|collate|references", re.IGNORECASE)


@dataclass(frozen=True)
class _Token:
    """``text``: what is quoted without its quotes, all else as written."""

    kind: str
    text: str
    start: int
    end: int

    def sign(self, text: str) -> bool:
        """True for that sign."""
        return self.kind == "sign" and self.text == text

    @property
    def keyword(self) -> str:
        """In upper case, empty for what cannot be one."""
        return self.text.upper() if self.kind == "word" else ""


def _tokens(text: str, pattern: re.Pattern[str]) -> Iterator[_Token]:
    for match in pattern.finditer(text):
        kind, found = match.lastgroup or "", match[0]
        if kind in ("name", "string"):
            quote = found[-1]
            found = found[1:-1] if quote == "]" else found[1:-1].replace(quote * 2, quote)
        if kind != "comment":
            yield _Token(kind, found, match.start(), match.end())


def columns_in(expression: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns that an expression speaks of, in the table's order."""
    said = {t.text.lower() for t in _tokens(expression, _TOKEN) if t.kind in ("name", "word")}
    return tuple(c for c in columns if c.lower() in said)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key of CREATE TABLE; columns in lower case."""

    columns: tuple[str, ...]
    name: str
    deferrable: bool


@dataclass(kw_only=True)
class Created:
    """What CREATE TABLE says beyond SQLite's pragmas; ``collations`` in upper case, by column in
    lower case."""

    checks: list[Check] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    collations: dict[str, str] = field(default_factory=dict)

    def reference(self, columns: Sequence[str]) -> Reference | None:
        """The reference by those columns."""
        wanted = tuple(c.lower() for c in columns)
        return next((r for r in self.references if r.columns == wanted), None)


def created(sql: str, columns: Sequence[str]) -> Created:
    """Read a CREATE TABLE statement of SQLite. ``columns``: the table's, as the pragma has them."""
    found = Created()
    if not _WORDS.search(sql):
        return found  # most say nothing beyond the pragmas
    for clause in _clauses(_tokens(sql, _PLAIN)):
        _Clause(clause, sql, columns, found).read()
    return found


def _clauses(tokens: Iterable[_Token]) -> Iterator[list[_Token]]:
    """What stands between the commas of the outer brackets."""
    depth, clause = 0, list[_Token]()
    for token in tokens:
        depth -= token.sign(")")
        if depth > 1 or (depth == 1 and not token.sign(",")):
            clause.append(token)
        elif clause:
            yield clause
            clause = []
        depth += token.sign("(")


def _bracketed(tokens: Sequence[_Token]) -> list[_Token]:
    """What stands in the brackets that come first."""
    depth, inside = 0, list[_Token]()
    for token in tokens:
        depth -= token.sign(")")
        if depth > 0:
            inside.append(token)
        elif inside:
            break
        depth += token.sign("(")
    return inside


class _Clause:
    """A column with its constraints, or a constraint of the whole table."""

    def __init__(
        self, tokens: Sequence[_Token], sql: str, columns: Sequence[str], found: Created
    ) -> None:
        self.tokens, self.sql, self.columns, self.found = tokens, sql, columns, found
        first = tokens[0]
        whole_table = first.keyword in ("CONSTRAINT", "CHECK", "FOREIGN", "PRIMARY", "UNIQUE")
        self.holder: tuple[str, ...] = () if whole_table else (first.text.lower(),)
        self.name = ""

    def read(self) -> None:
        """Take down what is of interest."""
        readers = {
            "CHECK": self._check,
            "COLLATE": self._collate,
            "FOREIGN": self._foreign,
            "REFERENCES": self._references,
        }
        depth, named = 0, False
        for i, token in enumerate(self.tokens):
            depth -= token.sign(")")
            if depth == 0 and token.keyword == "CONSTRAINT":
                self.name, named = self.tokens[i + 1].text, True
            elif depth == 0 and token.keyword in readers:
                readers[token.keyword](self.tokens[i + 1 :])
            if named and token.keyword in _OTHER_CONSTRAINTS:
                self.name, named = "", False
            depth += token.sign("(")

    def _check(self, rest: Sequence[_Token]) -> None:
        inside = _bracketed(rest)
        text = self.sql[inside[0].start : inside[-1].end]
        self.found.checks.append(
            Check(name=self.name, expression=text, columns=columns_in(text, self.columns))
        )
        self.name = ""

    def _collate(self, rest: Sequence[_Token]) -> None:
        self.found.collations.update(dict.fromkeys(self.holder, rest[0].text.upper()))

    def _foreign(self, rest: Sequence[_Token]) -> None:
        self.holder = tuple(t.text.lower() for t in _bracketed(rest) if not t.sign(","))

    def _references(self, rest: Sequence[_Token]) -> None:
        self.found.references.append(
            Reference(columns=self.holder, name=self.name, deferrable=_deferrable(rest))
        )
        self.name = ""


# A name given to one of these is not the next constraint's.
_OTHER_CONSTRAINTS = frozenset({"NOT", "NULL", "UNIQUE", "PRIMARY", "DEFAULT"})


def _deferrable(rest: Sequence[_Token]) -> bool:
    """DEFERRABLE of this reference, not of the next one of the same column."""
    for i, token in enumerate(rest):
        if token.keyword == "REFERENCES":
            return False
        if token.keyword == "DEFERRABLE":
            return rest[i - 1].keyword != "NOT"
    return False
