"""What a store of trained models offers beside the store protocol: facts for a decision, carrying
it out for everybody who waits, and taking a version out of service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from erasure.domain.models import Action, ModelPolicy, VersionFacts
from lineage.graph import Dataset


@dataclass(frozen=True, kw_only=True)
class Order:
    """Forget ``people`` (keyed hashes, as in the keys that ``find`` gave) in one model.

    ``actions``: version → what was decided for it; ``reasons``: why. A version that knows them
    and is not named was trained meanwhile: it is treated as the current one is.
    """

    dataset: Dataset
    people: frozenset[str]
    actions: Mapping[str, Action]
    policy: ModelPolicy
    reasons: Mapping[str, str]


@runtime_checkable
class TrainsModels(Protocol):
    """A store of trained models that can forget people in them."""

    def facts(self, dataset: Dataset, people: Collection[str]) -> list[VersionFacts]:
        """One per version, oldest first; ``people`` are keyed hashes."""

    def carry_out(self, order: Order) -> dict[str, Any]:
        """Do what was decided; returns the evidence, as JSON without floats.

        Nothing is served that was not verified, and the current version stays as it is until the
        new one was: raises StoreError, and then it is what it was. Idempotent; a second call
        after a crash goes on.
        """

    def records(self, dataset: Dataset) -> list[dict[str, Any]]:
        """What is known of each version, oldest first, without anybody in it: figures (as text),
        counts, digests, whether it is served."""

    def retire(self, dataset: Dataset, versions: Collection[str]) -> dict[str, Any]:
        """Take versions out for good, whoever is in them: ``record`` of what they were, every
        attempt at ``recovery``, and what is ``left``. Raises StoreError where one is not there,
        or comes back."""

    def alarms(self, dataset: Dataset) -> list[str]:
        """What is wrong with a model by itself, in words: an artifact that was altered, a version
        whose manifest holds somebody who was forgotten, a version out of service."""
