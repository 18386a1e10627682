"""A field of a dataset, what it holds, and how anonymising fills it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

NEEDLE_CATEGORIES = (
    "user.name",
    "user.contact",
    "user.government_id",
    "user.financial",
    "user.device",
)


@lru_cache(maxsize=4096)  # asked of every value of every row, and there are few answers
def in_category(categories: tuple[str, ...], roots: tuple[str, ...]) -> bool:
    """True when a category equals one of ``roots`` or lies below it."""
    return any(c == root or c.startswith(root + ".") for c in categories for root in roots)


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """How anonymising fills a field: a strategy and its argument, e.g. ``generalize: year``."""

    name: str
    argument: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A column, or a dotted path inside a document."""

    name: str
    data_type: str | None = None
    categories: tuple[str, ...] = ()
    identity: str | None = None
    primary_key: bool = False
    free_text: bool = False
    method: Method | None = None
    personal_override: bool | None = None
    because: str = ""

    @property
    def personal(self) -> bool:
        """A ``user.*`` category or an identity, unless a person decided otherwise."""
        if self.personal_override is not None:
            return self.personal_override
        return self.identity is not None or in_category(self.categories, ("user",))

    @property
    def needle(self) -> bool:
        """Its values must be nowhere once the person is forgotten."""
        if not self.personal:
            return False
        return self.identity is not None or in_category(self.categories, NEEDLE_CATEGORIES)
