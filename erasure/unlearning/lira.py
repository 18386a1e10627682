"""The likelihood-ratio attack: stronger than a threshold on the loss, and dearer by one training
per reference model.

Source: Carlini et al., "Membership Inference Attacks From First Principles" (2022), its online
form, per person rather than per row. Each reference model is trained on half of the people; how
confident those are that knew a person, and those that did not, are two normal distributions, and
the model under attack is held against both. With few references the variances are shared by all
people, as the paper does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from erasure.unlearning import audit
from erasure.unlearning.audit import Floats, Membership, Sample

Train = Callable[[Floats, NDArray[Any]], Any]
REFERENCES = 16
_CERTAIN = 1e-3  # a probability counts as no nearer to 1: the tails would hide everything else
_SMALLEST = 1e-12


def likelihood_ratio(
    model: Any,
    train: Train,
    *,
    forgotten: Sample,
    members: Sample,
    others: Sample,
    references: int = REFERENCES,
    seed: int = 0,
) -> Membership:
    """Attack a model with ``references`` (an even number, at least 4) models that ``train`` fits
    to rows and targets; nobody may stand in two of the samples. Raises ValueError otherwise."""
    samples = (members, others, forgotten)
    names = [np.unique(np.asarray(list(map(str, s.people)))) for s in samples]
    everybody = np.concatenate(names)
    if references < 4 or references % 2:
        raise ValueError(f"references: {references} is no even number of at least 4")
    if len(np.unique(everybody)) != len(everybody):
        raise ValueError("somebody stands in two of the samples")
    rng = np.random.default_rng(seed)
    # each person is known to exactly half of the references
    knows = rng.random((references, len(everybody))).argsort(axis=0) < references // 2
    told = np.stack([_confidences(_reference(train, samples, everybody[k]), samples)
                     for k in knows])  # fmt: skip
    ratio = _ratio(_confidences(model, samples), told, knows)
    known, never, gone = np.split(-ratio, np.cumsum([len(n) for n in names])[:-1])
    return audit.compared(known, never, gone)


def _reference(train: Train, samples: tuple[Sample, ...], people: NDArray[Any]) -> Any:
    chosen = [np.isin(np.asarray(list(map(str, s.people))), people) for s in samples]
    pairs = list(zip(samples, chosen, strict=True))
    features = np.concatenate([s.features[c] for s, c in pairs if c.any()])
    return train(features, np.concatenate([s.target[c] for s, c in pairs if c.any()]))


def _confidences(model: Any, samples: tuple[Sample, ...]) -> Floats:
    """Per person the mean logit of the true class's probability; where a model tells none, the
    loss with its sign turned."""
    found = []
    for sample in samples:
        each = np.zeros(0)
        if len(sample.features):
            each = -audit.losses(model, sample.features, sample.target)
        if is_classifier(model) and hasattr(model, "predict_proba"):
            each = each - np.log(np.maximum(-np.expm1(each), _CERTAIN))
        found.append(audit.per_person(sample, each))
    return np.concatenate(found)


def _ratio(seen: Floats, told: Floats, knows: NDArray[np.bool_]) -> Floats:
    """The log of how much likelier ``seen`` (people) is of a model that knew the person, by the
    references' ``told`` (references × people)."""
    likelihoods = []
    for side in (knows, ~knows):
        mean = np.mean(told, axis=0, where=side)
        variance = max(float(np.mean((told - mean) ** 2, where=side)), _SMALLEST)
        likelihoods.append(-((seen - mean) ** 2) / variance - np.log(variance))
    return np.asarray((likelihoods[0] - likelihoods[1]) / 2)
