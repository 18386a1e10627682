"""The state tables themselves."""

from __future__ import annotations

import pytest

from erasure.domain import states

TABLES = {
    "request": states.REQUEST,
    "plan": states.PLAN,
    "run": states.RUN,
    "store_run": states.STORE_RUN,
    "batch": states.BATCH,
    "model_job": states.MODEL_JOB,
    "letter": states.LETTER,
    "complaint": states.COMPLAINT,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_move_leads_to_a_state_of_its_table(name: str) -> None:
    table = TABLES[name]
    assert {target for targets in table.values() for target in targets} <= table.keys()


def test_every_request_state_can_be_reached_from_receipt() -> None:
    reached, frontier = {"received"}, ["received"]
    while frontier:
        for target in states.REQUEST[frontier.pop()] - reached:
            reached.add(target)
            frontier.append(target)
    assert reached == states.REQUEST.keys()


def test_nothing_skips_approval() -> None:
    into_execution = {s for s, targets in states.REQUEST.items() if "executing" in targets}
    assert into_execution == {"approved", "blocked", "verifying"}
