"""What a run makes random values by: sealed, so that a second execution makes the same."""

from __future__ import annotations

import os
from collections.abc import Iterable
from uuid import UUID

from erasure import vault
from erasure.domain.steps import KEPT, Step
from erasure.models import Run
from erasure.runs.journal import RunStep

_SEED = 32  # bytes


def new_seed(run_id: UUID, steps: Iterable[RunStep]) -> bytes:
    """A seed, sealed under a key of the run's own; nothing, and no key, where no step makes a value
    that has to come out the same when it is made again."""
    if not any(_makes_values(s.step) for s in steps):
        return b""
    (key,) = vault.new_keys(run_id, ("run",))
    return vault.seal(key, os.urandom(_SEED), label=f"seed:{run_id}")


def seed_of(run: Run, steps: Iterable[RunStep]) -> bytes:
    """What the steps of a run make values by; where none does, nothing that anybody could guess.
    Raises KeyDestroyed."""
    needed = any(_makes_values(s.step) for s in steps)
    return open_seed(run) if needed else os.urandom(_SEED)


def _makes_values(step: Step) -> bool:
    """Unless rows only go or stay, also when what a step stands still for is done in its place."""
    plain = step.action == "delete" or step.action in KEPT
    held = step.held is not None and _makes_values(step.held)
    return held or bool(step.ghost or step.redact) or not plain


def open_seed(run: Run) -> bytes:
    """The run's sealed seed, 32 bytes."""
    return vault.unseal(vault.open_key(run.id, "run"), run.sealed_seed, label=f"seed:{run.id}")
