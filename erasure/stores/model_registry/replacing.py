"""Carrying out what was decided for a model: the new version is proved before it is used, and the
old ones go only after that. Every step may be cut short and run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any

from erasure.domain.errors import CannotForget, NothingLeft, StoreError
from erasure.domain.models import GUARANTEES, Action, ModelPolicy, trusted_no_more
from erasure.stores.model_registry import (
    artifact,
    checking,
    delivered,
    external,
    forgetting,
    kept,
    training,
)
from erasure.stores.model_registry.checking import Checked, Old
from erasure.stores.model_registry.folder import (
    ARTIFACT,
    EXEMPT,
    FORGOTTEN,
    KEPT,
    QUARANTINE,
    ROWS,
    ModelFolder,
)
from erasure.stores.model_registry.manifest import Hasher, Manifest, Retrained
from erasure.stores.model_registry.training import Made, Training
from erasure.stores.trained import Order

_IN_PLACE: frozenset[Action] = frozenset({"unlearn", "retrain_shards", "approximate"})
_NOTICE = timedelta(days=14)  # before the last day of an assessment
_STAYS: frozenset[Action] = frozenset({"none", "refer", "quarantine", "filter"})


def holders(folder: ModelFolder, people: frozenset[str]) -> dict[str, Manifest]:
    """The versions in whose training any of these keyed hashes was, or may have been; not those
    that are assessed as anonymous to this day."""
    today = training.now().date()
    exempt = {v for v, until in folder.exempt().items() if date.fromisoformat(until) >= today}
    return {
        v: m
        for v, m in folder.manifests().items()
        if v not in exempt and people and (m.inferred or not people.isdisjoint(m.people))
    }


def carry_out(folder: ModelFolder, order: Order, hasher: Hasher) -> Mapping[str, Manifest]:
    """Make every version that knew the people go, and where the current one did, put a version in
    its place that does not know them. Returns the versions removed now. Raises StoreError, and
    then the current version is what it was.
    """
    with folder.locked():
        folder.sweep()
        _note(folder, order)
        gone = {
            v: m
            for v, m in holders(folder, order.people).items()
            if order.actions.get(v, "retrain") not in _STAYS
        }
        current = folder.in_place()
        if current in gone:
            heir = None
            if order.actions.get(current) != "delete":
                heir = _heir(folder, current, order.people, order.accepted) or _replacement(
                    folder, gone[current], order, hasher
                )
            if heir is not None:
                external.clear(order.dataset.model.get("recipe"), order.job)
            if heir is not None and order.propose and heir != order.accepted:
                return {}
            if heir is not None and order.keep_until is not None:
                folder.note(KEPT, {**folder.kept(), current: order.keep_until.isoformat()})
                del gone[current]
            folder.point(heir)
        if gone:
            _remember(folder, order.people)
            folder.remove(gone)
            folder.note(QUARANTINE, without(folder.quarantined(), gone))
            folder.note(EXEMPT, without(folder.exempt(), gone))
            folder.note(KEPT, without(folder.kept(), gone))
        return gone


def proposed(folder: ModelFolder, people: frozenset[str]) -> str | None:
    """The version that waits to take the place of the current one, None without one."""
    current = folder.in_place()
    if current is None or current not in holders(folder, people):
        return None
    return _heir(folder, current, people)


def take_back(folder: ModelFolder, new: str, old: str) -> None:
    """The old version is served again, if it is there and kept. Raises StoreError where it has
    gone; then the new one stays."""
    with folder.locked():
        if old not in folder.versions():
            raise StoreError(folder.place, f"version {old} is gone; there is no way back")
        kept_lines = {v: until for v, until in folder.kept().items() if v != old}
        if folder.current() == new:
            folder.point(old)
        folder.note(KEPT, kept_lines)


def release(folder: ModelFolder, version: str) -> None:
    """A version that was out of service loads again, and is served where nothing else is. Raises
    StoreError where it is not out of service, or holds somebody who was forgotten meanwhile."""
    with folder.locked():
        out = folder.quarantined()
        if version not in out or version not in folder.versions():
            raise StoreError(folder.place, f"version {version} is not out of service")
        if again := len(folder.forgotten().keys() & folder.manifest(version).people.keys()):
            told = f"version {version} holds {again} people who were forgotten"
            raise StoreError(folder.place, told)
        folder.note(QUARANTINE, {v: why for v, why in out.items() if v != version})
        if folder.current() is None:
            folder.point(version)


def without(lines: Mapping[str, str], gone: Mapping[str, Manifest]) -> dict[str, str]:
    """The notes about versions that are still there."""
    return {version: text for version, text in lines.items() if version not in gone}


def _remember(folder: ModelFolder, people: frozenset[str]) -> None:
    """By the keyed hashes that manifests know them by: a version that holds one of them again is
    an alarm."""
    known = folder.forgotten()
    today = training.now().date().isoformat()
    folder.note(FORGOTTEN, {**dict.fromkeys(people, today), **known})


def _note(folder: ModelFolder, order: Order) -> None:
    """Take out of service, and mark as anonymous, what was decided to be."""
    out = {v for v, action in order.actions.items() if action == "quarantine"}
    if out:
        if folder.current() in out:
            folder.point(None)
        reasons = {v: order.reasons.get(v, "") for v in out}
        folder.note(QUARANTINE, {**folder.quarantined(), **reasons})
    until = order.policy.anonymous_until
    refer = {v for v, action in order.actions.items() if action == "refer"}
    if until and refer:
        folder.note(EXEMPT, {**folder.exempt(), **dict.fromkeys(refer, until.isoformat())})


def _heir(
    folder: ModelFolder, current: str, people: frozenset[str], accepted: str = ""
) -> str | None:
    """A replacement that only has to be pointed at: the one that was accepted, else the latest
    that waits or was finished just before a crash."""
    accepted_last = sorted(folder.manifests().items(), key=lambda each: each[0] == accepted)
    for version, found in reversed(accepted_last):
        replaced = found.replaces
        if replaced is None or replaced.old != current or not people.isdisjoint(found.people):
            continue
        if artifact.sha256(folder.path / version / ARTIFACT) == found.artifact:
            return version
    return None


def _replacement(folder: ModelFolder, old: Manifest, order: Order, hasher: Hasher) -> str | None:
    """In place where that was decided and holds what it promises, else by a full training. None
    where nobody would be left: there is nothing to serve then."""
    if not old.inferred and not old.people.keys() - order.people:
        return None
    before = _old(folder, old, hasher)
    action = order.actions.get(old.version, "retrain")
    fell_back = before.why
    if action in _IN_PLACE:
        try:
            return _in_place(folder, before, order, hasher, action)
        except NothingLeft:
            return None
        except CannotForget as error:
            fell_back = str(error)
            if order.in_place_only:
                why = f"they cannot be taken out in place ({error}), and trained again"
                raise StoreError(folder.place, f"{why} {order.in_place_only}") from None
            before = _old(folder, old, hasher)  # the estimator may have changed meanwhile
    new, checked, repeated = _retrained(folder, before, order, hasher)
    told = _retold(old, new.manifest, checked, order.policy.metric)
    told = replace(told, action=action, fell_back=fell_back, doubts="; ".join(checked.doubts))
    if not repeated:
        told = replace(told, guarantee=GUARANTEES[1], reexecution_matched=False)
    training.add(folder, replace(new, manifest=replace(new.manifest, replaces=told)), hasher)
    return new.manifest.version


def _old(folder: ModelFolder, old: Manifest, hasher: Hasher) -> Old:
    place = f"{folder.place}, version {old.version}"
    path = folder.path / old.version
    why, estimator = "", None
    try:
        estimator = artifact.load(place, path / ARTIFACT, old.artifact)
    except StoreError as error:
        why = str(error)
    return Old(
        manifest=old, estimator=estimator, rows=kept.read(place, path / ROWS, hasher), why=why
    )


def _in_place(folder: ModelFolder, old: Old, order: Order, hasher: Hasher, action: Action) -> str:
    """Raises CannotForget where it cannot be shown that it is as promised."""
    place, people = folder.place, order.people
    trained = None
    recipe = order.dataset.model.get("recipe")
    if recipe and not external.is_external(recipe):
        trained = training.prepared(
            folder, training.how_of(place, old.manifest, order.dataset), people
        )
        forgetting.require_clean(place, trained, old.manifest, people, hasher)
    done = forgetting.forgotten(folder, old, people, hasher, trained)
    # the estimator has changed: what it answered before is asked of the file again
    before = _old(folder, old.manifest, hasher)
    checked = checking.check(place, before, done.made, people, order.policy)
    if wrong := [*checked.problems, *checked.doubts]:
        raise CannotForget("; ".join(wrong))
    told = replace(
        _retold(old.manifest, done.made.manifest, checked, order.policy.metric),
        action=action,
        method=done.method,
        guarantee=done.guarantee,
        reexecution_matched=bool(done.repeated),
        certificate=done.certificate,
        checks={**checked.found, "audit": dict(done.audit)},
    )
    if done.guarantee == GUARANTEES[-1]:
        since = empirical_since(old.manifest) or done.made.manifest.trained_at
        told = replace(told, empirical_since=since)
    made = replace(done.made, manifest=replace(done.made.manifest, replaces=told))
    training.add(folder, made, hasher)
    return made.manifest.version


def _retrained(
    folder: ModelFolder, old: Old, order: Order, hasher: Hasher
) -> tuple[Made, Checked, bool]:
    """1. train on what the data hold now, 2. nobody excluded is in it, 3. train again, where that
    can be asked: the same bytes, 4. good enough. Returns whether it was trained again."""
    repeated: bool | None = True
    if external.is_external(order.dataset.model.get("recipe")):
        new, repeated = delivered.trained(folder, old.manifest, order, hasher)
    else:
        how = training.how_of(folder.place, old.manifest, order.dataset)
        new = training.train(folder, how, hasher, training.now, order.people)
        forgetting.require_clean(folder.place, new.trained, new.manifest, order.people, hasher)
        _require_same(folder, how, hasher, new, order.people)
    if not repeated and order.policy.guarantee == GUARANTEES[0]:
        raise StoreError(
            folder.place, "its policy demands a bit-exact training, and this cannot be repeated"
        )
    checked = checking.check(folder.place, old, new, order.people, order.policy)
    if checked.problems:
        raise StoreError(folder.place, "; ".join(checked.problems))
    return new, checked, bool(repeated)


def _require_same(
    folder: ModelFolder, how: Training, hasher: Hasher, new: Made, people: frozenset[str]
) -> None:
    again = training.train(folder, how, hasher, training.now, people).manifest
    made = new.manifest
    if (again.artifact, again.data, again.people) != (made.artifact, made.data, made.people):
        raise StoreError(
            folder.place,
            "training twice gave two models; fix the recipe's random_state, n_jobs and row order",
        )


def _retold(old: Manifest, new: Manifest, checked: Checked, metric: str) -> Retrained:
    return Retrained(
        old=old.version,
        new=new.version,
        old_artifact=old.artifact,
        new_artifact=new.artifact,
        old_people_root=old.people_root,
        new_people_root=new.people_root,
        old_people=len(old.people),
        new_people=len(new.people),
        old_data=old.data,
        new_data=new.data,
        reexecution_matched=True,
        metric=metric,
        utility_before=checked.before,
        utility_after=checked.after,
        checks=checked.found,
    )


def ending(folder: ModelFolder, policy: ModelPolicy) -> Iterator[str]:
    """Versions that people were left in because they counted as anonymous, where the last day is
    near or over: an assessment that was renewed in the catalogue goes on as long as that."""
    today, renewed = training.now().date(), policy.anonymous_until
    for version, noted in folder.exempt().items():
        until = date.fromisoformat(noted)
        if policy.assessment and renewed is not None:
            until = max(until, renewed)
        what = f"assess version {version} again, or retire it"
        if until < today:
            told = "its day is over and whoever was to be forgotten is still in it"
            yield f"version {version} counted as anonymous until {until}: {told}; {what}"
        elif until <= today + _NOTICE:
            yield f"version {version} counts as anonymous until {until}; {what}"


def empirical_since(found: Manifest) -> str:
    """When somebody was first taken out approximately since the last training (ISO): a further
    step renews nothing. Empty where nobody was."""
    if found.replaces is None or found.replaces.guarantee != GUARANTEES[-1]:
        return ""
    return found.replaces.empirical_since or found.trained_at


def is_over(found: Manifest, policy: ModelPolicy) -> bool:
    """Whether people were taken out approximately, and the next training should have been."""
    return trusted_no_more(empirical_since(found), policy, training.now())


def plain(replaced: Retrained | None) -> dict[str, Any]:
    """What took the place of what, without what is empty."""
    return {k: v for k, v in asdict(replaced).items() if v not in ("", {})} if replaced else {}


def report(folder: ModelFolder) -> dict[str, Any]:
    """What the current version replaced, and every version that is gone, without floats."""
    current = folder.current()
    told = plain(folder.manifest(current).replaces if current else None)
    removed = sorted(folder.retired())
    return {**told, "removed": removed} if removed else told if folder.kept() else {}
