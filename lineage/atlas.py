"""The map: a reach as spots in columns, from the person at the left to the last copy. Pure.

Columns are the distance from the person's identity; then, at the right, what is only made from the
data: copies, models, backups, recipients; and last what is personal and nothing leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lineage.graph import Dataset, Reach, Stop, StoreEntry, in_category

Lane = Literal["data", "copies", "models", "backups", "recipients", "unreached"]
LANES: Mapping[Lane, str] = {
    "data": "",
    "copies": "Made from them",
    "models": "Models",
    "backups": "Backups",
    "recipients": "Recipients",
    "unreached": "Nothing leads here",
}
# What a dataset holds, the most telling first: code and words.
CLASSES: Mapping[str, str] = {
    "identity": "says who somebody is",
    "special": "special categories (health, belief, biometry …)",
    "financial": "financial",
    "contact": "names and contact",
    "personal": "other personal data",
    "text": "free text about people",
    "none": "no personal field of its own",
}
_SPECIAL = (
    "user.health_and_medical", "user.biometric", "user.biometric_health", "user.genetic",
    "user.demographic.political_opinion", "user.demographic.religious_belief",
    "user.demographic.race_ethnicity", "user.demographic.sexual_orientation",
    "user.criminal_history",
)  # fmt: skip
_FINANCIAL = ("user.financial", "user.payment", "user.government_id")
_CONTACT = ("user.name", "user.contact")
_BY_KIND: Mapping[str, Lane] = {
    "backups": "backups",
    "model_registry": "models",
    "mlflow": "models",
    "manual": "recipients",
    "http": "recipients",
}


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One dataset on the map. ``mark``: what is done to it, in words; ``parent``: where its path
    comes from, empty at the person."""

    address: str
    name: str
    store: str
    kind: str
    lane: Lane
    distance: int = 0
    holds: str = "none"
    parent: str = ""
    link: str = ""
    path: tuple[str, ...] = ()
    action: str | None = None
    mark: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything that a person's data can be in. ``seeds``: by dataset, the identity kinds that
    lead into it."""

    spots: Mapping[str, Spot]
    seeds: Mapping[str, tuple[str, ...]]

    def trail(self, address: str) -> list[str]:
        """The addresses from the person to the dataset, itself included."""
        found: list[str] = []
        spot = self.spots.get(address)
        while spot is not None and spot.address not in found:
            found.append(spot.address)
            spot = self.spots.get(spot.parent)
        return found[::-1]


def chart(
    reach: Reach,
    datasets: Mapping[str, Dataset],
    stores: Iterable[StoreEntry],
    unreached: Iterable[str] = (),
    parents: Mapping[str, tuple[str, str]] | None = None,
) -> Chart:
    """The reach as spots, with the datasets in it. ``unreached``: personal, and nothing leads
    there; ``parents``: :func:`parents_in` of the reach, where it is known already."""
    by_name = {store.name: store for store in stores}
    parents = parents_in(reach) if parents is None else parents
    spots = {}
    for stop in reach.stops:
        dataset = datasets.get(stop.address)
        if dataset is not None:
            spot = _spot(dataset, by_name.get(dataset.store), _lane(stop, dataset, by_name))
            parent, link = parents.get(stop.address, ("", ""))
            spots[stop.address] = replace(
                spot, distance=stop.distance, parent=parent, link=link, path=stop.path
            )
    for address in unreached:
        if address in datasets and address not in spots:
            dataset = datasets[address]
            spots[address] = _spot(dataset, by_name.get(dataset.store), "unreached")
    return Chart(
        spots=spots, seeds={s.address: _kinds(s, datasets) for s in reach.stops if s.seeds}
    )


def _kinds(stop: Stop, datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    dataset = datasets.get(stop.address)
    fields = [dataset.get(name) for name in stop.seeds] if dataset else []
    return tuple(dict.fromkeys(f.identity for f in fields if f and f.identity))


def _spot(dataset: Dataset, store: StoreEntry | None, lane: Lane) -> Spot:
    return Spot(
        address=dataset.address,
        name=dataset.name,
        store=dataset.store,
        kind=store.kind if store else "",
        lane=lane,
        holds=holds(dataset),
        action=dataset.action or (dataset.decided or "undecided" if dataset.heard else None),
    )


def _lane(stop: Stop, dataset: Dataset, stores: Mapping[str, StoreEntry]) -> Lane:
    store = stores.get(dataset.store)
    if store is not None and store.kind in _BY_KIND and not dataset.heard:
        return _BY_KIND[store.kind]
    if store is not None and store.role == "recipient":
        return "recipients"
    if stop.derivation is not None and stop.derivation.kind == "trained":
        return "models"
    return "copies" if stop.effect is None or stop.derivation is not None else "data"


def holds(dataset: Dataset) -> str:
    """The most telling class of data in a dataset: a key of :data:`CLASSES`."""
    personal = [f for f in dataset.fields if f.personal]
    categories = tuple(c for f in personal for c in f.categories)
    if dataset.identities:
        return "identity"
    for code, roots in (("special", _SPECIAL), ("financial", _FINANCIAL), ("contact", _CONTACT)):
        if in_category(categories, roots):
            return code
    if personal:
        return "personal"
    return "text" if dataset.free_text else "none"


def parents_in(reach: Reach) -> dict[str, tuple[str, str]]:
    """By address, where the path that was kept comes from, and how: an effect, or a kind."""
    stops = {stop.address: stop for stop in reach.stops}
    found: dict[str, tuple[str, str]] = {}
    for edge in reach.edges:
        origin, stop = stops.get(edge.origin), stops[edge.destination]
        nearer = origin is not None and origin.distance == stop.distance - 1
        if nearer and stop.effect == edge.effect:
            found.setdefault(stop.address, (edge.origin, edge.effect))
    for stop in reach.stops:
        if stop.address not in found and stop.derivation is not None and not stop.seeds:
            found[stop.address] = (stop.derivation.upstream, stop.derivation.kind)
    return found
