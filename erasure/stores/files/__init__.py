"""File sets on local paths: Parquet, CSV and JSON lines.

``url`` is ``file:///absolute/directory``; a dataset's name is its collection (``tree`` says which
files are its). Options: ``format`` (``parquet``, ``csv``, ``jsonl``; else told by content and
name), ``glob``, ``partitioning`` (``hive``, the default, takes ``user_id=42/`` for a column;
``none`` does not), ``compression`` (a codec for rewritten Parquet; line formats stay compressed as
they are), ``preserve_times``.

``delete`` drops rows, ``anonymize`` fills the personal fields of rows that stay, ``redact``
replaces needles in free text. A value that the path holds can only be deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from erasure.domain.errors import StoreError
from erasure.stores.base import Hit, Step
from erasure.stores.files import delimited, parquet_scan
from erasure.stores.files.delimited import CSV
from erasure.stores.files.parquet import ParquetEngine
from erasure.stores.objects import scanning, streams
from erasure.stores.objects.edits import Outcome
from erasure.stores.objects.engine import Engine
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.jsonlines import JSONL
from erasure.stores.objects.lines import LineEngine
from erasure.stores.objects.reading import OPTIONS
from erasure.stores.objects.scanning import Scan
from erasure.stores.objects.store import ObjectStore
from erasure.stores.objects.tree import Obj

_FORMATS = ("csv", "jsonl", "parquet")
_CODECS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


class FilesStore(ObjectStore):
    """A directory of tables."""

    kind: str = "files"
    options: frozenset[str] = OPTIONS | {"compression", "partitioning"}

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name=name, url=url, options=options)
        self._format = _one_of(name, options, "format", _FORMATS)
        self._hive = _one_of(name, options, "partitioning", ("hive", "none")) != "none"
        codec = _one_of(name, options, "compression", _CODECS)
        self._engines: Mapping[str, Engine] = {
            "csv": LineEngine(CSV),
            "jsonl": LineEngine(JSONL),
            "parquet": ParquetEngine(codec),
        }

    def engine_of(self, obj: Obj, file: BinaryIO) -> Engine:
        """By the option, else by content and name. Raises Fault."""
        told = self._format or _told(obj, file)
        if told is None:
            raise Fault("is of no known format; set the option `format` or narrow the `glob`")
        return self._engines[told]

    def outcome_of(self, step: Step, engine: Engine) -> Outcome:
        """Delete drops, anonymize replaces, redact needs free text to work in."""
        if step.action == "delete":
            return "drop"
        if step.action == "anonymize":
            return "replace"
        if not (step.redact or step.dataset.free_text):
            raise Fault("'redact' needs a field declared `free_text`; declare one, or delete")
        return "redact"

    def virtual_of(self, obj: Obj) -> Mapping[str, str | None]:
        """Hive partitions."""
        return obj.partitions if self._hive else {}

    def hits_in(self, scan: Scan, obj: Obj, file: BinaryIO, *, declared: bool) -> Iterator[Hit]:
        """By what the content is, whatever was declared."""
        if streams.head_of(file).startswith(streams.PARQUET_MAGIC):
            return parquet_scan.hits(scan, file)
        told = (declared and self._format) or _told(obj, file)
        if told == "parquet":
            raise Fault("is no Parquet; restore it or move it away")
        stream = streams.reader(file)
        if told == "csv":
            return scan.rows(delimited.looks(stream, scan.clean))
        return scan.rows(scanning.line_looks(stream, scan.clean, scanning.parse_json))


def _one_of(
    name: str, options: Mapping[str, Any], option: str, allowed: tuple[str, ...]
) -> str | None:
    value = options.get(option)
    if value is not None and value not in allowed:
        raise StoreError(name, f"unknown {option}; use one of {', '.join(allowed)}")
    return value


def _told(obj: Obj, file: BinaryIO) -> str | None:
    if streams.head_of(file).startswith(streams.PARQUET_MAGIC):
        return "parquet"
    suffixes = obj.path.suffixes[-2:]
    return next((_SUFFIXES[s] for s in reversed(suffixes) if s in _SUFFIXES), None)
