"""Text for a file of YAML: what is written reads back as that very text, whatever it holds."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Words that YAML 1.1 reads as something else than text.
_RESERVED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])


def quoted(text: str) -> str:
    """A scalar, also inside flow mappings."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return flow(text)


def flow(value: Any) -> str:
    """A plain value in one line: JSON, in which letters of any language stay readable. What cannot
    be printed is escaped as YAML reads it: JSON's pairs of surrogates are two characters there."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in written)


def line(text: str) -> str:
    """A line in which nothing that a name holds can end a comment, or may not stand in a file."""
    return "".join(c if c.isprintable() else " " for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
