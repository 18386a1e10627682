"""Many requests from one file: checked whole, then recorded, and never a value in a message."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from erasure.models import ErasureRequest, Event, Identifier
from tests.flow.cast import NEIGHBOUR, SUBJECT

pytestmark = pytest.mark.usefixtures("memory_shop")


def file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """The text as a file."""
    path = folder / "people.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_dry_run_says_what_would_be_recorded_and_records_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("import_requests", str(file(tmp_path, f"email\n{NEIGHBOUR}\n")))
    path = file(tmp_path, f"email\n{SUBJECT}\n{SUBJECT.upper()}\n{NEIGHBOUR}\n")
    before = ErasureRequest.objects.count(), Event.objects.count()
    capsys.readouterr()
    call_command("import_requests", str(path), "--dry-run")
    assert "1 new, 1 with an open case, 1 twice in the file" in capsys.readouterr().out
    assert (ErasureRequest.objects.count(), Event.objects.count()) == before


def test_every_line_becomes_a_request_with_its_own_day_and_door(tmp_path: Path) -> None:
    text = (
        "\ufeffemail,phone,law,channel,received,asked_by,child\r\n"
        f"{SUBJECT},030 5550001,uk,post,2026-03-02,self,yes\r\n"
        f'"{NEIGHBOUR}",,,,,guardian,\r\n'
        ",,,,,,\r\n"
    )
    call_command("import_requests", str(file(tmp_path, text)), "--identified", "own list")
    one, other = ErasureRequest.objects.order_by("received_at")
    assert (one.law, one.channel, one.child, one.state) == ("uk", "post", True, "identified")
    assert timezone.localdate(one.received_at) == date(2026, 3, 2)
    assert one.identifiers.count() == 2
    assert (other.asked_by, other.state) == ("guardian", "received")  # a mandate is to be shown
    assert Identifier.objects.exclude(proved_by="").count() == 2


def test_without_a_check_everybody_waits_for_one(tmp_path: Path) -> None:
    call_command("import_requests", str(file(tmp_path, f"email\n{SUBJECT}\n")))
    assert ErasureRequest.objects.get().state == "received"


def test_a_file_taken_again_adds_only_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("import_requests", str(file(tmp_path, f"email\n{SUBJECT}\n")))
    call_command("import_requests", str(file(tmp_path, f"email\n{SUBJECT}\n{NEIGHBOUR}\n")))
    assert "1 requests recorded" in capsys.readouterr().out.splitlines()[-1]
    assert ErasureRequest.objects.count() == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no mailbox,gdpr,2026-03-02", "email: the value is not an email address"),
        (",gdpr,2026-03-02", "no identifier given"),
        (f"{SUBJECT},hammurabi,2026-03-02", "law: must be one of"),
        (f"{SUBJECT},gdpr,2999-01-01", "received: the day of receipt lies in the future"),
        (f"{SUBJECT},gdpr,0001-01-01", "received: the day of receipt lies in the future, or too"),
        (f"{SUBJECT},gdpr,yesterday", "received: must be a day"),
        (f"{SUBJECT},gdpr", "has 2 cells, not 3"),
        (f"{SUBJECT}\x00,gdpr,", ""),  # NUL: csv refuses it, or we do
        (f'"{SUBJECT},gdpr,', "is no CSV: a quote is not closed"),
    ],
)
def test_one_line_with_a_fault_and_nothing_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, why: str
) -> None:
    path = file(tmp_path, f"email,law,received\n{NEIGHBOUR},,\n{line}\n")
    with pytest.raises(CommandError, match="nothing was recorded") as caught:
        call_command("import_requests", str(path))
    assert caught.value.returncode == 1
    told = capsys.readouterr()
    assert f"line 3: {why}" in told.err
    for private in (SUBJECT, NEIGHBOUR, "no mailbox", "hammurabi"):
        assert private not in told.err + told.out
    assert not ErasureRequest.objects.exists()


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "names no identity"),
        ("law", "names no identity"),
        ("email,shoe_size", "unknown column"),
        ("email,email", "one twice"),
        ('"email', "is no CSV: a quote is not closed"),
        (f"email,{'x' * 200_000}", "a cell is too long"),
        ("email\rlaw", "is no CSV"),
    ],
)
def test_a_first_line_that_makes_no_sense_is_refused(tmp_path: Path, header: str, why: str) -> None:
    with pytest.raises(CommandError, match=why) as caught:
        call_command("import_requests", str(file(tmp_path, f"{header}\n{SUBJECT}\n")))
    assert caught.value.returncode == 2
    assert not ErasureRequest.objects.exists()


def test_a_line_in_another_encoding_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixed.csv"
    rows = [b"email", "jörg@example.com".encode(), "jürgen@example.com".encode("cp1252")]
    path.write_bytes(b"\n".join(rows) + b"\n")
    with pytest.raises(CommandError, match="1 lines have a fault"):
        call_command("import_requests", str(path))
    assert "line 3: is not utf-8" in capsys.readouterr().err
    path.write_bytes(b"\n".join([rows[0], rows[2]]))
    call_command("import_requests", str(path), "--encoding", "cp1252")
    assert ErasureRequest.objects.count() == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "cp500", "undefined", "hex", "rot13"])
def test_an_encoding_in_which_no_line_ends_is_refused_by_name(
    tmp_path: Path, encoding: str
) -> None:
    made = encoding if encoding.startswith("utf") else "utf-8"
    path = file(tmp_path, f"email\n{SUBJECT}\n", made)
    with pytest.raises(CommandError, match="--encoding: ") as caught:
        call_command("import_requests", str(path), "--encoding", encoding)
    assert caught.value.returncode == 2
    assert not ErasureRequest.objects.exists()


@pytest.mark.parametrize("encoding", ["klingon", "utf-8"])
def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path, encoding: str) -> None:
    path = file(tmp_path, "email\n") if encoding == "klingon" else tmp_path / "not there.csv"
    with pytest.raises(CommandError) as caught:
        call_command("import_requests", str(path), "--encoding", encoding)
    assert caught.value.returncode == 2


def test_a_hundred_thousand_lines_are_checked_in_few_queries_and_faults_are_counted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    django_assert_max_num_queries: object,
) -> None:
    people = "\n".join(f"person{n}@example.com" for n in range(100_000))
    path = file(tmp_path, f"email\n{people}\n" + "nobody\n" * 60)
    with (
        django_assert_max_num_queries(250),  # type: ignore[operator]
        pytest.raises(CommandError, match="60 lines have a fault; 10 more"),
    ):
        call_command("import_requests", str(path))
    told = capsys.readouterr()
    assert "100000 new" in told.out
    assert len(told.err.splitlines()) == 50


@pytest.mark.parametrize("method", ["x" * 201, "", f"written by {SUBJECT.upper()}"])
def test_how_identity_was_checked_is_looked_at_before_the_first_line(
    tmp_path: Path, method: str
) -> None:
    path = file(tmp_path, f"email\n{NEIGHBOUR}\n{SUBJECT}\n")
    with pytest.raises(CommandError, match="--identified") as refused:
        call_command("import_requests", str(path), "--identified", method)
    assert SUBJECT not in str(refused.value).casefold()
    assert not ErasureRequest.objects.exists()
