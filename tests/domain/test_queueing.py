"""When the job of a model begins: for the earliest reason, and before the first deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from erasure.domain.models import ModelPolicy
from erasure.domain.queueing import Signal, Waiting, due, enough

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WAITING = Waiting(people=2, since=NOW, of=1000, deadline=NOW + 20 * DAY)


@pytest.mark.parametrize(
    ("policy", "more", "at", "why"),
    [
        (ModelPolicy(), {}, NOW, "on demand"),
        (ModelPolicy(every=7 * DAY), {}, NOW + 7 * DAY, "timetable"),
        (ModelPolicy(every=7 * DAY), {"last": NOW - 6 * DAY}, NOW + DAY, "timetable"),
        (ModelPolicy(every=90 * DAY), {}, NOW + 17 * DAY, "before the deadline"),
        (ModelPolicy(people=3), {}, NOW + 17 * DAY, "before the deadline"),
        (ModelPolicy(people=3), {"people": 3}, NOW, "3 people wait"),
        (ModelPolicy(share=0.002), {}, NOW, "the share of people who wait"),
        (ModelPolicy(share=0.1), {"deadline": None}, NOW, "no timetable"),
        (ModelPolicy(drift=0.2), {}, NOW + 17 * DAY, "before the deadline"),
        (
            ModelPolicy(every=90 * DAY, drift=0.2),
            {"signal": "its answers drift", "signalled": NOW + DAY},
            NOW + DAY,
            "its answers drift",
        ),
        (ModelPolicy(people=9), {"asked": True}, NOW, "asked for"),
        (
            ModelPolicy(people=9), {"seconds": 86400.0}, NOW + 14 * DAY,
            "before the deadline",
        ),
    ],
)  # fmt: skip
def test_a_job_begins_at_the_earliest_reason(
    policy: ModelPolicy, more: dict[str, object], at: datetime, why: str
) -> None:
    found = due(replace(WAITING, **more), policy)  # type: ignore[arg-type]
    assert (found.at, found.why) == (at, why)


@pytest.mark.parametrize(
    ("what", "figure", "policy", "words"),
    [
        ("drift", 0.31, ModelPolicy(drift=0.2), "its answers drift: 0.31, and 0.2 is enough"),
        ("drift", 0.2, ModelPolicy(drift=0.2), "its answers drift: 0.2, and 0.2 is enough"),
        ("drift", 0.19, ModelPolicy(drift=0.2), ""),
        ("drift", 9.0, ModelPolicy(new_data=0.1), ""),
        ("new_data", 0.1, ModelPolicy(new_data=0.1), "new data wait to be learnt: 0.1, and"),
        ("drift", float("nan"), ModelPolicy(drift=0.2), ""),
    ],
)
def test_a_signal_counts_where_the_policy_names_such_a_figure(
    what: Signal, figure: float, policy: ModelPolicy, words: str
) -> None:
    told = enough(what, figure, policy)
    assert told.startswith(words) if words else told == ""
