"""What a verified case has come to."""

from __future__ import annotations

from erasure.domain.outcome import Done, outcome_of

DELETED = Done(action="delete", rows=3, residue="purged")
KEPT = Done(action="retain", rows=1, residue="retained_until")
COPY = Done(action="expire", rows=0, residue="expires_on")


def outcome(*steps: Done, verdicts: tuple[str, ...] = (), verifiable: bool = True) -> str:
    return outcome_of(steps, verdicts, verifiable=verifiable, rescan_due=False)[0]


def test_residue_blocks_whatever_else_was_done() -> None:
    assert outcome(DELETED, verdicts=("shared", "residue")) == "blocked"


def test_nothing_to_search_by_is_unverifiable_and_never_clean() -> None:
    assert outcome(DELETED, verifiable=False) == "blocked"


def test_a_due_rescan_is_said_before_anything_that_stays() -> None:
    due = outcome_of([DELETED, KEPT, COPY], (), verifiable=True, rescan_due=True)
    assert due[0] == "awaiting_rescan"


def test_a_living_copy_outranks_what_the_law_keeps() -> None:
    assert outcome(DELETED, KEPT, COPY) == "awaiting_copies"


def test_retained_rows_make_it_partly_granted_and_none_do_not() -> None:
    assert outcome(DELETED, KEPT) == "partly_granted"
    assert outcome(DELETED, Done(action="retain", rows=0, residue="clean")) == "completed"


def test_shared_values_do_not_stand_in_the_way() -> None:
    assert outcome(DELETED, verdicts=("shared", "retained")) == "completed"


def test_what_an_earlier_case_has_left_is_not_all_erased() -> None:
    found = outcome_of([DELETED], (), verifiable=True, rescan_due=False, left_before=True)
    assert found == (
        "partly_granted",
        "erased, except what an earlier case keeps until its own day",
    )
    copies = outcome_of([COPY], (), verifiable=True, rescan_due=False, left_before=True)
    assert copies[0] == "awaiting_copies"
