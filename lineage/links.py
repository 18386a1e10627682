"""Which fields the catalogue joins: what a live foreign key is compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lineage.graph import Reference

# Pairs of ``address.field`` that are one reference.
Link = frozenset[tuple[str, str]]


class Links:
    """References by the datasets they join, in either order: fideslang lets either end declare
    one. Only what a live foreign key asks about is looked at field by field."""

    def __init__(self, references: Iterable[Reference]) -> None:
        self._between: dict[tuple[str, str], Reference | list[Reference]] = {}
        for reference in references:
            ends = _ends(reference.holder, reference.target)
            known = self._between.setdefault(ends, reference)
            if isinstance(known, list):
                known.append(reference)
            elif known is not reference:  # hardly ever: lists for all would cost more
                self._between[ends] = [known, reference]

    def has(self, holder: str, target: str, link: Link) -> bool:
        """Whether a reference joins exactly these fields."""
        known = self._between.get(_ends(holder, target), [])
        for r in known if isinstance(known, list) else [known]:
            said = link_of(r.holder, r.holder_fields, r.target, r.target_fields)
            if link in (said, frozenset((b, a) for a, b in said)):
                return True
        return False


def _ends(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)


def link_of(holder: str, mine: Sequence[str], target: str, theirs: Sequence[str]) -> Link:
    ends = zip(mine, theirs, strict=False)
    return frozenset((f"{holder}.{a}", f"{target}.{b}") for a, b in ends)
