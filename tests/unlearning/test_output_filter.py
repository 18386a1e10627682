"""Answers about people who wait are held back, by a file that nobody can read them from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from erasure.domain.errors import EvidenceError, UsageError
from erasure.unlearning import manifest
from erasure.unlearning.output_filter import OutputFilter, made

KEY = b"k" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXTS = ["mara.lind@example.com", "Mara Lind", "+44 113 496 0123", "Zoë Ångström"]


def filtered(path: Path, key: bytes = KEY) -> OutputFilter:
    people = [bytes(h).hex() for h in manifest.hashes([4711, "a-7"], KEY)]
    file = path / "churn.filter"
    file.write_bytes(
        made(model="m.churn", until=NOW + timedelta(days=30), people=people, texts=TEXTS, key=KEY)
    )
    return OutputFilter.read(file, key)


def test_whoever_waits_is_known_by_the_key_of_the_manifests(tmp_path: Path) -> None:
    answers = filtered(tmp_path)
    assert len(answers) == 2
    assert [answers.knows(p, now=NOW) for p in (4711, "4711", "a-7", 4712, "a-77")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Write to MARA.LIND@EXAMPLE.COM, please.", True),
        ("(Mara  Lind)", True),
        ("mara\nlind lives there", True),
        ("Zoe\u0308 A\u030angstro\u0308m", True),
        ("zoe angstrom", True),
        ("call +44-113-496-0123 now", True),
        ("room 12, 44 113 4960123", True),
        ("441134960123", True),
        ("Mara Lindqvist", False),
        ("Mara and Lind", False),
        ("lind@example.com", False),
        ("44 113 496", False),
        ("", False),
    ],
)
def test_a_text_with_a_value_of_theirs_is_held_back(tmp_path: Path, text: str, held: bool) -> None:
    assert filtered(tmp_path).names(text, now=NOW) is held


def test_the_file_holds_nothing_that_anybody_could_read(tmp_path: Path) -> None:
    filtered(tmp_path)
    content = (tmp_path / "churn.filter").read_text().casefold()
    for value in ("4711", "a-7", "mara", "lind", "0123", "ångström"):
        assert value not in content


def test_after_its_end_it_answers_nothing_at_all(tmp_path: Path) -> None:
    answers, later = filtered(tmp_path), NOW + timedelta(days=30)
    ended = r"m\.churn: its output filter ended on 2026-12-21"
    with pytest.raises(UsageError, match=ended):
        answers.knows(4712, now=later)
    with pytest.raises(UsageError, match=ended):
        answers.names("x", now=later)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"seal": 1}', b"\xff"])
def test_what_is_damaged_or_gone_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "churn.filter"
    with pytest.raises(EvidenceError, match="is not there"):
        OutputFilter.read(file, KEY)
    file.write_bytes(content)
    with pytest.raises(EvidenceError, match="serve nothing"):
        OutputFilter.read(file, KEY)


def test_what_was_altered_or_is_of_another_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="serve nothing"):
        filtered(tmp_path, b"another" * 5)
    file = tmp_path / "churn.filter"
    file.write_text(file.read_text().replace("2026-12-21", "2099-12-21"))
    with pytest.raises(EvidenceError, match="serve nothing"):
        OutputFilter.read(file, KEY)
