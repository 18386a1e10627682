"""Log directories: JSON lines, logfmt, combined access logs and plain text, rotated or not,
compressed (gzip, bz2, xz) or not.

``url`` is ``file:///absolute/directory``; a dataset's name is its collection (``tree`` says which
objects are its: ``access`` is ``access.log``, ``access.log.1``, ``access.log-20240101.gz`` …).

Options: ``format`` (``jsonl``, ``logfmt``, ``combined``, ``text``; else told by the first line),
``policy`` (``drop`` or ``redact``), ``glob``, ``preserve_times``.

===========  ==========================================================================
the line     what happens
===========  ==========================================================================
the person's ``delete`` drops it, ``redact`` masks its personal fields and every needle
             in it, ``anonymize`` fills its personal fields. Where the catalogue names
             no action, ``policy`` says which of the first two
mentions     needles are redacted, the line and its timestamp stay
plain text   has no owner, so it is always the second; a search by key or by email is a
             search for the value in the line
===========  ==========================================================================

Order, times, mode, owner and names stay. A live log: what is appended during the rewrite follows
into the new version; a process that holds the file open for writing is seen where the file system
has leases, and the run pauses with the advice to rotate the log or to let its writer reopen it
(``copytruncate`` does as well). Where there are no leases, lines that such a process writes after
the swap go to the removed version: rotate first there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import Hit, Selector, Step
from erasure.stores.logs import text
from erasure.stores.objects import scanning, streams
from erasure.stores.objects.documents import Row
from erasure.stores.objects.edits import Outcome
from erasure.stores.objects.engine import Engine
from erasure.stores.objects.jsonlines import JSONL
from erasure.stores.objects.lines import LineEngine
from erasure.stores.objects.matching import LINE, Query
from erasure.stores.objects.reading import OPTIONS
from erasure.stores.objects.scanning import Scan
from erasure.stores.objects.store import ObjectStore
from erasure.stores.objects.tree import Obj

_POLICIES = ("drop", "redact")
_ENGINES = {"jsonl": LineEngine(JSONL)} | {n: LineEngine(f) for n, (f, _) in text.FORMATS.items()}


class LogsStore(ObjectStore):
    """A directory of logs."""

    kind: str = "logs"
    options: frozenset[str] = OPTIONS | {"policy"}
    rotates: bool = True

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name=name, url=url, options=options)
        self._format = options.get("format")
        self._policy = options.get("policy")
        if self._format not in (None, *_ENGINES):
            raise StoreError(name, f"unknown format; use one of {', '.join(sorted(_ENGINES))}")
        if self._policy not in (None, *_POLICIES):
            raise StoreError(name, f"unknown policy; use one of {', '.join(_POLICIES)}")

    def engine_of(self, obj: Obj, file: BinaryIO) -> Engine:
        """By the option, else by the first line."""
        return _ENGINES[self._format or _told(file)]

    def outcome_of(self, step: Step, engine: Engine) -> Outcome:
        """See the module's table."""
        if engine.name == "text":
            return "redact"
        if step.action == "delete":
            left_open = step.dataset.action is None and self._policy == "redact"
            return "mask" if left_open else "drop"
        return "replace" if step.action == "anonymize" else "mask"

    def query_of(self, selector: Selector, values: Sequence[Scalar], engine: Engine) -> Query:
        """Text is sought in the whole line, and so is a key where lines have no fields."""
        if not engine.textual or (selector.mode != "text" and engine.name != "text"):
            return super().query_of(selector, values, engine)
        if selector.mode != "text":
            values = super().query_of(selector, values, engine).as_text()
        return Query(texts=values, text_fields=(LINE,), also=(*selector.carry, *selector.guard))

    def hits_in(self, scan: Scan, obj: Obj, file: BinaryIO, *, declared: bool) -> Iterator[Hit]:
        """By line; JSON is taken apart wherever a line is JSON."""
        stream = streams.reader(file)
        name = self._format or _told(file)
        parse = scanning.parse_json
        if declared and name in text.FORMATS:
            parse = partial(_parsed, text.FORMATS[name][1])
        return scan.rows(scanning.line_looks(stream, scan.clean, parse))


def _told(file: BinaryIO) -> str:
    """The format that a log's first line suggests."""
    first = next(streams.Lines(streams.reader(file)), b"")
    if first.lstrip().startswith(b"{"):
        return "jsonl"
    line = streams.decoded(first)[0]
    if text.combined_fields(line):
        return "combined"
    return "logfmt" if len(text.logfmt_fields(line)) > 1 else "text"


def _parsed(fields: Callable[[str], text.Fields], line: str) -> Row | None:
    found = fields(line.rstrip("\r\n"))
    return {k: v for k, v in text.row_of("", found).items() if k != LINE} or None
