"""Texts that the patterns of a constraint describe: LIKE, and regular expressions as constraints
have them (letters, classes, groups, repetitions). Pure.

What is not understood describes nothing, and what is understood is only a proposal: the database
says whether its constraint lets it in.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

Below = Callable[[int], int]  # a number from 0 up to, not including, the one given
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits + string.punctuation
_WILD = string.ascii_lowercase + string.digits
_NAMED = {"digit": "0-9", "alpha": "A-Za-z", "upper": "A-Z", "lower": "a-z", "alnum": "0-9A-Za-z"}
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", re.DOTALL)
_TIMES = re.compile(r"\{(\d+)(,?)(\d*)\}|([*+?])")
_MORE = 8  # what may come more often comes at most so much more often
_MOST = 200
_LONGEST = 4000  # pieces, of one text


def like(pattern: str, below: Below) -> str:
    """A text that a LIKE pattern matches."""
    return "".join(
        "".join(_WILD[below(len(_WILD))] for _ in range({"%": 6, "_": 1}[letter]))
        if letter in "%_"
        else letter
        for letter in pattern
    )


def matching(pattern: str, below: Below) -> str | None:
    """A text that a regular expression matches; None where it is not understood."""
    drawing = _Drawing(pattern, below)
    try:
        made = drawing.one_of()
    except (re.error, IndexError, ValueError):
        return None
    return made if drawing.at == len(pattern) else None


class _Drawing:
    """Reads a pattern from left to right, and draws what it reads."""

    def __init__(self, pattern: str, below: Below) -> None:
        self._pattern, self._below, self.at = pattern, below, 0
        self._left = _LONGEST

    def one_of(self) -> str:
        """One of the alternatives, up to the end or to a closing parenthesis."""
        branches = [self._branch()]
        while self._pattern[self.at : self.at + 1] == "|":
            self.at += 1
            branches.append(self._branch())
        return branches[self._below(len(branches))]

    def _branch(self) -> str:
        made: list[str] = []
        while self._pattern[self.at : self.at + 1] not in ("", "|", ")"):
            start = self.at
            self._piece()
            fewest, most = self._times()
            end = self.at
            for _ in range(fewest + self._below(most - fewest + 1)):
                self.at = start
                made.append(self._piece())
            self.at = end
        return "".join(made)

    def _piece(self) -> str:
        letter = self._pattern[self.at]
        self._left -= 1
        if not self._left:
            raise ValueError
        if letter == "[":
            found = _CLASS.match(self._pattern, self.at)
            return self._drawn(found[0] if found else "", len(found[0]) if found else 0)
        if letter == "\\":
            escaped = self._pattern[self.at : self.at + 2]
            known = escaped[1] in "dwsDWS" or not escaped[1].isalnum()
            return self._drawn(escaped if known else "", 2)
        if letter == "(":
            return self._group()
        self.at += 1
        return {"^": "", "$": "", ".": _WILD[self._below(len(_WILD))]}.get(letter, letter)

    def _group(self) -> str:
        self.at += 3 if self._pattern.startswith("(?:", self.at) else 1
        made = self.one_of()
        if self._pattern[self.at] != ")":
            raise ValueError
        self.at += 1
        return made

    def _drawn(self, letters: str, width: int) -> str:
        """Any letter of a class."""
        for name, members in _NAMED.items():
            letters = letters.replace(f"[:{name}:]", members)
        allowed = [c for c in f"{_LETTERS} " if re.fullmatch(letters, c)] if letters else []
        if not allowed:
            raise ValueError
        self.at += width
        return allowed[self._below(len(allowed))]

    def _times(self) -> tuple[int, int]:
        found = _TIMES.match(self._pattern, self.at)
        if found is None:
            return 1, 1
        self.at = found.end()
        if found[4]:
            return {"*": (0, _MORE), "+": (1, _MORE), "?": (0, 1)}[found[4]]
        fewest = int(found[1])
        most = int(found[3]) if found[3] else fewest + (_MORE if found[2] else 0)
        if not fewest <= most or fewest > _MOST:
            raise ValueError
        return fewest, min(most, fewest + _MORE)
