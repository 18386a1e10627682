"""When the job of a model begins, and why then. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from erasure.domain.models import TRAININGS, ModelPolicy

Signal = Literal["drift", "new_data"]
SIGNALS: tuple[Signal, ...] = ("drift", "new_data")
_WORDS = {"drift": "its answers drift", "new_data": "new data wait to be learnt"}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Who waits for one model: how many ``people`` of how many in its training (``of``), ``since``
    when the first does, until when the first must be answered; when people were last taken out;
    what a training takes. ``asked``: somebody wants it now. ``signal``: what was told of drift or
    new data that is enough to train again, ``signalled`` when."""

    people: int
    since: datetime
    of: int = 0
    deadline: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0
    asked: bool = False
    signal: str = ""
    signalled: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Due:
    """When a job begins, and why then."""

    at: datetime
    why: str


def due(waiting: Waiting, policy: ModelPolicy) -> Due:
    """The earliest reason to begin. Without a batch policy that is at once; the earliest
    deadline, less margin and training, bounds every policy."""
    if waiting.asked:
        return Due(at=waiting.since, why="asked for")
    found = [*_batched(waiting, policy)]
    if waiting.signalled is not None:
        found.append(Due(at=waiting.signalled, why=waiting.signal))
    if not is_batched(policy):
        found.append(Due(at=waiting.since, why="on demand"))
    if waiting.deadline is not None:
        took = timedelta(seconds=waiting.seconds * TRAININGS)
        found.append(Due(at=waiting.deadline - policy.margin - took, why="before the deadline"))
    # Neither deadline nor timetable: nobody waits for ever.
    return min(found, key=lambda d: d.at) if found else Due(at=waiting.since, why="no timetable")


def _batched(waiting: Waiting, policy: ModelPolicy) -> list[Due]:
    found = []
    if policy.every:
        found.append(Due(at=(waiting.last or waiting.since) + policy.every, why="timetable"))
    if policy.people and waiting.people >= policy.people:
        found.append(Due(at=waiting.since, why=f"{waiting.people} people wait"))
    if policy.share and waiting.of and waiting.people / waiting.of >= policy.share:
        found.append(Due(at=waiting.since, why="the share of people who wait"))
    return found


def is_batched(policy: ModelPolicy) -> bool:
    """Whether its policy names anything that waiting people wait for."""
    return any(
        v is not None
        for v in (policy.every, policy.people, policy.share, policy.drift, policy.new_data)
    )


def enough(what: Signal, figure: float, policy: ModelPolicy) -> str:
    """Why a model is to be trained again on what was told: ``drift``, an index as its monitoring
    measures it; ``new_data``, new rows as a share of those it was trained on. Empty where its
    policy names no such figure, or a larger one."""
    least = policy.drift if what == "drift" else policy.new_data
    if least is None or not figure >= least:
        return ""
    return f"{_WORDS[what]}: {figure:g}, and {least:g} is enough"
