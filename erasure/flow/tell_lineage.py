"""Runs of erasures are told to the lineage backend: which datasets were touched, and no person.

From the state of the database alone, so that nothing is told twice and nothing is missed: a run
has the same id and the same two events whenever they are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from erasure.models import Run
from erasure.runs.journal import run_steps
from lineage import outbox, selectors
from lineage.emitting import State, Touched, run_event

# Who switches it on is not told of what was years ago.
_BACK = timedelta(days=30)
_ENDED: dict[str, State] = {"finished": "COMPLETE", "abandoned": "ABORT"}


def tell_runs() -> int:
    """Put what the backend has not been told of runs into the outbox; returns how many events."""
    if not settings.LETHE_OPENLINEAGE_URL:
        return 0
    runs = Run.objects.filter(started_at__gte=timezone.now() - _BACK).order_by("started_at")
    due = {key: about for run in runs.defer("steps", "sealed_seed") for key, about in _due(run)}
    fresh = [key for key in due if key not in outbox.known(due)]
    return sum(_put(key, *due[key]) for key in fresh)


def _due(run: Run) -> Iterator[tuple[str, tuple[Run, State, datetime]]]:
    yield f"{run.id}:START", (run, "START", run.started_at)
    state = _ENDED.get(run.state)
    if state:
        yield f"{run.id}:END", (run, state, run.finished_at or timezone.now())


def _put(key: str, run: Run, state: State, at: datetime) -> bool:
    body = run_event(str(run.id), state=state, at=at, touched=_touched(run))
    return outbox.put(key, body)


def _touched(run: Run) -> list[Touched]:
    actions: dict[str, list[str]] = {}
    for one in run_steps(run):
        actions.setdefault(one.step.dataset.address, []).append(one.step.action)
    names = selectors.names_in_events(actions)
    return [
        Touched(
            namespace=names[address][0],
            name=names[address][1],
            actions=tuple(sorted(set(taken))),
        )
        for address, taken in sorted(actions.items())
    ]
