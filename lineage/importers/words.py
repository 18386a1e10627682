"""The words of a name: ``BillingPostalCode``, ``billing_postal_code`` and ``E-Mail-Adresse``.

Letters are folded to plain a-z, so that ``Straße``, ``prénom`` and ``płeć`` are found however the
database spells them; an umlaut written out (``ae``) stays as it is, and terms match both.
"""

from __future__ import annotations

import re
import unicodedata

from lineage.schema import Table

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Letters that do not come apart into a plain one and an accent.
_WHOLE = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i"}
)
# How a word ends in the singular and in the plural, in the languages of the lexicon.
_ENDINGS = frozenset(
    [("", e) for e in ("s", "es", "n", "en", "nen", "e", "x", "i")]
    + [("y", "ies"), ("e", "i"), ("o", "i"), ("a", "e"), ("a", "y"), ("a", "i"), ("t", "ci")]
    + [("ie", "ia"), ("um", "a"), ("al", "aux"), ("ao", "oes"), ("m", "ns"), ("l", "is")]
)
_PARTS = frozenset(part for pair in _ENDINGS for part in pair)
_SHORTEST_STEM = 3


def folded(text: str) -> str:
    """The text in letters without accents; case stays."""
    parts = unicodedata.normalize("NFKD", text.translate(_WHOLE))
    return "".join(c for c in parts if not unicodedata.combining(c))


def words(name: str) -> str:
    """``BillingPostalCode`` and ``billing_postal_code`` are ``billing postal code``."""
    return " ".join(word.lower() for word in _WORDS.findall(folded(name)))


def column_words(table: Table) -> dict[str, str]:
    """The words of every column's name, without a first word that all of them share: ``c_name``
    and ``c_phone`` are ``name`` and ``phone``."""
    split = {column.name: words(column.name) for column in table.columns}
    firsts = {text.partition(" ")[0] for text in split.values()}
    shared = len(split) > 1 and len(firsts) == 1 and all(" " in text for text in split.values())
    return {name: text.partition(" ")[2] for name, text in split.items()} if shared else split


def stems(word: str) -> set[str]:
    """The word, and what is left of it without what may be an ending: words that are the same
    share one."""
    cuts = range(_SHORTEST_STEM, len(word) + 1)
    return {word} | {word[:cut] for cut in cuts if word[cut:] in _PARTS}


def same_word(one: str, other: str) -> bool:
    """Equal but for the ending that a plural has: ``customer`` and ``customers``."""
    pairs = ((one[len(s) :], other[len(s) :]) for s in stems(one) & stems(other))
    return one == other or any(p in _ENDINGS or p[::-1] in _ENDINGS for p in pairs)
