"""Bytes as the texts that may stand in them: in UTF-8, UTF-16 or Latin-1, packed or not."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

# So much of what a packed value holds is looked at: a small one can hold any amount.
LARGEST = 2**24
_DEPTH = 3  # packed, and packed again
# As PostgreSQL writes bytes inside of arrays and rows.
_HEX = re.compile(r"\\+x((?:[0-9a-f]{2}){4,})")
_ZLIB = 0x78  # its first byte; the first two, as one number, are a multiple of 31
# Letters in twice or four times the width; by chance in few pictures.
_SPREAD = re.compile(rb"\x00(?:[^\x00]\x00[^\x00]\x00|\x00\x00[^\x00]\x00{3})")
_WIDE = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """At most so many bytes."""


_Maker = Callable[[], _Unpacker]
_MAGIC: tuple[tuple[bytes, _Maker], ...] = (
    (b"\x1f\x8b\x08", lambda: zlib.decompressobj(31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
)


def readings(raw: bytes, depth: int = _DEPTH) -> Iterator[str]:
    """Every text that the bytes may be; the first is UTF-8."""
    text = raw.decode("utf-8", "replace")
    yield text
    if "\ufffd" in text:  # or they are no UTF-8, as a whole or in part
        yield raw.decode("latin-1")
    wide = next((name for mark, name in _WIDE if raw.startswith(mark)), None)
    if wide:
        yield raw.decode(wide, "replace")
    if _SPREAD.search(raw):  # letters of Latin-1, at any place
        yield raw.replace(b"\x00", b"").decode("latin-1")
    inner = _unpacked(raw) if depth else b""
    if inner:
        yield from readings(inner, depth - 1)


def readings_of_hex(text: str) -> Iterator[str]:
    """The same of bytes that are written as digits within a text."""
    for found in _HEX.finditer(text):
        yield from readings(bytes.fromhex(found[1]))


def _unpacked(raw: bytes) -> bytes:
    """What was packed, as far as it can be read; nothing where it was not."""
    for start, maker in _packings(raw):
        try:
            found = maker().decompress(raw[start:], LARGEST)
        except (zlib.error, OSError, lzma.LZMAError):
            continue
        if found:
            return found
    return b""


def _packings(raw: bytes) -> Iterator[tuple[int, _Maker]]:
    yield from ((0, maker) for magic, maker in _MAGIC if raw.startswith(magic))
    for start in (0, 4):  # MySQL's COMPRESS() has the length before it
        head = raw[start : start + 2]
        if len(head) > 1 and head[0] == _ZLIB and int.from_bytes(head, "big") % 31 == 0:
            yield start, zlib.decompressobj
