"""What a constraint's text speaks of: its columns, and the texts and numbers in it. Pure.

SQL of any dialect is only cut into words here. It is never understood: what an expression lets in
is asked of the database that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

_TOKEN = re.compile(
    r"""(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\W\d][^\]'",]*\])
      | (?P<number>(?<![\w.])\d+(?:\.\d+)?)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<sign>-)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of SQL: its kind, its value without quotes, and where it stands."""

    kind: str
    value: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The pieces of a text, without comments and blanks."""
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind != "comment":
            yield Token(kind, _plain(kind, found[0]), found.start(), found.end())


def _plain(kind: str, text: str) -> str:
    if kind == "text" and text[0] != "'":
        return re.sub(r"\\(.)", r"\1", text[2:-1].replace("''", "'"), flags=re.DOTALL)
    if kind in ("quoted", "text"):
        return text[1:-1].replace(text[0] * 2, text[0])
    return text


@dataclass(frozen=True)
class Hints:
    """Texts and numbers that stand in the constraints of a column: what it may have to equal, to
    look like, to be as long as, or to lie between."""

    texts: tuple[str, ...] = ()
    numbers: tuple[Decimal, ...] = ()


NO_HINTS = Hints()


def hints_in(expressions: Iterable[str], names: Iterable[str]) -> Hints:
    """The hints of some expressions; what names a column is none."""
    columns = frozenset(name.casefold() for name in names)
    texts: dict[str, None] = {}
    numbers: dict[Decimal, None] = {}
    for expression in expressions:
        minus = False
        for token in tokens(expression):
            # SQLite takes a name in double quotes that is no column for a text.
            stray = token.kind == "quoted" and token.value.casefold() not in columns
            if token.kind == "text" or stray:
                texts.update(dict.fromkeys(_members(token.value)))
            for word in [token.value] if token.kind in ("number", "text") else []:
                if re.fullmatch(r"-?\d{1,30}(\.\d{1,30})?", word):
                    numbers[Decimal(f"-{word}" if minus else word)] = None
            minus = token.kind == "sign"
    return Hints(tuple(texts), tuple(sorted(numbers)))


def _members(text: str) -> list[str]:
    """A text, or the members of an array that is written as one."""
    if not re.fullmatch(r"\{[^{}]*\}", text):
        return [text]
    return [text, *(part.strip().strip('"') for part in text[1:-1].split(","))]


def group(text: str, start: int) -> str | None:
    """What stands between the parenthesis at ``start`` and the one that closes it."""
    depth = 0
    for token in tokens(text[start:]):
        depth += {"(": 1, ")": -1}.get(token.value if token.kind == "other" else "", 0)
        if depth == 0:
            return text[start + 1 : start + token.start]
    return None


def parts_of(text: str) -> list[str]:
    """What stands between the commas of a list, where they are not in parentheses."""
    depth, start, parts = 0, 0, []
    for token in tokens(text):
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
            if token.value == "," and depth == 0:
                parts.append(text[start : token.start].strip())
                start = token.end
    return [*parts, text[start:].strip()]


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with some words put in the place of others (a domain's VALUE by its column)."""
    pieces, last = [], 0
    for token in tokens(text):
        if token.kind == "word" and token.value in names:
            pieces += [text[last : token.start], names[token.value]]
            last = token.end
    return "".join([*pieces, text[last:]])
