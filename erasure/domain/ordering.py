"""Putting things in order by pairs (first, then), some of which matter more than others. Pure.

Where pairs form a circle, one of them is given up: one of those that matter least in it. Every pair
that is in no circle holds.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from heapq import heappop, heappush

Pair = tuple[str, str]


def in_order(names: Iterable[str], pairs: Mapping[Pair, int]) -> list[str]:
    """Every name once. ``pairs`` of different ``names``, with how much each matters."""
    plain = _depth_first(names, pairs)
    circles = _circles(plain, pairs)
    place = {name: n for n, circle in enumerate(circles) for name in circle}
    inside: list[dict[Pair, int]] = [{} for _ in circles]
    for (first, then), weight in pairs.items():
        if place[first] == place[then]:
            inside[place[first]][first, then] = weight
    return [n for c, own in zip(circles, inside, strict=True) for n in _in_circle(c, own)]


def _circles(plain: Mapping[str, int], pairs: Iterable[Pair]) -> list[dict[str, int]]:
    """Names that come before each other, by way of others, are in one circle; whoever is in none
    is one of their own. In order (Kosaraju's algorithm; ``plain`` is where its first pass left
    each), and so are the names in each."""
    behind: dict[str, list[str]] = {name: [] for name in plain}
    for first, then in pairs:
        behind[first].append(then)
    found: list[dict[str, int]] = []
    seen: set[str] = set()
    for name in reversed(list(plain)):
        if name not in seen:
            circle = sorted(_reached(name, behind, seen), key=plain.__getitem__)
            found.append({one: plain[one] for one in circle})
    return found[::-1]


def _reached(name: str, behind: Mapping[str, list[str]], seen: set[str]) -> Iterator[str]:
    waiting = [name]
    seen.add(name)
    while waiting:
        current = waiting.pop()
        yield current
        new = [then for then in behind[current] if then not in seen]
        seen.update(new)
        waiting += new


def _in_circle(plain: Mapping[str, int], pairs: Mapping[Pair, int]) -> Iterable[str]:
    waiting = [
        _Waiting(plain, [pair for pair, weight in pairs.items() if weight >= least])
        for least in sorted(set(pairs.values()))
    ]
    waiting.append(_Waiting(plain, ()))
    placed: dict[str, None] = {}
    while len(placed) < len(plain):
        chosen = next(name for w in waiting if (name := w.first(placed)) is not None)
        placed[chosen] = None
        for w in waiting:
            w.release(chosen)
    return placed


class _Waiting:
    """Names, each until those that come before it have been placed."""

    def __init__(self, order: Mapping[str, int], pairs: Iterable[Pair]) -> None:
        self._order = order
        self._before: dict[str, set[str]] = {name: set() for name in order}
        self._behind: dict[str, list[str]] = {name: [] for name in order}
        for first, then in pairs:
            self._before[then].add(first)
            self._behind[first].append(then)
        self._free = sorted((order[n], n) for n, before in self._before.items() if not before)

    def first(self, placed: Container[str]) -> str | None:
        """The first that waits for nobody."""
        while self._free and self._free[0][1] in placed:
            heappop(self._free)
        return self._free[0][1] if self._free else None

    def release(self, placed: str) -> None:
        """Whoever waited for that one waits for one less."""
        for then in self._behind[placed]:
            self._before[then].discard(placed)
            if not self._before[then]:
                heappush(self._free, (self._order[then], then))


def _depth_first(names: Iterable[str], pairs: Iterable[Pair]) -> dict[str, int]:
    """Positions in which every pair holds but where a circle closes: what is in no circle comes
    after all of those that it depends on, and nothing of another circle comes between."""
    before: dict[str, list[str]] = {name: [] for name in names}
    for first, then in sorted(pairs):
        before[then].append(first)
    order: dict[str, int] = {}
    for name in sorted(before):
        _visit(name, before, order)
    return order


def _visit(name: str, before: Mapping[str, list[str]], order: dict[str, int]) -> None:
    stack, open_ = [(name, iter(before[name]))], {name}
    while stack:
        current, rest = stack[-1]
        for earlier in rest:
            if earlier not in order and earlier not in open_:
                open_.add(earlier)
                stack.append((earlier, iter(before[earlier])))
                break
        else:
            stack.pop()
            if current not in order:
                order[current] = len(order)
