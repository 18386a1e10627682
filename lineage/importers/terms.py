"""How the lexicon is written: terms, and the guess that a term of it stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lineage.importers.words import folded

_WRITTEN_OUT = {"ä": "ae?", "ö": "oe?", "ü": "ue?"}


def pattern(terms: str) -> re.Pattern[str]:
    """What matches any of the terms, separated by commas, in a text of :func:`words`.

    A blank in a term may be missing in the name, ``*`` stands for any letters (the rest of a
    compound), ``=`` before a term for the whole name, ``$`` after it for the end of the name.
    A number may follow: ``address 2``.
    """
    return re.compile("|".join(_term(term.strip()) for term in terms.split(",") if term.strip()))


def _term(term: str) -> str:
    whole, end = term.startswith("="), term.endswith("$")
    body = "".join(_letter(letter) for letter in term.strip("=$"))
    tail = r"(?: ?\d+)?$" if whole or end else r"\b"
    return ("^" if whole else r"\b") + body + tail


def _letter(letter: str) -> str:
    if letter == " ":
        return " ?"
    return "[a-z]*" if letter == "*" else _WRITTEN_OUT.get(letter, folded(letter))


TEXT, NUMBER, DATE, BINARY = "t", "n", "d", "b"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A data category of fideslang and the names that suggest it, for columns whose type holds
    one of ``types`` (text, number, date, binary). ``note``: what beside the name suggests it."""

    category: str
    terms: str = ""
    strong: bool = True
    types: str = TEXT
    free_text: bool = False
    note: str = ""
    found: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", pattern(self.terms))

    @property
    def bare(self) -> bool:
        """What a row is called, be it a person, a firm or a country."""
        return self.category == "user.name" and "=name" in self.terms
