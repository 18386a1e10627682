"""What a new version has to pass before it is used: figures, slices, drift, and an attack."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from erasure.domain.errors import StoreError
from erasure.domain.models import ModelPolicy
from erasure.stores.model_registry import recipe, training
from erasure.stores.model_registry.kept import KeptRows
from erasure.stores.model_registry.manifest import Manifest
from erasure.stores.model_registry.recipe import Held
from erasure.stores.model_registry.training import Made

_MOST_ROWS = 20_000  # of a kind, that the attack looks at


@dataclass(frozen=True, kw_only=True)
class Old:
    """The version that is to be replaced. ``estimator``: None where it cannot be loaded, and
    ``why``; ``rows``: those it was trained on, where they were kept."""

    manifest: Manifest
    estimator: Any = None
    rows: KeptRows | None = None
    why: str = ""


@dataclass(kw_only=True)
class Checked:
    """``found``: what was measured, as texts; ``problems``: why the version may not be used;
    ``doubts``: why one that was not trained from the start may not be used, and the owner of one
    that was has to be told."""

    found: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


def check(place: str, old: Old, new: Made, people: Collection[str], policy: ModelPolicy) -> Checked:
    """Compare, attack, and say what is wrong; what could not be measured is said, too."""
    checked = Checked()
    _shape(old.estimator, new.estimator, checked)
    if checked.problems:
        return checked
    _utility(place, old, new, policy, checked)
    held = new.trained.held
    if old.why:
        checked.found["old_artifact"] = old.why
    if held is None or not len(held.rows.target):
        checked.found["slices"] = checked.found["drift"] = "not measured: nothing was held out"
    elif old.estimator is None:
        checked.found["slices"] = checked.found["drift"] = "not measured: no old version to ask"
    else:
        with recipe.one_thread(place):
            _slices(old.estimator, new.estimator, held, policy, checked)
            _drift(old.estimator, new.estimator, held, policy, checked)
    with recipe.one_thread(place):
        _membership(old, new, people, policy, checked)
    return checked


def _shape(old: Any, new: Any, checked: Checked) -> None:
    """Whoever asks the model must be able to ask the new one alike: as many features, the same
    classes, the same answers."""
    if old is None:
        return
    for name, what in (("n_features_in_", "features"), ("n_outputs_", "outputs")):
        before, after = getattr(old, name, None), getattr(new, name, None)
        if before is not None and before != after:
            checked.problems.append(f"the new model takes {after} {what}, not {before}")
    known, classes = getattr(old, "classes_", None), getattr(new, "classes_", None)
    if (known is None) != (classes is None):
        checked.problems.append("the new model answers with another kind of thing")
    elif known is not None and set(classes) - set(known):  # type: ignore[arg-type]
        checked.problems.append("the new model knows classes that the old one did not")


def _utility(place: str, old: Old, new: Made, policy: ModelPolicy, checked: Checked) -> None:
    name, score = policy.metric, new.trained.score
    if not name:
        return
    figures: Mapping[str, float] = old.manifest.metrics
    if score is not None and old.estimator is not None:
        figures = training.metrics(place, new.trained, old.estimator)
    if name not in new.manifest.metrics or name not in figures:
        raise StoreError(place, f"the recipe gives no figure for model.utility.metric '{name}'")
    before, after = figures[name], new.manifest.metrics[name]
    checked.before, checked.after = f"{before:.6f}", f"{after:.6f}"
    if policy.low is not None and after < policy.low:
        checked.problems.append(f"{name} would be {after:.4f}, below the minimum of {policy.low}")
    if policy.max_drop is not None and before - after > policy.max_drop:
        checked.problems.append(
            f"{name} would fall by {before - after:.4f}, more than {policy.max_drop}"
        )


def _slices(old: Any, new: Any, held: Held, policy: ModelPolicy, checked: Checked) -> None:
    import numpy as np

    from erasure.unlearning import audit

    features, target = (
        np.asarray(held.rows.features, dtype=np.float64),
        np.asarray(held.rows.target),
    )
    spread = float(np.var(target)) if target.dtype.kind == "f" else 1.0
    told = {}
    for name, mask in held.slices.items():
        chosen = np.asarray(mask, dtype=np.bool_)
        if not chosen.any():
            continue
        before, after = (
            audit.figure(m, features[chosen], target[chosen], spread) for m in (old, new)
        )
        told[name] = f"{before:.4f} → {after:.4f} of {int(chosen.sum())}"
        most = policy.max_slice_drop
        if most is not None and before - after > most:
            checked.problems.append(
                f"slice '{name}' would fall by {before - after:.4f}, more than {most}"
            )
    checked.found["slices"] = told or "not measured: no slices"


def _drift(old: Any, new: Any, held: Held, policy: ModelPolicy, checked: Checked) -> None:
    import numpy as np

    from erasure.unlearning import audit

    features = np.asarray(held.rows.features, dtype=np.float64)
    before, after = audit.answers(old, features), audit.answers(new, features)
    psi = audit.stability(before, after)
    ks = audit.kolmogorov_smirnov(before, after)
    checked.found["drift"] = {"psi": f"{psi:.4f}", "ks": f"{ks:.4f}"}
    if psi > policy.max_drift:
        checked.doubts.append(f"answers drift: index {psi:.3f}, more than {policy.max_drift}")


def _membership(
    old: Old, new: Made, people: Collection[str], policy: ModelPolicy, checked: Checked
) -> None:
    held, rows = new.trained.held, old.rows
    if held is None or rows is None:
        what = "nothing was held out" if held is None else "no rows of the people were kept"
        checked.found["membership_inference"] = f"not measured: {what}"
        return
    from erasure.unlearning import audit, lira

    sample = audit.Sample
    samples = {
        "forgotten": _sample(sample, rows.only(people), None),
        "members": _sample(sample, rows.without(people), _MOST_ROWS),
        "others": _sample(sample, held.rows, _MOST_ROWS),
    }
    found = {"membership_inference": audit.membership(new.estimator, **samples)}
    if policy.references:
        attack = partial(lira.likelihood_ratio, references=policy.references)
        try:
            found["likelihood_ratio"] = attack(new.estimator, _trained_alike(new), **samples)
        except ValueError as error:
            # half of the people may be of one class, or the same person may be held out
            checked.found["likelihood_ratio"] = f"not measured: {error}"
    for name, result in found.items():
        checked.found[name] = result.plain()
        if result.verdict == "failed":
            checked.doubts.append(f"{name.replace('_', ' ')} still recognises the people")
    if "likelihood_ratio" in found:
        checked.found["likelihood_ratio"]["references"] = str(policy.references)


def _sample(sample: Any, rows: Any, most: int | None) -> Any:
    return sample(
        features=rows.features[:most], target=rows.target[:most], people=rows.people[:most]
    )


def _trained_alike(new: Made) -> Any:
    """How a reference model is made: the same estimator, on other rows."""
    from sklearn.base import clone

    return lambda features, target: clone(new.estimator).fit(features, target)
