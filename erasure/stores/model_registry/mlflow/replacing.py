"""Carrying out what was decided for a model of an MLflow registry.

A recipe (command, pipeline or project) trains and registers the new version itself; it is taken
only with a manifest that holds nobody who was to be forgotten. The alias moves then, and the old
versions go after that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any

from erasure.domain.errors import StoreError
from erasure.domain.models import ModelPolicy
from erasure.stores.model_registry import external
from erasure.stores.model_registry.manifest import fault
from erasure.stores.model_registry.mlflow import aside, ladder, recovery, rows
from erasure.stores.model_registry.mlflow.client import translated
from erasure.stores.model_registry.mlflow.versions import (
    EXEMPT,
    PROVENANCE,
    QUARANTINED,
    REFUSED,
    Known,
    Place,
    Registered,
    tagged,
)
from erasure.stores.trained import Order

FORGOTTEN = "lethe.forgotten"
REPORT = "lethe.report"
KEPT = "lethe.kept_until"
_STAYS = frozenset({"none", "refer", "quarantine", "filter"})
_PART = 70  # keyed hashes in a tag: MLflow takes 5,000 characters


def holders(known: Iterable[Known], people: frozenset[str]) -> list[Known]:
    """The versions that had any of these keyed hashes in their training, or may have had; not those
    that are assessed as anonymous to this day."""
    today = datetime.now(UTC).date().isoformat()
    return [
        k
        for k in known
        if k.exempt < today and people and (k.said is None or not people.isdisjoint(k.people))
    ]


def carry_out(of: Registered, order: Order, caches: Sequence[str]) -> dict[str, Any]:
    """Returns the evidence. Raises StoreError, and then the current version serves as before."""
    with translated(of.place):
        finished = _finish(of, caches)
        known = of.all()
        out = _quarantine(of, known, order)
        _exempt(of, order)
        held = holders(known, order.people)
        gone = [k for k in held if order.actions.get(k.place.version, "retrain") not in _STAYS]
        current = next((k for k in gone if k.current), None)
        told: dict[str, Any] = {}
        if current is not None and order.actions.get(current.place.version) != "delete":
            told = _replaced(of, current, known, order)
            if order.propose and told["new"] != order.accepted:
                return {**told, **out, "proposed": told["new"]}
            if order.keep_until is not None:
                gone.remove(current)
                told |= _keep_version(of, current, order.keep_until)
        _remember(of, order.people if gone else ())
        receipts = [*finished, *ladder.purge(of, [k.place for k in gone], caches)]
        told |= _proved(of, [k.place for k in gone], receipts)
        _keep(of, told)
        loads = {**told.get("loads", {}), **out.get("loads", {})}
        return {**told, **out, **({"loads": loads} if loads else {})}


def retire(of: Registered, versions: Collection[str], caches: Sequence[str]) -> dict[str, Any]:
    """Take versions out for good: what they were, what went, every attempt at getting one back,
    and what is left. Raises StoreError where one is not there, or comes back."""
    with translated(of.place):
        finished = _finish(of, caches)
        known = {k.place.version: k for k in of.all()}
        done = {receipt["version"] for receipt in finished}
        if missing := set(versions) - known.keys() - done:
            raise StoreError(of.place, f"there is no version {', '.join(sorted(missing))}")
        gone = [known[v] for v in versions if v in known]
        kept = [record(k) for k in gone]
        receipts = [*finished, *ladder.purge(of, [k.place for k in gone], caches)]
        told = _proved(of, [k.place for k in gone], receipts)
        return {"record": kept, **told, "left": [k.place.version for k in of.all()]}


def _finish(of: Registered, caches: Sequence[str]) -> list[dict[str, Any]]:
    """What a purge that was cut short has left."""
    places = ladder.unfinished(of)
    return ladder.purge(of, places, caches) if places else []


def _proved(
    of: Registered, gone: Sequence[Place], receipts: list[dict[str, Any]]
) -> dict[str, Any]:
    """What was left empty goes, free pages are overwritten, and it is tried to get all back."""
    spaces = {space for receipt in receipts for space in receipt["experiments"]}
    emptied = ladder.clear(of, spaces) if receipts else []
    if receipts:
        rows.compact(of.at.uri)
    recovery_told = {place.version: recovery.attempts(of, place) for place in gone}
    if left := recovery.listed(of, gone):
        raise StoreError(of.place, left[0])
    return {"purged": receipts, "emptied": emptied, "recovery": recovery_told} if receipts else {}


def _quarantine(of: Registered, known: Sequence[Known], order: Order) -> dict[str, Any]:
    """No alias leads to them any more, a tag says why, and no URI loads them. Returns which, and
    of each that still loads why; empty where none is to go."""
    out = [k for k in known if order.actions.get(k.place.version) == "quarantine"]
    loads = {}
    for one in out:
        why = order.reasons.get(one.place.version, "out of service")
        for alias in one.place.aliases:
            of.at.client.delete_registered_model_alias(of.model, alias)
        if one.place.version.isdecimal():
            of.at.client.set_model_version_tag(of.model, one.place.version, QUARANTINED, why)
        if told := aside.take(of.at, one.place):
            loads[one.place.version] = told
    versions = sorted(k.place.version for k in out)
    return {"quarantined": versions, **({"loads": loads} if loads else {})} if out else {}


def _exempt(of: Registered, order: Order) -> None:
    """Mark what was decided to count as anonymous, until when it does."""
    until = order.policy.anonymous_until
    refer = sorted(v for v, action in order.actions.items() if action == "refer")
    if until is None or not refer:
        return
    if of.record() is None:
        runs = ", ".join(refer)
        told = f"is not registered, so nothing can say that {runs} is anonymous; retire it instead"
        raise StoreError(of.place, told)
    for version in refer:
        tag = tagged(EXEMPT, version)
        of.at.client.set_registered_model_tag(of.model, tag, until.isoformat())


def release(of: Registered, version: str) -> None:
    """A version that was out of service loads again, and is served where nothing else is. Raises
    StoreError where it is not out of service, or holds somebody who was forgotten meanwhile."""
    with translated(of.place):
        one = next((k for k in of.all() if k.place.version == version), None)
        if one is None or not one.quarantined:
            raise StoreError(of.place, f"version {version} is not out of service")
        if again := len(forgotten(of) & one.people.keys()):
            raise StoreError(of.place, f"version {version} holds {again} people who were forgotten")
        aside.lay_back(one.place)
        of.at.client.delete_model_version_tag(of.model, version, QUARANTINED)
        _pin(of, version)


def _replaced(of: Registered, old: Known, known: list[Known], order: Order) -> dict[str, Any]:
    """A version that does not know them: one that arrived meanwhile, else one that the recipe
    makes now. The alias moves to it.

    What the recipe registers is the latest version, and without an alias the one that counts as
    served: the old one is given the alias before that. One that is not good enough says so by a
    tag, and is no replacement any more.
    """
    _pin(of, old.place.version)
    new = _heir(old, known, order)
    recipe = order.dataset.model.get("recipe")
    if new is None:
        with TemporaryDirectory() as folder:
            external.deliver(of.place, recipe, _asked(of, old, order, folder), order.call)
        new = _heir(old, of.all(), order)
    if new is None:
        key, kind = _keyed(old, order)
        by = f"'{key}'" + (f" of kind {kind}" if kind else "")
        raise StoreError(
            of.place,
            "the recipe registered no version whose manifest lacks the people, and holds others, "
            f"by {by}",
        )
    try:
        told = _compared(of.place, old, new, order.policy)
    except StoreError as error:
        tag = str(error).removeprefix(f"{of.place}: ")
        of.at.client.set_model_version_tag(of.model, new.place.version, REFUSED, tag)
        raise
    if order.propose and new.place.version != order.accepted:
        return told
    of.at.client.set_registered_model_alias(of.model, of.alias, new.place.version)
    return told


def _pin(of: Registered, version: str) -> None:
    record_ = of.record()
    if record_ is not None and of.alias not in record_.aliases:
        of.at.client.set_registered_model_alias(of.model, of.alias, version)


def _keep_version(of: Registered, old: Known, until: datetime) -> dict[str, Any]:
    """No alias leads to it any more, a tag says until when it is kept, and no URI loads it. Returns
    until when, and why it still loads where it does."""
    for alias in old.place.aliases:
        if alias != of.alias:
            of.at.client.delete_registered_model_alias(of.model, alias)
    told = until.isoformat()
    version = old.place.version
    of.at.client.set_model_version_tag(of.model, version, KEPT, told)
    loads = aside.take(of.at, old.place)
    return {"kept": {version: told}, **({"loads": {version: loads}} if loads else {})}


def take_back(of: Registered, new: str, old: str) -> None:
    """The old version loads and is served again. Raises StoreError where it has gone."""
    with translated(of.place):
        kept = next((k for k in of.all() if k.place.version == old), None)
        if kept is None:
            raise StoreError(of.place, f"version {old} is gone; there is no way back")
        if not kept.quarantined:
            aside.lay_back(kept.place)
        record_ = of.record()
        if record_ is not None and str(record_.aliases.get(of.alias)) == new:
            of.at.client.set_registered_model_alias(of.model, of.alias, old)
        of.at.client.delete_model_version_tag(of.model, old, KEPT)


def sign(of: Registered, version: str, signed: Mapping[str, Any]) -> None:
    """A tag of the version."""
    with translated(of.place):
        text = json.dumps(signed, sort_keys=True)
        of.at.client.set_model_version_tag(of.model, version, PROVENANCE, text)


def _asked(of: Registered, old: Known, order: Order, folder: str) -> external.Asked:
    said = old.said.head if old.said else {}
    key, kind = _keyed(old, order)
    return external.Asked(
        job=order.job, model=of.model, folder=folder, key=of.hasher().key, people=order.people,
        source=order.dataset.model.get("source") or {}, seed=int(said.get("seed", 0)),
        params=dict(old.params), person_key=key, person_kind=kind, tracking=of.at.uri,
        begun=order.begun,
    )  # fmt: skip


def _keyed(old: Known, order: Order) -> tuple[str, str]:
    """The key, and its kind, by which the people of ``order`` were looked for in ``old``."""
    if old.said is not None:
        return str(old.said.head["person_key"]), str(old.said.head["person_kind"])
    said = order.dataset.model
    return str(said.get("person_key", "")), str(said.get("person_kind", ""))


def _heir(old: Known, known: Iterable[Known], order: Order) -> Known | None:
    """The version after ``old`` that shows by its manifest that they are not in it: the one that
    was accepted, else the latest."""
    later = [
        k
        for k in known
        if k.place.version.isdecimal()
        and (not old.place.version.isdecimal() or int(k.place.version) > int(old.place.version))
        and k.said is not None
        and not fault(k.said.head, *_keyed(old, order))
        and order.people.isdisjoint(k.people)
        and not (k.quarantined or k.refused)
    ]
    fit = [k for k in later if k.place.version == order.accepted] or later
    return fit[-1] if fit else None


def _compared(place: str, old: Known, new: Known, policy: ModelPolicy) -> dict[str, Any]:
    """Figures that the runs logged. Raises StoreError where the new one is not good enough."""
    assert new.said is not None  # noqa: S101 - an heir has a manifest
    name = policy.metric
    told: dict[str, Any] = {
        "old": old.place.version, "new": new.place.version,
        "old_people_root": str(old.said.head["people_root"]) if old.said else "",
        "new_people_root": str(new.said.head["people_root"]),
        "old_people": len(old.people), "new_people": len(new.people),
        "new_artifact": str(new.said.head["artifact"]), "new_data": str(new.said.head["content"]),
        "guarantee": "exact in distribution", "action": "retrain",
        "method": "exact retrain by the registry's own pipeline",
        "reexecution_matched": False,
    }  # fmt: skip
    if not name:
        return told
    if name not in new.metrics or name not in old.metrics:
        raise StoreError(place, f"a run logged no figure for model.utility.metric '{name}'")
    before, after = old.metrics[name], new.metrics[name]
    if policy.low is not None and not after >= policy.low:
        raise StoreError(place, f"{name} would be {after:.4f}, below the minimum of {policy.low}")
    if policy.max_drop is not None and not before - after <= policy.max_drop:
        raise StoreError(place, f"{name} would fall by more than {policy.max_drop}")
    figures = {"utility_before": f"{before:.6f}", "utility_after": f"{after:.6f}"}
    return {**told, "metric": name, **figures}


def record(known: Known) -> dict[str, Any]:
    """What is kept of a version: figures, digests and counts, never a row and nobody's hash."""
    said = known.said.head if known.said else {}
    return {
        "version": known.place.version,
        "trained_at": known.trained_at,
        "recipe": str(said.get("recipe", "")),
        "seed": int(said.get("seed", 0)),
        "family": "registered",
        "people": len(known.people),
        "people_root": str(said.get("people_root", "")),
        "data": str(said.get("content", "")),
        "artifact": str(said.get("artifact", "")),
        "metrics": {name: f"{value:.6f}" for name, value in known.metrics.items()},
    }


def _remember(of: Registered, people: Iterable[str]) -> None:
    """Keyed hashes of who was taken out, in tags of the registered model: a version that holds one
    of them again is an alarm."""
    fresh = sorted(set(people) - forgotten(of))
    record_ = of.record()
    if record_ is None:
        return
    first = len([k for k in record_.tags if k.startswith(FORGOTTEN)])
    for start in range(0, len(fresh), _PART):
        text = " ".join(fresh[start : start + _PART])
        of.at.client.set_registered_model_tag(of.model, f"{FORGOTTEN}.{first + start}", text)


def forgotten(of: Registered) -> frozenset[str]:
    """Who was taken out of the model before, by keyed hash."""
    with translated(of.place):
        found = of.record()
    tags = {} if found is None else found.tags
    return frozenset(h for k, text in tags.items() if k.startswith(FORGOTTEN) for h in text.split())


def _keep(of: Registered, told: dict[str, Any]) -> None:
    """The last replacement, for the certificate."""
    if told.get("new") and of.record() is not None:
        kept = {k: v for k, v in told.items() if k not in ("purged", "recovery", "emptied")}
        kept |= {"removed": [r["version"] for r in told.get("purged", ())],
                 "at": datetime.now(UTC).isoformat(timespec="seconds")}  # fmt: skip
        of.at.client.set_registered_model_tag(of.model, REPORT, json.dumps(kept))


def report(of: Registered) -> dict[str, Any]:
    """The last replacement, as JSON without floats; empty without one."""
    with translated(of.place):
        found = of.record()
    text = found.tags.get(REPORT) if found is not None else None
    return dict(json.loads(text)) if text else {}
