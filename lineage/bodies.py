"""The body of a request, bounded in size, whatever it says of itself. Knows no framework."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

_CHUNK = 64 * 1024
# Values that hold others; each costs far more memory than its two characters.
MOST_CONTAINERS = 500_000


class Refused(Exception):
    """A body that is not taken: the HTTP status, and why in words without its content."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def decode(read: Callable[[int], bytes], *, encoding: str, most: int) -> Any:
    """The JSON that ``read`` yields, at most ``most`` bytes after decompression. Raises Refused."""
    raw = _joined(_unpacked(_chunks(read), encoding), most)
    if raw.count(b"[") + raw.count(b"{") > MOST_CONTAINERS:
        raise Refused(413, f"more than {MOST_CONTAINERS} objects and arrays; send fewer events")
    try:
        return json.loads(raw)
    except RecursionError:
        raise Refused(422, "nested too deeply") from None
    except ValueError:
        raise Refused(400, "not valid JSON in UTF-8") from None


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(_CHUNK):
        yield chunk


def _joined(chunks: Iterator[bytes], most: int) -> bytes:
    parts, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise Refused(413, f"longer than {most} bytes; send fewer or smaller events")
        parts.append(chunk)
    return b"".join(parts)


def _unpacked(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return chunks
    if name in ("gzip", "x-gzip"):
        return _gunzipped(chunks)
    raise Refused(415, "unknown Content-Encoding; send gzip or none")


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Piece by piece, so that a bomb is noticed when the limit is passed and not afterwards."""
    stream = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            waiting = chunk
            while waiting:
                yield stream.decompress(waiting, _CHUNK)
                waiting = stream.unconsumed_tail
            if stream.unused_data:
                raise Refused(400, "more than one gzip stream in a body")
        yield stream.flush()
    except zlib.error:
        raise Refused(400, "not valid gzip") from None
    if not stream.eof:
        raise Refused(400, "the gzip stream ends too early")
