"""Which letters fit, and what may be written into them."""

from __future__ import annotations

import pytest

from erasure.domain import letters, states
from erasure.domain.errors import UsageError
from erasure.domain.identity import RIGHTS
from erasure.domain.letters import KINDS, Situation, fitting


def codes(state: str, right: str = "erasure", **more: bool) -> set[str]:
    return {kind.code for kind in fitting(Situation(state=state, right=right, **more))}


def test_there_are_the_sixteen_of_the_law_two_about_complaints_and_an_answer() -> None:
    assert [kind.number for kind in KINDS.values()] == list(range(1, 20))
    for kind in KINDS.values():
        assert kind.states <= states.REQUEST.keys(), kind.code


@pytest.mark.parametrize(
    ("state", "fit"),
    [
        ("received", {"confirm_email", "acknowledgment", "clarification", "fee"}),
        (
            "identity_required",
            {
                "confirm_email",
                "acknowledgment",
                "identity_request",
                "clarification",
                "fee",
                "restriction_lifted",
            },
        ),
        ("refused", {"refusal", "restriction_lifted"}),
        ("unidentifiable", {"unidentifiable", "restriction_lifted"}),
        ("no_data", {"no_data", "restriction_lifted"}),
        ("partly_granted", {"partial", "controller_notice", "restriction_lifted"}),
        ("completed", {"completion", "controller_notice", "restriction_lifted"}),
        ("awaiting_copies", {"completion", "controller_notice", "restriction_lifted"}),
    ],
)
def test_a_state_has_its_letters(state: str, fit: set[str]) -> None:
    assert codes(state) == fit


@pytest.mark.parametrize("state", sorted(states.REQUEST.keys() - letters.VERIFIED))
def test_nothing_is_called_erased_before_it_was_verified(state: str) -> None:
    claims = {"completion", "partial", "recipient_notice", "reminder"}
    assert not claims & codes(state, to_tell=True, to_remind=True, extended=True)


OTHERS = [right for right in RIGHTS if right != "erasure"]


@pytest.mark.parametrize("right", OTHERS)
def test_nothing_is_called_erased_where_nobody_asked_for_it(right: str) -> None:
    erasing = {"partial", "completion", "recipient_notice", "controller_notice", "reminder"}
    for state in states.REQUEST:
        everything = codes(state, right, to_tell=True, to_remind=True, extended=True)
        assert not erasing & everything, state
        assert ("answer" in everything) == (state == "answered")
        assert "answer" not in codes(state)


@pytest.mark.parametrize(
    ("code", "rights"),
    [
        ("no_data", {"erasure", "access", "portability"}),
        ("restriction_lifted", {"erasure", "restriction"}),
        ("refusal", set(RIGHTS)),
    ],
)
def test_a_letter_fits_only_the_rights_it_speaks_of(code: str, rights: set[str]) -> None:
    (state, *_) = KINDS[code].states
    assert {right for right in RIGHTS if code in codes(state, right)} == rights


def test_why_a_letter_does_not_fit_another_right_is_said() -> None:
    said = letters.why_not(KINDS["no_data"], Situation(state="no_data", right="objection"))
    assert said == "does not fit a case about objection"


def test_an_extension_is_told_only_once_there_is_one() -> None:
    assert "extension" not in codes("planned")
    assert "extension" in codes("planned", extended=True)
    assert "extension" not in codes("refused", extended=True)


def test_letters_about_a_complaint_need_one_in_whatever_state_the_case_is() -> None:
    for state in states.REQUEST:
        about = {"complaint_receipt", "complaint_answer"}
        assert not about & codes(state)
        assert about & codes(state, complaint=True) == {"complaint_receipt"}
        assert about & codes(state, answered=True) == {"complaint_answer"}
    assert not about & codes("received", complaint=True, answered=True, replay=True)


def test_a_recipient_is_told_once_and_reminded_until_they_answer() -> None:
    assert "recipient_notice" in codes("completed", to_tell=True)
    assert "reminder" not in codes("completed", to_tell=True)
    assert "reminder" in codes("completed", to_remind=True)


def test_a_case_that_a_restore_opened_has_the_alert_and_no_letter_to_anybody() -> None:
    for state in states.REQUEST:
        assert codes(state, replay=True, to_tell=True, extended=True) == {"restore_alert"}
        assert "restore_alert" not in codes(state)


def test_every_letter_can_be_greeted_and_added_to() -> None:
    for kind in KINDS.values():
        assert next(iter(kind.blocks)) == "greeting"
        assert list(kind.blocks)[-1] == "more"


@pytest.mark.parametrize(
    "text",
    [
        "Ann\nBcc: all@example.com",
        "Ann\r\nBcc: all@example.com",
        "Ann\rBcc",
        "Ann\x0bBcc",
        "Ann\x85Bcc",
        "Ann\u2028Bcc",
        "Ann\x00",
        "Ann\x1b[31m",
        "\u202egro.elpmaxe",
        "\ue000number\ue000",
        "x" * 201,
    ],
)
def test_a_line_that_could_become_two_or_lie_is_refused_by_field(text: str) -> None:
    with pytest.raises(UsageError, match=r"^blocks\.greeting: ") as caught:
        letters.checked_blocks(KINDS["refusal"], {"greeting": text})
    assert "Bcc" not in str(caught.value)


def test_a_text_may_have_lines_but_no_control_character() -> None:
    kind = KINDS["refusal"]
    given = {"reasons": " one\r\n\r\ntwo\u00a0: été ", "greeting": "Día\u00ads,"}
    assert letters.checked_blocks(kind, given) == {
        "reasons": "one\n\ntwo\u00a0: été",
        "greeting": "Día\u00ads,",
    }
    for text in ("a\x07b", "a\rb", "x" * 10_001):
        with pytest.raises(UsageError, match=r"^blocks\.reasons: "):
            letters.checked_blocks(kind, {"reasons": text})


def test_a_block_that_the_letter_does_not_have_and_one_that_is_missing_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^blocks: refusal has no such block"):
        letters.checked_blocks(KINDS["refusal"], {"price": "5"})
    with pytest.raises(UsageError, match=r"^blocks\.amount: is missing"):
        letters.missing_blocks(
            KINDS["fee"], {"greeting": "Hello", "reasons": "x", "payment": "x", "amount": "  "}
        )
    letters.missing_blocks(KINDS["acknowledgment"], {"greeting": "Hello", "more": ""})


def test_no_other_letter_is_known() -> None:
    with pytest.raises(UsageError, match=r"^code: no such letter"):
        letters.kind_of("../../secrets")
