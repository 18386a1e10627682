"""The lineage graph as plain values, and the walk over it. Pure: no Django, no I/O.

Words follow OpenLineage (dataset, field) and fideslang (data categories, references,
``direction``); the effects deep, shallow and refcount are those of DELF (Cohn-Gordon
et al., USENIX Security 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any, Literal

from lineage.derivation import Derivation as Derivation
from lineage.derivation import Flow as Flow
from lineage.derivation import plain as plain
from lineage.fields import NEEDLE_CATEGORIES as NEEDLE_CATEGORIES
from lineage.fields import Field as Field
from lineage.fields import Method as Method
from lineage.fields import in_category as in_category

Effect = Literal["deep", "refcount", "shallow"]
STRENGTH: Mapping[str, int] = {"deep": 3, "refcount": 2, "shallow": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreEntry:
    """A store of the catalogue. ``url`` is unresolved: ``${NAME}`` is read at the moment of use."""

    name: str
    kind: str
    url: str = ""
    role: Literal["controller", "processor", "recipient"] = "controller"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """One table, file set, log stream, backup set or model, at ``fides_key.collection``."""

    address: str
    store: str
    name: str
    schema: str | None = None
    fields: tuple[Field, ...] = ()
    action: str | None = None
    because: str = ""
    owner: str = ""
    purpose: str = ""
    legal_basis: str = ""
    retention: Mapping[str, str] = field(default_factory=dict)
    until: str | None = None
    exception: str | None = None
    legal_reference: str = ""
    after: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    quasi_identifiers: tuple[str, ...] = ()
    k: int | None = None
    # Known from lineage events only; and what a person decided for it: rebuild, anonymous, drop.
    heard: bool = False
    decided: str = ""

    def get(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the declared primary-key fields, in declared order; may be empty."""
        return tuple(f.name for f in self.fields if f.primary_key)

    @property
    def identities(self) -> tuple[Field, ...]:
        """Fields whose value names a person."""
        return tuple(f for f in self.fields if f.identity)

    @property
    def is_person(self) -> bool:
        """True when a row of it says by itself who it is about."""
        return bool([f for f in self.fields if f.identity])

    @property
    def free_text(self) -> tuple[str, ...]:
        """Names of the fields in which the person's needles are redacted."""
        return tuple(f.name for f in self.fields if f.free_text)

    @property
    def has_personal_fields(self) -> bool:
        """True when any field is personal."""
        return any(f.personal or f.free_text for f in self.fields)

    def to_json(self) -> dict[str, Any]:
        """A plain, JSON-serialisable copy that a step's own reader takes back."""
        fields = [
            {**plain(f), "method": plain(f.method) if f.method else None} for f in self.fields
        ]
        return {**plain(self), "fields": fields}


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """``holder.holder_field`` refers to ``target.target_field`` (addresses and field names).

    ``direction`` as in fideslang: ``from`` - the holder is reached from the target; ``to`` - a
    row of the holder leads to the target; None - both. ``also``: further (holder field, target
    field) pairs of a composite reference, which count only all together.
    """

    holder: str
    holder_field: str
    target: str
    target_field: str
    direction: Literal["from", "to"] | None = None
    on_erase: Effect | None = None
    ghost: bool = False
    also: Pairs = ()

    @property
    def holder_fields(self) -> tuple[str, ...]:
        """The fields that refer, one or more."""
        return (self.holder_field, *[mine for mine, _ in self.also])

    @property
    def target_fields(self) -> tuple[str, ...]:
        """The fields referred to, in the order of those that refer."""
        return (self.target_field, *[theirs for _, theirs in self.also])


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """One way to walk a reference: rows of ``origin`` lead to rows of ``destination``."""

    origin: str
    origin_field: str
    destination: str
    destination_field: str
    effect: Effect
    reference: Reference

    def __hash__(self) -> int:
        """Without the reference, which costs most and tells hardly any two edges apart."""
        ends = (self.origin, self.origin_field, self.destination, self.destination_field)
        return hash((*ends, self.effect))

    @property
    def forward(self) -> bool:
        """True when the origin holds the reference (it 'leads to' the destination)."""
        holder = (self.reference.holder, self.reference.holder_field)
        return (self.origin, self.origin_field) == holder

    @property
    def origin_fields(self) -> tuple[str, ...]:
        """The fields whose values lead on; several only together."""
        reference = self.reference
        return reference.holder_fields if self.forward else reference.target_fields

    @property
    def destination_fields(self) -> tuple[str, ...]:
        """The fields that must equal them."""
        reference = self.reference
        return reference.target_fields if self.forward else reference.holder_fields


def edges_of(reference: Reference, holder: Dataset, target: Dataset) -> list[Edge]:
    """The directed edges of a reference, with the default effects of the catalogue format.

    ``from`` is deep, but shallow for a self-reference or a holder with an identity of its own;
    ``to`` is refcount when the target has personal fields and is not a person itself, else none.
    Where no direction is given, an ``on_erase`` of refcount is about the target, of deep or
    shallow about the holder.
    """
    edges = []
    if reference.direction in (None, "from"):
        own = reference.holder == reference.target or holder.is_person
        effect: Effect = "shallow" if own else "deep"
        if reference.direction == "from" or reference.on_erase != "refcount":
            effect = reference.on_erase or effect
        edges.append(_edge(reference, False, effect))
    if reference.direction in (None, "to"):
        said = reference.direction == "to" or reference.on_erase == "refcount"
        forward = reference.on_erase if said else None
        personal = target.has_personal_fields and not target.is_person
        if forward is None and personal and reference.holder != reference.target:
            forward = "refcount"
        if forward in ("deep", "refcount"):
            edges.append(_edge(reference, True, forward))
    return edges


def edges_of_derivation(derivation: Derivation, upstream: Dataset) -> list[Edge]:
    """A key or an identity that flows into a derived dataset makes its rows reachable by it; a key
    of several fields where all of them do: a part alone leads to rows of other people."""
    into: dict[str, list[str]] = {}
    for mine, theirs in sorted(derivation.columns.items()):
        into.setdefault(theirs, []).append(mine)
    names: list[tuple[str, ...]] = [(f.name,) for f in upstream.fields if f.identity]
    if upstream.key and upstream.key not in names:
        names.append(tuple(sorted(upstream.key)))
    return [
        _edge(copied(derivation.downstream, mine, upstream.address, theirs), False, "deep")
        for theirs in names
        for mine in landings([into.get(name, ()) for name in theirs])
    ]


# A key of which every part was copied several times over leads into a dataset in so many ways.
_MOST_WAYS = 16


def landings(choices: Sequence[Sequence[str]]) -> Iterable[tuple[str, ...]]:
    """Every choice of one column for each part of a key, some at most; none where a part did not
    come along."""
    return islice(product(*choices), _MOST_WAYS)


def copied(
    holder: str, mine: Sequence[str], target: str, theirs: Sequence[str], **more: Any
) -> Reference:
    """The reference that follows where a key came along unchanged, field by field."""
    return Reference(
        holder=holder,
        holder_field=mine[0],
        target=target,
        target_field=theirs[0],
        direction="from",
        also=tuple(zip(mine[1:], theirs[1:], strict=True)),
        **more,
    )


def _edge(reference: Reference, target: bool, effect: Effect) -> Edge:
    ends = (reference.holder, reference.holder_field, reference.target, reference.target_field)
    origin, origin_field, destination, destination_field = ends if target else ends[2:] + ends[:2]
    return Edge(
        origin=origin,
        origin_field=origin_field,
        destination=destination,
        destination_field=destination_field,
        effect=effect,
        reference=reference,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """One dataset of a reach: how strongly, from how far, and by which path it is reached."""

    address: str
    effect: Effect | None
    distance: int
    path: tuple[str, ...]
    seeds: tuple[str, ...] = ()
    derivation: Derivation | None = None


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Every dataset that can hold the person's data, nearest first, and the edges walked."""

    stops: tuple[Stop, ...]
    edges: tuple[Edge, ...]

    def get(self, address: str) -> Stop | None:
        """The stop at that address, or None."""
        return next((s for s in self.stops if s.address == address), None)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """What leads out of a frontier of addresses: references and derivations. ``in_order``: the
    edges are sorted as a walk wants them, and each is there once."""

    edges: tuple[Edge, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    in_order: bool = False


def walk(
    start: Mapping[str, Sequence[str]],
    neighbours: Callable[[frozenset[str]], Neighbours],
) -> Reach:
    """Walk breadth-first from the datasets that know one of the person's identity kinds.

    ``start`` maps a dataset address to its identity fields of those kinds. ``neighbours`` answers
    for a whole frontier at once. Deep carries the walk on; shallow and refcount end it; anything
    derived from a dataset that was reached is reached too. Ends on cycles and self-references.
    """
    stops: dict[str, Stop] = {
        address: Stop(
            address=address,
            effect="deep",
            distance=0,
            path=tuple(f"{address}.{f}" for f in fields),
            seeds=tuple(fields),
        )
        for address, fields in sorted(start.items())
    }
    edges: list[Edge] = []
    walked: set[str] = set()
    frontier = frozenset(stops)
    while frontier:
        out = neighbours(frontier)
        grown: set[str] = set()
        # As they were reached: a stop improved in this round is walked from in the next one, so
        # that every path is a shortest one.
        reached = {address: stops[address] for address in frontier}
        # Shallow and refcounted rows are somebody else's as well; what is derived carries on by
        # keys that flowed into it (edges_of_derivation).
        carrying = {address: stop for address, stop in reached.items() if stop.effect == "deep"}
        in_order = _in_order(out)
        fresh = carrying.keys() - walked
        edges += [edge for edge in in_order if edge.origin in fresh]
        for edge in in_order:
            # Most edges lead to where the walk has been: nothing is made for them.
            old = stops.get(edge.destination)
            if old is not None and (old.effect == "deep" or not _stronger(edge.effect, old.effect)):
                continue
            origin = carrying.get(edge.origin)
            if origin is not None:
                _improve(stops, _by_edge(origin, edge))
                grown.add(edge.destination)
        walked |= carrying.keys()
        for derivation in sorted(out.derivations, key=lambda d: (d.upstream, d.downstream)):
            origin = reached.get(derivation.upstream)
            if origin and _improve(stops, _by_derivation(origin, derivation)):
                grown.add(derivation.downstream)
        frontier = frozenset(grown)
    ordered = sorted(stops.values(), key=lambda s: (s.distance, s.address))
    return Reach(stops=tuple(ordered), edges=tuple(edges))


def _stronger(new: Effect | None, old: Effect | None) -> bool:
    return old != "deep" and STRENGTH.get(new or "", 0) > STRENGTH.get(old or "", 0)


def _edge_order(edge: Edge) -> tuple[str, ...]:
    return (edge.origin, edge.origin_field, edge.destination, edge.destination_field, edge.effect)


def in_walking_order(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Each once, as a walk wants them."""
    listed = tuple(edges)
    return listed if len(listed) < 2 else tuple(sorted(dict.fromkeys(listed), key=_edge_order))


def _in_order(out: Neighbours) -> Iterable[Edge]:
    return out.edges if out.in_order else in_walking_order(out.edges)


def _by_edge(origin: Stop, edge: Edge) -> Stop:
    mine, theirs = edge.origin_field, edge.destination_field
    if edge.reference.also:
        mine, theirs = "+".join(edge.origin_fields), "+".join(edge.destination_fields)
    step = f"{edge.origin}.{mine} → {edge.destination}.{theirs}"
    return Stop(
        address=edge.destination,
        effect=edge.effect,
        distance=origin.distance + 1,
        path=(*origin.path, f"{step} ({edge.effect})"),
    )


def _by_derivation(origin: Stop, derivation: Derivation) -> Stop:
    step = f"{derivation.upstream} ⇒ {derivation.downstream} ({derivation.kind})"
    return Stop(
        address=derivation.downstream,
        effect=None,
        distance=origin.distance + 1,
        path=(*origin.path, step),
        derivation=derivation,
    )


def _improve(stops: dict[str, Stop], new: Stop) -> bool:
    """Keep the strongest effect per dataset; True when the walk must go on from it."""
    old = stops.get(new.address)
    if old is None:
        stops[new.address] = new
        return True
    derivation = old.derivation or new.derivation
    stronger = _stronger(new.effect, old.effect)
    if stronger or derivation is not old.derivation:
        stops[new.address] = replace(new if stronger else old, derivation=derivation)
    return stronger
