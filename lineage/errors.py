"""What can be wrong with the catalogue.

``LineageError``
  ``CatalogueError``   a file or an entry says something it may not
  ``UnknownIdentity``  nobody declared that identity kind
"""

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, known: Iterable[str]) -> str:
    """The remedy for a word that is not known: the nearest known one, else all of them."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(words[:20])}" if words else "there is none yet"


class LineageError(Exception):
    """Base of this package's errors; the text is one line: the place, then the remedy."""


class CatalogueError(LineageError):
    """The catalogue, or a file of it, is wrong. ``place`` is ``file:line`` or a dataset address."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class UnknownIdentity(LineageError):
    """An identity kind that no field of the catalogue carries."""

    def __init__(self, kind: str, known: list[str]) -> None:
        listed = ", ".join(known) or "none; import a catalogue first"
        super().__init__(f"unknown identity kind '{kind}'; known kinds: {listed}")
