"""What somebody says in words of their own, and stands in clear: a reason, a method. Pure.

A database keeps no NUL and no half of a surrogate pair in a text; found there only after something
was done, it would have been done without its reason.
"""

from __future__ import annotations

from erasure.domain.errors import UsageError

LONGEST = 10_000


def said(text: str, otherwise: str, most: int = LONGEST) -> str:
    """The words without surplus space. Raises UsageError(``otherwise``) where there are none, too
    many, or what nobody can keep."""
    text = text.strip()
    if not text or len(text) > most or not is_kept(text):
        raise UsageError(otherwise)
    return text


def is_kept(text: str) -> bool:
    """Whether every database can keep it as it is."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
