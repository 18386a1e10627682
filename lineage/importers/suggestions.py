"""What a column seems to hold, how sure that is, and why, in words without a value.

``high``    a strong name whose values agree (or were not looked at), or values of which nine in
            ten pass a check that unrelated ones hardly ever pass; an address, a phone or a
            device only where the rows are about people
``medium``  a weak name in a table about people, a strong name whose values do not agree or whose
            rows may be a warehouse's or a machine's, a name that may be a firm's, or values that
            pass a weaker check
``low``     a weak name whose values do not agree or that stands alone, texts long enough to hold
            anything, dates that are spread as birth dates are
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lineage.importers.guesses import Guess, names_person
from lineage.importers.values import ENOUGH, UNSEEN, Look, Nested
from lineage.schema import Column

Confidence = Literal["high", "medium", "low"]
# What a table is to people; see roles.py.
Role = Literal["person", "child", "shared", "uncertain", "linked", "plain"]
LEVELS: tuple[Confidence, ...] = ("high", "medium", "low")
_ABOUT_PEOPLE: frozenset[Role] = frozenset(["person", "child", "shared", "uncertain"])
_PEOPLE: frozenset[Role] = frozenset(["person", "uncertain"])
# What lookup tables have as well: countries, titles, comments.
_OF_LOOKUPS = (
    "user.contact",
    "user.content",
    "user.job_title",
    "user.name",
    "user.social",
    "user.workplace",
)
_EMAIL = "user.contact.email"
# May be those of a warehouse or of a machine.
_ANYBODYS = ("user.contact", "user.device")
_PHONES = frozenset(["user.contact.phone_number", "user.contact.fax_number"])
_OFFICIAL = "user.government_id"
_MOST = 0.9


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Data categories, with the reason. ``nested``: dotted paths inside a document."""

    categories: tuple[str, ...]
    confidence: Confidence
    reason: str
    free_text: bool = False
    nested: tuple[tuple[str, Suggestion], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for a column: its name beside the others, and its values in counts."""

    column: Column
    words: str
    guess: Guess | None = None
    look: Look = UNSEEN

    @property
    def settled(self) -> bool:
        """The values tell by themselves."""
        look = self.look
        sure = look.proof is not None and look.proof.sure
        return sure and look.share >= _MOST and look.distinct >= ENOUGH

    @property
    def category(self) -> str | None:
        """What the column seems to hold, by name and values."""
        proof = self.look.proof
        if self.settled and proof and not (self.guess and _alike(self.guess, proof.category)):
            return proof.category
        if self.guess:
            return self.guess.category
        return proof.category if proof else None

    @property
    def strong(self) -> bool:
        """Tells by itself that rows have to do with people."""
        return self.settled or (self.guess is not None and self.guess.strong)

    @property
    def telling(self) -> bool:
        """Tells of a human being: a phone may be a warehouse's, a device a machine's."""
        return self.strong and not (self.category or "").startswith(_ANYBODYS)

    @property
    def address(self) -> bool:
        """A part of where somebody lives."""
        return self.strong and (self.category or "").startswith("user.contact.address")

    @property
    def doubtful(self) -> bool:
        """Worth a question where nothing else speaks of people."""
        look = self.look
        inside = any(n.look.proof or (n.guess and n.guess.strong) for n in look.nested)
        return bool(look.proof or look.holding or inside)

    @property
    def names_row(self) -> bool:
        """Holds the address that says who the row is."""
        agrees = self.look.agrees
        enough = agrees is not False if self.guess and self.guess.strong else agrees is True
        return enough and names_person(self.column, self.words)

    @property
    def may_name_row(self) -> bool:
        """Holds addresses, each another: a login, perhaps."""
        look = self.look
        alone = self.settled and look.distinct == look.values and self.category == _EMAIL
        return alone and not self.names_row


def _alike(guess: Guess, category: str) -> bool:
    """One may be said for the other: a fax number is written like a phone number."""
    pair = (guess.category, category)
    if _PHONES.issuperset(pair) or all(c.startswith(_OFFICIAL) for c in pair):
        return True
    return guess.category.startswith(category) or category.startswith(guess.category)


def suggest(evidence: Evidence, role: Role) -> Suggestion | None:
    """What to write beside a column of a table with that role; None for nothing."""
    if evidence.look.nested:
        return _of_documents(evidence, role)
    for judge in (_by_values, _by_name, _by_weaker_values, _by_text):
        found = judge(evidence, role)
        if found:
            return found
    return None


def _elsewhere(category: str, role: Role) -> bool:
    """An address, a phone or a device in a table that need not be about people."""
    return category.startswith(_ANYBODYS) and category != _EMAIL and role not in _ABOUT_PEOPLE


def _by_values(evidence: Evidence, role: Role) -> Suggestion | None:
    category = evidence.category
    if not evidence.settled or category is None:
        return None
    proof = evidence.look.proof
    named = evidence.guess and proof and _alike(evidence.guess, proof.category)
    reason = " and ".join(filter(None, [_name(evidence) if named else "", _proven(evidence.look)]))
    confidence: Confidence = "medium" if _elsewhere(category, role) else "high"
    return Suggestion(categories=(category,), confidence=confidence, reason=reason)


def _by_name(evidence: Evidence, role: Role) -> Suggestion | None:
    guess, look = evidence.guess, evidence.look
    if guess is None or (not guess.strong and not _counts(guess, role)):
        return None
    confidence: Confidence = "medium"
    sure = guess.strong and not guess.bare and not _elsewhere(guess.category, role)
    if sure and look.agrees is not False:
        confidence = "high"
    elif not guess.strong and (look.agrees is False or role == "plain"):
        confidence = "low"
    return Suggestion(
        categories=(guess.category,),
        confidence=confidence,
        reason=_name(evidence) + _fitting(look),
        free_text=guess.free_text,
    )


def _counts(guess: Guess, role: Role) -> bool:
    """A weak name says something only beside stronger ones; what a row is called is a person's
    name only where the rows are persons."""
    if guess.bare:
        return role in _PEOPLE
    return role != "plain" or not guess.category.startswith(_OF_LOOKUPS)


def _by_weaker_values(evidence: Evidence, role: Role) -> Suggestion | None:
    look = evidence.look
    if look.proof is None:
        return None
    many = look.distinct >= ENOUGH
    enough = look.share == 1 or many if look.proof.sure else look.share >= _MOST and many
    if not enough and not look.proof.sure:
        return None
    weak = not enough or _elsewhere(look.proof.category, role)
    return Suggestion(
        categories=(look.proof.category,),
        confidence="low" if weak else "medium",
        reason=_proven(look),
    )


def _by_text(evidence: Evidence, role: Role) -> Suggestion | None:
    look = evidence.look
    if look.holding or look.long_text:
        reason = "long texts, hardly two alike"
        if look.holding:
            texts = f"{look.holding} of {look.values} sampled texts"
            reason = f"{texts} hold an email address"
        confidence: Confidence = "low" if role == "plain" else "medium"
        return Suggestion(
            categories=("user.content",), confidence=confidence, reason=reason, free_text=True
        )
    if look.born and role in _PEOPLE:
        reason = f"{look.values} sampled dates, spread over decades as birth dates are"
        category = "user.demographic.date_of_birth"
        return Suggestion(categories=(category,), confidence="low", reason=reason)
    return None


def _of_documents(evidence: Evidence, role: Role) -> Suggestion | None:
    """A column of JSON documents has the categories of the keys inside."""
    found = [
        (nested.path, one)
        for nested in evidence.look.nested
        if (one := suggest(_inside(evidence, nested), role)) is not None
    ]
    if not found:
        return None
    live = [(path, one) for path, one in found if one.confidence != "low"] or found
    categories = tuple(sorted({c for _, one in live for c in one.categories}))
    return Suggestion(
        categories=categories,
        confidence=min((one.confidence for _, one in live), key=LEVELS.index),
        reason=f"JSON documents with {', '.join(path for path, _ in live)}",
        nested=tuple(found),
    )


def _inside(evidence: Evidence, nested: Nested) -> Evidence:
    name = nested.path.rpartition(".")[2]
    return Evidence(
        column=Column(name=name, data_type=evidence.column.data_type),
        words="",
        guess=nested.guess,
        look=nested.look,
    )


def _name(evidence: Evidence) -> str:
    guess, column = evidence.guess, evidence.column
    if guess is not None and not guess.terms:
        return f"type {column.data_type}"
    note = f" {guess.note}" if guess is not None and guess.note else ""
    return f"name '{column.name}'{note}"


def _fitting(look: Look) -> str:
    """What the values say to the name."""
    if look.agrees is None:
        return " and long texts" if look.long_text else ""
    counted = f"{look.fitting} of {look.values} sampled values {look.fitting_words}"
    return f" and {counted}" if look.agrees else f", but only {counted}"


def _proven(look: Look) -> str:
    what = look.proof.words if look.proof else ""
    return f"{look.proven} of {look.values} sampled values are {what}"
