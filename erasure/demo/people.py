"""The demo company's customers: made up, and the same ones for the same seed.

Faker makes the vocabularies once; each person takes words from them by a seeded hash of their
number, which is some eighty times faster than asking Faker for every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from faker import Faker

LEAVER = 42
NEIGHBOUR = 43
FEWEST = 200
_WORDS = 500
# Numbers that Ofcom keeps free for drama: each area code has 1,000 of them.
_AREAS = ("0113", "0114", "0115", "0116", "0117", "0118", "0121", "0131", "0141", "0151", "0161")
_DOMAINS = ("example.com", "example.org")


class Dice:
    """Numbers that follow from a seed, a label and a number alone, in whatever order asked."""

    def __init__(self, seed: int) -> None:
        self._seed = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()

    def below(self, limit: int, label: str, index: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        text = f"{label}/{index}".encode()
        digest = hashlib.blake2b(text, key=self._seed, digest_size=8).digest()
        return int.from_bytes(digest, "big") % limit

    def pick(self, words: Sequence[str], label: str, index: int) -> str:
        """One of the words."""
        return words[self.below(len(words), label, index)]


@dataclass(frozen=True, kw_only=True)
class Person:
    """A customer, with the address they live at and the network address they come from."""

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    birth_date: str
    address_id: int
    street: str
    postal_code: str
    city: str
    ip: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


class Population:
    """``size`` customers numbered from 1; the leaver and the neighbour are always the same two,
    live at one address and share its telephone and network address."""

    def __init__(self, size: int, dice: Dice) -> None:
        fake = Faker("en_GB")
        fake.seed_instance(dice.below(1 << 32, "faker", 0))
        known = {"Lindqvist", "Okafor"}
        self.size = size
        self._dice = dice
        self._first = sorted({fake.first_name() for _ in range(_WORDS)})
        self._last = sorted({fake.last_name() for _ in range(_WORDS)} - known)
        self._streets = sorted({fake.street_name() for _ in range(_WORDS)})
        self._cities = sorted({fake.city() for _ in range(_WORDS // 4)})
        self._codes = sorted({fake.postcode() for _ in range(_WORDS)})
        self.leaver = self._household(LEAVER, "Mara", "Lindqvist", "example.com")
        self.neighbour = self._household(NEIGHBOUR, "Jonas", "Okafor", "example.org")
        self.people = tuple(self._person(i) for i in range(1, size + 1))

    def _household(self, number: int, first: str, last: str, domain: str) -> Person:
        return Person(
            id=number,
            first_name=first,
            last_name=last,
            email=f"{first}.{last}@{domain}".lower(),
            phone="020 7946 0142",
            birth_date="1987-03-14" if number == LEAVER else "1985-11-02",
            address_id=LEAVER,
            street="7 Thornfield Crescent",
            postal_code=self._codes[0],
            city=self._cities[0],
            ip="10.77.4.21",
        )

    def _person(self, number: int) -> Person:
        if number in (LEAVER, NEIGHBOUR):
            return self.leaver if number == LEAVER else self.neighbour
        pick, below = self._dice.pick, self._dice.below
        first, last = pick(self._first, "first", number), pick(self._last, "last", number)
        born = date(1940, 1, 1) + timedelta(days=below(24_000, "born", number))
        area = _AREAS[number % len(_AREAS)]
        local = f"{first}.{last}{number}".lower().replace(" ", "").replace("'", "")
        return Person(
            id=number,
            first_name=first,
            last_name=last,
            email=f"{local}@{_DOMAINS[number % 2]}",
            phone=f"{area} 496 {number // len(_AREAS) % 1000:04d}",
            birth_date=born.isoformat(),
            address_id=number,
            street=f"{1 + below(180, 'house', number)} {pick(self._streets, 'street', number)}",
            postal_code=pick(self._codes, "code", number),
            city=pick(self._cities, "city", number),
            ip=f"10.{number >> 16 & 63}.{number >> 8 & 255}.{number & 255}",
        )
