"""What a store of trained models offers beside the store protocol: facts for a decision, carrying
it out for everybody who waits, and taking a version out of service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from erasure.domain.models import Action, ModelPolicy, VersionFacts
from lineage.graph import Dataset


class Caller(Protocol):
    """How a pipeline elsewhere is reached: signed with ``secret``, as the catalogue names it;
    ``key`` makes a repeated call the same call. Raises StoreError, passing where a retry helps."""

    def post(self, url: str, body: bytes, *, secret: str, key: str) -> bytes:
        """The answer's body."""

    def get(self, url: str, *, secret: str, key: str) -> bytes:
        """The answer's body."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Forget ``people`` (keyed hashes, as in the keys that ``find`` gave) in one model.

    ``actions``: version → what was decided for it; ``reasons``: why. A version that knows them
    and is not named was trained meanwhile: it is treated as the current one is. ``job``: the name
    under which a training is asked for elsewhere; ``call``: how. ``propose``: make and verify the
    new version, and let it wait, unless it is ``accepted``, the version that the owner has said yes
    to. ``keep_until``: the version that was replaced is kept so long, and not served. ``begun``:
    the training that was begun elsewhere by an earlier call, as ``AtWork`` told it.
    ``in_place_only``: why a removal in place may not give way to a training.
    """

    dataset: Dataset
    people: frozenset[str]
    actions: Mapping[str, Action]
    policy: ModelPolicy
    reasons: Mapping[str, str]
    job: str = ""
    call: Caller | None = None
    propose: bool = False
    accepted: str = ""
    keep_until: datetime | None = None
    begun: Mapping[str, str] = field(default_factory=dict)
    in_place_only: str = ""


@runtime_checkable
class TrainsModels(Protocol):
    """A store of trained models that can forget people in them."""

    def facts(self, dataset: Dataset, people: Collection[str]) -> list[VersionFacts]:
        """One per version, oldest first; ``people`` are keyed hashes."""

    def carry_out(self, order: Order) -> dict[str, Any]:
        """Do what was decided; returns the evidence, as JSON without floats.

        Nothing is served that was not verified, and the current version stays as it is until the
        new one was: raises StoreError, and then it is what it was (AtWork: a
        pipeline elsewhere trains). Idempotent; a second call
        after a crash goes on. ``proposed`` in it: the version that waits; ``kept``: version → until
        when (ISO).
        """

    def records(self, dataset: Dataset) -> list[dict[str, Any]]:
        """What is known of each version, oldest first, without anybody in it: figures (as text),
        counts, digests, whether it is served."""

    def retire(self, dataset: Dataset, versions: Collection[str]) -> dict[str, Any]:
        """Take versions out for good, whoever is in them: ``record`` of what they were, every
        attempt at ``recovery``, and what is ``left``. Raises StoreError where one is not there,
        or comes back."""

    def take_back(self, dataset: Dataset, *, new: str, old: str) -> dict[str, Any]:
        """``new`` is not wanted: it is retired, as by :meth:`retire`, and ``old`` served again if
        it is kept. Raises StoreError where ``old`` is gone."""

    def release(self, dataset: Dataset, version: str) -> None:
        """A version that was taken out of service can be loaded again, and is served where nothing
        else is. Raises StoreError where it is not out of service, or holds somebody who was
        forgotten."""

    def provenance(self, dataset: Dataset, version: str, signed: Mapping[str, Any]) -> None:
        """Register beside a version where it came from, signed."""

    def key_of(self, dataset: Dataset) -> bytes:
        """The model's own key, under which its manifests know people."""

    def alarms(self, dataset: Dataset) -> list[str]:
        """What is wrong with a model by itself, in words: an artifact that was altered, a version
        whose manifest holds somebody who was forgotten, a version out of service."""
