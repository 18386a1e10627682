"""What of a script makes or fills a relation or a file, statement by statement, with sqlglot. Pure.

Whatever may move data and is not read is told by its line and its kind, never in its own words,
whose literals may be somebody's data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from lineage.importers.sql_changes import merged, updated

E = TypeVar("E", bound=exp.Expr)
LONGEST = 500_000  # characters
# Statements that sqlglot passes on as words, and that move no data between relations.
_IDLE = frozenset({
    "ANALYZE", "BEGIN", "CHECKPOINT", "CLOSE", "CLUSTER", "COMMENT", "COMMIT", "DEALLOCATE",
    "DECLARE", "DISCARD", "DROP", "END", "EXPLAIN", "FETCH", "FLUSH", "GRANT", "LISTEN", "LOCK",
    "NOTIFY", "OPTIMIZE", "PRAGMA", "REASSIGN", "REFRESH", "REINDEX", "RELEASE", "RESET", "REVOKE",
    "ROLLBACK", "SAVEPOINT", "SECURITY", "SET", "SHOW", "START", "TRUNCATE", "UNLISTEN", "UNLOCK",
    "USE", "VACUUM",
})  # fmt: skip
_MOVING = frozenset({
    "ALTER", "CALL", "COPY", "CREATE", "DO", "EXEC", "EXECUTE", "IMPORT", "INSERT", "LOAD", "MERGE",
    "PREPARE", "REPLACE", "SELECT", "UNLOAD", "UPDATE", "WITH",
})  # fmt: skip
_WITH_CODE = frozenset(
    {"EVENT", "FUNCTION", "PIPE", "PROCEDURE", "RULE", "STREAM", "TASK", "TRIGGER"}
)
_QUIET = (
    *(exp.Query, exp.Delete, exp.Drop, exp.TruncateTable, exp.Set, exp.Use, exp.Transaction),
    *(exp.Commit, exp.Rollback, exp.Grant, exp.Revoke, exp.Comment, exp.Analyze, exp.Pragma),
    *(exp.Attach, exp.Detach, exp.Describe, exp.Show, exp.Kill, exp.Cache, exp.Uncache),
    *(exp.Refresh, exp.Alias, exp.Column, exp.Semicolon),
)
# What stands between COPY … FROM stdin and its end is no SQL, and somebody's rows.
_INLINE = re.compile(r"(?im)^(copy\b[^;]*\bfrom\s+stdin\b[^;]*;)[^\n]*\n(.*?)^\\\.\s*$", re.DOTALL)
_META = re.compile(r"(?m)^\\(copy\b)?[^\n]*$")
_PSQL = "copy_by_psql"
_LOAD = re.compile(
    r"\s*load\s+data\s+(?:low_priority\s+|concurrent\s+)?(?:local\s+)?infile\s+'(?P<file>[^']+)'"
    r"\s+(?:replace\s+|ignore\s+)?into\s+table\s+(?P<table>[\w.`\"]+)",
    re.IGNORECASE,
)
_UNLOAD = re.compile(
    r"\s*unload\s*\(\s*(?:'(?P<text>(?:[^']|'')*)'|\$\$(?P<raw>.*?)\$\$)\s*\)\s*to\s*'(?P<file>[^']+)'",
    re.IGNORECASE | re.DOTALL,
)
# Said in other words that mean the same here.
_REWORDED = (
    (re.compile(r"\A\s*replace\s+into\b", re.IGNORECASE), "INSERT INTO"),
    (re.compile(r"\s+with\s+(?:no\s+)?data\s*\Z", re.IGNORECASE), ""),
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement that makes or fills a relation, or a file, out of a query. ``target``: its name
    as written, outermost first, empty for a mere query; ``columns``: those it names itself;
    ``file``: the file that is written instead; ``source``: the file that is read, then there is no
    query."""

    target: tuple[str, ...]
    what: str
    query: exp.Query | None = None
    columns: tuple[str, ...] = ()
    file: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A statement that may move data and is not understood."""

    line: int
    what: str


@dataclass(kw_only=True)
class Script:
    """What a text says, in order, and what of it nobody understood."""

    statements: list[Statement] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def read_script(sql: str, *, dialect: str | None = None) -> Script | str:
    """Every statement of a text, or why nothing of it can be read."""
    if len(sql) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    script = Script()
    told = _META.sub(lambda meta: "" if meta[1] is None else f"{_PSQL};", _unrowed(sql))
    used = Dialect.get_or_raise(known(dialect))
    try:
        listed = used.tokenize(told)
    except SqlglotError:
        return f"it cannot be parsed as {known(dialect) or 'SQL'}"
    for part in _parts(listed):
        _read(part, told, used, script, known(dialect) or "SQL")
    return script


def known(dialect: str | None) -> str | None:
    """The dialect, where sqlglot knows it."""
    return dialect if dialect and Dialect.get(dialect) else None


def fills(tree: exp.Expr) -> list[Statement] | None:
    """What a statement puts where; None where it may move data and nobody understands how."""
    clause = tree.args.get("with_")
    ctes = clause.expressions if clause is not None else ()
    inside = [_own(_within(cte.this, tree)) for cte in ctes if isinstance(cte.this, exp.DML)]
    own = _own(tree)
    if own is None or None in inside:
        return None
    return [*(one for found in inside for one in found or ()), *own]


def _unrowed(sql: str) -> str:
    """Without rows between statements; lines keep their numbers."""
    return _INLINE.sub(lambda copy: copy[1] + "\n" * copy[0].count("\n"), sql)


def _parts(listed: Sequence[Token]) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in listed:
        if token.token_type == TokenType.SEMICOLON:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def _read(part: Sequence[Token], sql: str, dialect: Dialect, script: Script, name: str) -> None:
    text, line = sql[part[0].start : part[-1].end + 1], part[0].line
    if text == _PSQL:
        script.unread.append(Unread(line=line, what="\\copy is not understood"))
        return
    try:
        special = _special(text, dialect)
        found = special if special is not None else _plain(part, sql, text, dialect)
    except RecursionError:
        script.unread.append(Unread(line=line, what="it is nested too deeply"))
    except ParseError as error:
        at = error.errors[0].get("line") if error.errors else None
        script.unread.append(Unread(line=at or line, what=f"it cannot be parsed as {name}"))
    except SqlglotError:
        script.unread.append(Unread(line=line, what=f"it cannot be parsed as {name}"))
    else:
        if found is None:
            script.unread.append(Unread(line=line, what=_kind(part)))
        else:
            script.statements += found


def _plain(part: Sequence[Token], sql: str, text: str, dialect: Dialect) -> list[Statement] | None:
    said = text
    for pattern, words in _REWORDED:
        said = pattern.sub(words, said)
    trees = dialect.parse(said) if said != text else dialect.parser().parse(list(part), sql)
    found: list[Statement] = []
    for tree in trees:
        one = fills(tree) if tree is not None else []
        if one is None:
            return None
        found += [s for s in one if s.target or s.file]
    return found


def _special(text: str, dialect: Dialect) -> list[Statement] | None:
    """What sqlglot does not parse."""
    if load := _LOAD.match(text):
        target = tuple(part.strip('`"') for part in load["table"].split("."))
        return [Statement(target=target, what="load", source=load["file"])]
    if unload := _UNLOAD.match(text):
        inner = unload["raw"] or unload["text"].replace("''", "'")
        queries = [tree for tree in dialect.parse(inner) if isinstance(tree, exp.Query)]
        return [
            Statement(target=(), what="copy", query=query, file=unload["file"]) for query in queries
        ]
    return None


def _kind(part: Sequence[Token]) -> str:
    """The first words of a statement, as far as they are SQL's own."""
    words = [token.text.upper() for token in part[:2]]
    shown = words[:1] if words[0] in _MOVING else []
    shown += words[1:] if shown and words[1:] and words[1] in _WITH_CODE else []
    return f"{' '.join(shown)} is not understood" if shown else "it is not understood"


def _own(tree: exp.Expr) -> list[Statement] | None:
    for kind, reader in _READERS:
        if isinstance(tree, kind):
            return reader(tree)
    return [] if isinstance(tree, _QUIET) else None


def _asked(tree: exp.Query) -> list[Statement]:
    into = tree.args.get("into")
    if into is None:
        return [Statement(target=(), what="query", query=tree)]
    query = tree.copy()
    query.set("into", None)
    return [Statement(target=_names(into.this), what="table", query=query)]


def _commanded(tree: exp.Command) -> list[Statement] | None:
    """Words that sqlglot passes on."""
    return [] if str(tree.this).upper() in _IDLE else None


def _altered(tree: exp.Alter) -> list[Statement] | None:
    """A table that goes by another name takes its data there."""
    return None if tree.find(exp.AlterRename, exp.SwapTable) else []


def _filled(tree: exp.Create | exp.Insert) -> list[Statement] | None:
    query, into = tree.expression, tree.this
    if isinstance(tree, exp.Create):
        if str(tree.args.get("kind")).upper() in _WITH_CODE:
            return None
        if (clone := tree.args.get("clone")) is not None:
            query = clone.this
    if query is None or (isinstance(query, exp.Values) and isinstance(tree, exp.Insert)):
        return []
    if isinstance(query, exp.Table):
        query = exp.select("*").from_(query.copy())
    columns: tuple[str, ...] = ()
    if isinstance(into, exp.Schema):
        columns = tuple(c.name for c in into.expressions)
        into = into.this
    if not isinstance(query, exp.Query) or not isinstance(into, exp.Table):
        return None
    return [
        Statement(
            target=_names(into), what=_what(tree), query=_within(query, tree), columns=columns
        )
    ]


def _copied(tree: exp.Copy) -> list[Statement] | None:
    files = tree.args.get("files") or []
    file = files[0] if len(files) == 1 else None
    if file is None or not file.is_string:
        # what a client gives comes from nowhere that anybody knows
        given = file is not None and file.name.lower() == "stdin"
        return [] if given and tree.args.get("kind") else None
    what, columns = tree.this, ()
    if isinstance(what, exp.Schema):
        columns, what = tuple(c.name for c in what.expressions), what.this
    if tree.args.get("kind"):
        if not isinstance(what, exp.Table):
            return None
        return [Statement(target=_names(what), what="copy", columns=columns, source=file.name)]
    query = what.this if isinstance(what, exp.Subquery) else None
    if isinstance(what, exp.Table):
        query = exp.select(*columns or ("*",)).from_(what.copy())
    if not isinstance(query, exp.Query):
        return None
    return [Statement(target=(), what="copy", query=query, file=file.name)]


def _within(inner: E, tree: exp.Expr) -> E:
    """A query, or a change inside of one, with what the statement around it defined by WITH."""
    outer = tree.args.get("with_")
    if outer is None or inner is tree or inner.args.get("with_") is not None:
        return inner
    own = inner.copy()
    own.set("with_", outer.copy())
    return own


def _names(table: exp.Expr) -> tuple[str, ...]:
    return tuple(part.name for part in table.parts) if isinstance(table, exp.Table) else ()


def _what(tree: exp.Expr) -> str:
    if isinstance(tree, exp.Insert):
        return "table"
    if tree.find(exp.MaterializedProperty):
        return "materialized view"
    return str(tree.args.get("kind") or "table").lower()


_READERS: tuple[tuple[type[exp.Expr], Callable[[Any], list[Statement] | None]], ...] = (
    (exp.Merge, lambda tree: [Statement(**made) for made in merged(tree)]),
    (exp.Update, lambda tree: [Statement(**made) for made in updated(tree)]),
    (exp.Create, _filled),
    (exp.Insert, _filled),
    (exp.Copy, _copied),
    (exp.Query, _asked),
    (exp.Command, _commanded),
    (exp.Alter, _altered),
)
