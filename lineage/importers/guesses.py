"""What a column's name suggests. Guesses for a draft that a person reads, nothing more.

A *strong* guess tells by itself that rows are about people. A *weak* one (a city, a note) counts
only in a table that is about people for another reason: lookup tables have cities too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lineage.schema import Column

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TEXT_TYPES = re.compile(r"char|text|clob|string|enum|name|json|^$", re.IGNORECASE)
# Facts about a value, not the value: email_verified, phone_id, last_name_changed_at.
_ABOUT = re.compile(r"\b(verified|confirmed|valid|at|count|id|status|type|sent|opt in|flag|hash)$")


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A data category; ``any_type`` where the column need not hold text."""

    category: str
    pattern: str
    strong: bool = True
    any_type: bool = False
    free_text: bool = False

    @property
    def telling(self) -> bool:
        """Tells of a human being: an address or a phone may be a warehouse's."""
        return self.strong and not self.category.startswith("user.contact")


# The first that matches the column's words wins.
_GUESSES = (
    Guess(category="user.contact.email", pattern=r"\be ?mails?\b|\bmail address\b"),
    Guess(
        category="user.device.ip_address",
        pattern=r"\b(ip|ip v?[46]|ip ?addr(ess)?|remote addr(ess)?)\b",
        any_type=True,
    ),
    Guess(
        category="user.device.device_id", pattern=r"\b(mac addr(ess)?|imei|imsi|device serial)\b"
    ),
    Guess(category="user.contact.fax_number", pattern=r"\b(tele)?fax\b"),
    Guess(
        category="user.contact.phone_number",
        pattern=r"\b(tele)?phone\b|\b(mobile|cell|landline|msisdn)( number)?$",
        any_type=True,
    ),
    Guess(category="user.name.first", pattern=r"\b(first|given|fore|middle) ?names?\b|\bfname\b"),
    Guess(category="user.name.last", pattern=r"\b(last|family|sur|maiden) ?names?\b|\blname\b"),
    Guess(category="user.account.username", pattern=r"\b(user|login|nick|screen) ?name\b|^login$"),
    Guess(
        category="user.name",
        pattern=r"\b(full|contact|customer|client|person|employee|patient|member|guest|user|"
        r"recipient|holder|cardholder|ship|shipping|billing|display) name\b",
    ),
    Guess(
        category="user.demographic.date_of_birth",
        pattern=r"\b(birth ?da(te|y)|date of birth|dob|born)\b",
        any_type=True,
    ),
    Guess(category="user.demographic.gender", pattern=r"^(gender|sex)$", any_type=True),
    Guess(
        category="user.financial.credit_card",
        pattern=r"\b(credit ?card|card|cc|pan) ?(number|no|num)\b|^(credit ?card|pan)$",
        any_type=True,
    ),
    Guess(
        category="user.financial.bank_account",
        pattern=r"\b(iban|bank account|account number|bic|sort code|routing number)\b",
        any_type=True,
    ),
    Guess(
        category="user.government_id.national_identification_number",
        pattern=r"\b(ssn|social security|national id|tax id|nin|personal number)\b",
        any_type=True,
    ),
    Guess(category="user.government_id.passport_number", pattern=r"\bpassport\b"),
    Guess(
        category="user.government_id.drivers_license_number",
        pattern=r"\bdriv(er|ing)s? licen[cs]e\b",
    ),
    Guess(category="user.authorization.password", pattern=r"\b(password|passwd|pwd)\b"),
    Guess(
        category="user.contact.address.street",
        pattern=r"\b(street|addr(ess)?|house number)( ?(line)? ?\d)?$",
    ),
    Guess(
        category="user.contact.address.postal_code",
        pattern=r"\b(postal ?code|post ?code|zip( ?code)?|plz)\b",
        any_type=True,
    ),
    Guess(category="user.contact.address.city", pattern=r"\b(city|town)$", strong=False),
    Guess(
        category="user.contact.address.state",
        pattern=r"\b(state|province|region|county)$",
        strong=False,
    ),
    Guess(
        category="user.contact.address.country",
        pattern=r"\bcountry( code| name)?$",
        strong=False,
    ),
    Guess(category="user.name", pattern=r"^name$", strong=False),
    Guess(category="user.job_title", pattern=r"\btitle$|^(position|occupation)$", strong=False),
    Guess(
        category="user.workplace",
        pattern=r"\b(company|employer|organi[sz]ation)( name)?$",
        strong=False,
    ),
    Guess(
        category="user.location.precise",
        pattern=r"\b(latitude|longitude|lat|lng|lon|geo ?location)\b",
        strong=False,
        any_type=True,
    ),
    Guess(
        category="user.content.self_image",
        pattern=r"\b(photo|avatar|portrait|profile picture)\b",
        strong=False,
        any_type=True,
    ),
    Guess(category="user.device", pattern=r"\buser agent\b", strong=False),
    Guess(
        category="user.content",
        pattern=r"\b(notes?|comments?|remarks?|body|messages?|feedback|bio|about|review|subject)"
        r"( text)?$",
        strong=False,
        free_text=True,
    ),
)
_COMPILED = tuple((re.compile(guess.pattern), guess) for guess in _GUESSES)
_IDENTITY = re.compile(r"^((user|customer|client|person|member|contact|account|login|primary) )?")
_ACTOR = re.compile(
    r"\b(created|updated|modified|changed|deleted|approved|reviewed|assigned|handled|processed|"
    r"closed|reports)( by| to)\b|\b(assignee|reviewer|approver|manager|supervisor|rep|agent)\b"
)


def words(name: str) -> str:
    """``BillingPostalCode`` and ``billing_postal_code`` are ``billing postal code``."""
    return " ".join(word.lower() for word in _WORDS.findall(name))


def guess(column: Column) -> Guess | None:
    """What the column seems to hold, None for nothing personal."""
    name = words(column.name)
    if _ABOUT.search(name):
        return None
    texty = bool(_TEXT_TYPES.search(column.data_type))
    for pattern, candidate in _COMPILED:
        if pattern.search(name) and (texty or candidate.any_type):
            return candidate
    return None


def names_person(column: Column) -> bool:
    """An email column that says who the row is: not a billing or a support address."""
    found = guess(column)
    if found is None or found.category != "user.contact.email":
        return False
    rest = _IDENTITY.sub("", words(column.name))
    return re.fullmatch(r"e ?mail( address)?|mail address", rest) is not None


def names_actor(column: str) -> bool:
    """A reference to somebody who handles the row, whose row it is not: ``created_by``."""
    return _ACTOR.search(words(column)) is not None
