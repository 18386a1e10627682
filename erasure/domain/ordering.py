"""Putting things in order by pairs (first, then), some of which matter more than others. Pure.

Where pairs form a circle, one of them is given up: one of those that matter least in it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from heapq import heappop, heappush

Pair = tuple[str, str]


def in_order(names: Iterable[str], pairs: Mapping[Pair, int]) -> list[str]:
    """Every name once. ``pairs`` of different ``names``, with how much each matters."""
    plain = _depth_first(names, pairs)
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
    return list(placed)


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
