"""Where everything on the map is drawn: boxes, lines and headings in SVG units. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lineage.atlas import LANES, Chart, Spot

MOST_DRAWN = 300
WIDTH, GAP, MARGIN, HEAD, PERSON = 164, 44, 16, 44, 104
# How many stand below each other before a column is split, and how high one is.
ROOMY, DENSE = (42, 14), (24, 40)  # (height of a spot, most of them in a column)
FEW = 60
# A picture up to this width is scaled to the page; a wider one is pushed aside.
FITS = 1_500


@dataclass(frozen=True, kw_only=True)
class Box:
    """A spot with its place, in SVG units. ``state``: lit (on the path, or found), dim, or
    empty."""

    spot: Spot
    x: int
    y: int
    height: int
    hue: int
    state: str = ""
    label: str = ""

    @property
    def middle(self) -> float:
        """The height at which lines meet it."""
        return self.y + self.height / 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve from one box to another; ``how``: the effect or kind of derivation."""

    path: str
    how: str
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What a column is."""

    x: int
    words: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Everything that goes into the picture. ``left_out``: datasets that are only listed."""

    width: int
    height: int
    boxes: Sequence[Box] = ()
    lines: Sequence[Line] = ()
    headings: Sequence[Heading] = ()
    people: Sequence[tuple[str, int]] = ()
    hues: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    dense: bool = False

    @property
    def fits(self) -> bool:
        """It can be read when it is made as narrow as a desk's page."""
        return self.width <= FITS


HUES = 8  # the last one is everybody else's


def hues_of(spots: Iterable[Spot]) -> dict[str, int]:
    """A colour's number per store, those of the data first, the largest before the others; those
    beyond share the last, and so do backups and the like, which have a column of their own."""
    counts: dict[str, int] = {}
    for spot in spots:
        data = spot.lane in ("data", "unreached")
        counts[spot.store] = counts.get(spot.store, 0) + (1_000 if data else 1)
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: min(n, HUES - 1) for n, name in enumerate(ordered)}


def draw(
    charted: Chart, *, chosen: str = "", lit: Collection[str] | None = None, most: int = MOST_DRAWN
) -> Drawing:
    """Place the spots. ``chosen``: a dataset whose path is lit; ``lit``: what a search found, None
    without one. Beyond ``most``, the nearest are drawn, and what is lit or chosen with its path."""
    trail = charted.trail(chosen)
    first = {*trail, *(sorted(lit)[: most // 2] if lit else ())}
    ordered = sorted(charted.spots.values(), key=lambda s: (s.address not in first, _order(s)))
    spots = sorted(ordered[:most], key=_order)
    dense = len(spots) > FEW
    height, rows = DENSE if dense else ROOMY
    shown = set(trail) if chosen else set(lit) if lit is not None else None
    hues = hues_of(charted.spots.values())
    boxes: dict[str, Box] = {}
    headings: list[Heading] = []
    x = MARGIN + PERSON + GAP
    for words, column in _columns(spots):
        headings.append(Heading(x=x, words=words))
        # A path that is lit stands on top, so that it is in one piece on the screen.
        in_order = sorted(
            column, key=lambda s: (s.address not in trail, s.store, _above(s, boxes), s.address)
        )
        most_below = _rows(len(column), rows)
        for n, spot in enumerate(in_order):
            column_x = x + (n // most_below) * (WIDTH + GAP // 4)
            box = Box(
                spot=spot,
                x=column_x,
                y=HEAD + (n % most_below) * (height + (6 if dense else 12)),
                height=height,
                hue=hues[spot.store],
                state="" if shown is None else "lit" if spot.address in shown else "dim",
                label=_short(spot.name, 16 if dense else 20),
            )
            boxes[spot.address] = box
        x += WIDTH + GAP + (max(len(column) - 1, 0) // most_below) * (WIDTH + GAP // 4)
    bottom = max((b.y + b.height for b in boxes.values()), default=HEAD)
    people = _people(charted, boxes)
    return Drawing(
        width=max(x - GAP + MARGIN, 320),
        height=max(bottom, *(y for _, y in people), HEAD) + MARGIN + 20,
        boxes=list(boxes.values()),
        lines=[*_lines(charted, boxes, people, trail, dim=shown is not None)],
        headings=headings,
        people=people,
        hues=hues,
        left_out=len(charted.spots) - len(spots),
        dense=dense,
    )


def _order(spot: Spot) -> tuple[int, int, str, str]:
    return (list(LANES).index(spot.lane), spot.distance, spot.store, spot.address)


def _columns(spots: Iterable[Spot]) -> Iterator[tuple[str, list[Spot]]]:
    found: dict[tuple[int, int], list[Spot]] = {}
    lanes = list(LANES)
    for spot in spots:
        distance = spot.distance if spot.lane == "data" else 0
        found.setdefault((lanes.index(spot.lane), distance), []).append(spot)
    for (lane, distance), column in sorted(found.items()):
        yield LANES[lanes[lane]] or _steps(distance), column


def _rows(number: int, usual: int) -> int:
    """How many stand below each other: a column that is split is split evenly, and a few too many
    are no reason to."""
    parts = -(-number // (usual + usual // 5))
    return -(-number // max(parts, 1))


def _steps(distance: int) -> str:
    if distance == 0:
        return "Found by identity"
    return f"{distance} step{'' if distance == 1 else 's'} away"


def _above(spot: Spot, boxes: Mapping[str, Box]) -> float:
    """Beside what it is reached from, so that lines cross less."""
    parent = boxes.get(spot.parent)
    return parent.middle if parent else 0


def _people(charted: Chart, boxes: Mapping[str, Box]) -> list[tuple[str, int]]:
    """The identity kinds, below each other at the left, each at its height."""
    kinds: dict[str, list[float]] = {}
    for address, names in charted.seeds.items():
        for name in names:
            if address in boxes:
                kinds.setdefault(name, []).append(boxes[address].middle)
    placed: list[tuple[str, int]] = []
    for name, heights in sorted(kinds.items(), key=lambda pair: min(pair[1])):
        lowest = placed[-1][1] + 40 if placed else HEAD + 16
        placed.append(
            (name, max(int(sum(heights) / len(heights)) if len(heights) < 4 else 0, lowest))
        )
    return placed


def _lines(
    charted: Chart,
    boxes: Mapping[str, Box],
    people: Sequence[tuple[str, int]],
    trail: Sequence[str],
    *,
    dim: bool,
) -> Iterator[Line]:
    heights = dict(people)
    start = trail[0] if trail else ""
    for address, names in charted.seeds.items():
        for name in names:
            if address in boxes and name in heights:
                box = boxes[address]
                path = _curve(MARGIN + PERSON, heights[name], box.x, box.middle)
                lit = address == start
                yield Line(path=path, how="seed", state="lit" if lit else "dim" if dim else "")
    steps = set(pairwise(trail))
    for address, box in boxes.items():
        origin = boxes.get(box.spot.parent)
        if origin is None:
            continue
        path = _between(origin, box)
        lit = (box.spot.parent, address) in steps
        yield Line(path=path, how=box.spot.link, state="lit" if lit else "dim" if dim else "")


def _between(origin: Box, box: Box) -> str:
    if origin.x < box.x:
        return _curve(origin.x + WIDTH, origin.middle, box.x, box.middle)
    # in the same column, or back: around the right side
    right = max(origin.x, box.x) + WIDTH
    away = right + GAP // 3
    return (
        f"M{origin.x + WIDTH} {origin.middle:.0f}C{away} {origin.middle:.0f} "
        f"{away} {box.middle:.0f} {box.x + WIDTH} {box.middle:.0f}"
    )


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (x + to_x) / 2
    return f"M{x:.0f} {y:.0f}C{half:.0f} {y:.0f} {half:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
