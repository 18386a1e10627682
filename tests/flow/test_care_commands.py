"""After care by command: cases found, reopened, complained of; nothing typed comes back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from erasure.flow import decide
from erasure.models import Complaint, ErasureRequest, Reasoning, StaffTraining
from erasure.runs import complaints, reasoning
from tests.flow.cast import NEIGHBOUR, OFFICER, SUBJECT
from tests.flow.deeds import identified, planned
from tests.flow.test_roles import everything

pytestmark = pytest.mark.usefixtures("memory_shop")


def said(*arguments: str) -> str:
    """What a command writes."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    assert SUBJECT not in out.getvalue()
    return out.getvalue()


@pytest.fixture
def refused(memory_shop: object) -> ErasureRequest:
    return decide.refuse_request(planned(SUBJECT), by=OFFICER, because="not a customer")


def test_a_person_is_found_by_what_is_typed_or_piped(
    refused: ErasureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(refused.pk) in said("find_cases", f"email={SUBJECT}")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\nemail={SUBJECT}\n"))
    assert str(refused.pk) in said("find_cases", "-")
    assert "no case knows" in said("find_cases", "email=x@example.com")


def test_a_case_is_reopened_with_its_reason_from_a_file(
    refused: ErasureRequest, tmp_path: Path
) -> None:
    why = tmp_path / "why.txt"
    why.write_text("seen in a newsletter")
    call = ["reopen_case", str(refused.pk), f"email={SUBJECT}", "--why", "seen_again"]
    assert "reopened" in said(*call, "--because", f"@{why}")
    assert reasoning.read(Reasoning.objects.get(about="reopening")) == "seen in a newsletter"


def test_a_second_request_of_a_person_is_linked_to_the_first_and_to_no_strangers(
    memory_shop: object,
) -> None:
    first, second = planned(SUBJECT, "a@example.org"), identified(("email", SUBJECT))
    stranger, before = str(planned(NEIGHBOUR).pk), everything()
    for of in (stranger, str(second.pk), "nonsense"):
        with pytest.raises(CommandError):
            call_command("link_duplicate", str(second.pk), of=of)
    assert everything() == before
    assert str(first.pk) in said("link_duplicate", str(second.pk), "--of", str(first.pk))
    second.refresh_from_db()
    assert (second.state, second.duplicate_of) == ("duplicate", first.pk)


@pytest.mark.parametrize(
    "wrong",
    [
        ["nonsense", f"email={SUBJECT}", "--why", "seen_again", "--because", "x"],
        ["CASE", "email=x@example.com", "--why", "seen_again", "--because", "x"],
        ["CASE", SUBJECT, "--why", "seen_again", "--because", "x"],
        ["CASE", f"email={SUBJECT}", "--why", "complaint", "--because", "x"],
        ["CASE", f"email={SUBJECT}", "--why", "seen_again", "--because", "@/nowhere/at/all"],
    ],
)
def test_what_cannot_be_reopened_is_told_in_one_line(
    refused: ErasureRequest, wrong: list[str]
) -> None:
    before = everything()
    arguments = [str(refused.pk) if word == "CASE" else word for word in wrong]
    with pytest.raises(CommandError) as told:
        call_command("reopen_case", *arguments)
    assert told.value.returncode == 2
    assert SUBJECT not in str(told.value)
    assert everything() == before


def test_a_complaint_goes_from_its_receipt_to_its_answer(refused: ErasureRequest) -> None:
    opened = said(
        "complaints", "open", "--about", str(refused.pk), "--law", "uk", "--received",
        "2026-03-02", "--because", f"{SUBJECT} waits",
    )  # fmt: skip
    assert "confirm by 2026-04-01" in opened
    assert said("complaints") == opened
    number = str(Complaint.objects.get().pk)
    assert "acknowledged" in said("complaints", "acknowledge", number)
    answer = ["--verdict", "partly_upheld", "--because", "we were late"]
    assert "answered (partly_upheld)" in said("complaints", "answer", number, *answer)
    assert said("complaints") == ""
    assert complaints.read(Complaint.objects.get())[1] == "we were late"
    with pytest.raises(CommandError):
        call_command("complaints", "withdraw", number)
    with pytest.raises(CommandError, match="no complaint"):
        call_command("complaints", "withdraw", "nonsense")
    with pytest.raises(CommandError, match="received: must be a day"):
        call_command("complaints", "open", "--law=uk", "--because=x", "--received=soon")


def test_the_training_log_is_added_to_and_listed() -> None:
    add = ["staff_training", "--add", "olga", "requests by phone"]
    told = said(*add, "--on", "2026-01-02", "--next", "2026-02-02")
    assert "2026-01-02  olga  requests by phone  next 2026-02-02" in told
    assert "people: 1; entries: 1; to be trained again: 1" in told
    with pytest.raises(CommandError, match="on record already"):
        call_command(*add, "--on", "2026-01-02")
    assert StaffTraining.objects.count() == 1
