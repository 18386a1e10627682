"""``run.py help``: every command with what it does, in groups, on wide and narrow terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from erasure.management.overview import GROUPS, overview
from tests.test_docs import commands

ROOT = Path(__file__).resolve().parents[1]


def listed(width: int) -> str:
    return "\n".join(overview(width))


def shown(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_every_command_stands_there_once_with_what_it_does() -> None:
    entries = [line.split() for line in listed(100).splitlines() if line.startswith("  ")]
    names = [words[0] for words in entries if words[0] in get_commands() and len(words) > 1]
    assert sorted(names) == sorted(get_commands())


def test_every_command_of_ours_says_what_it_does_and_where_it_belongs() -> None:
    applications = get_commands()
    for name in commands():
        command = load_command_class(applications[name], name)
        assert getattr(command, "group", "") in GROUPS.keys() - {"other"}, name
        assert 10 < len(command.help.partition(". ")[0]) < 160, name


def test_somebody_new_finds_the_first_commands_before_those_of_the_framework() -> None:
    text = listed(80)
    places = [text.index(f"\n{title}\n") for title in GROUPS.values()]
    assert places == sorted(places)
    lineage = text.partition("Where personal data lie\n")[2].partition("\n\n")[0]
    assert "  discover_lineage " in lineage
    assert "Draft catalogue YAML from a live store." in lineage
    assert "  createsuperuser " in text.partition("Set up and look\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize("width", [30, 40, 60, 61, 80, 300])
def test_no_line_is_wider_than_the_terminal_but_for_single_words(width: int) -> None:
    for line in overview(width):
        assert len(line) < width or len(line.split()) == 1, line
        assert len(line) <= 100


def test_the_command_line_prints_it_as_wide_as_the_terminal_is() -> None:
    for arguments in (("help",), ("--help",), ()):
        done = shown(*arguments, COLUMNS="40")
        assert done.stdout == listed(40) + "\n", done.stderr
    assert shown("help", "--commands").stdout.split() == sorted(get_commands())
    assert "KIND=VALUE" in shown("help", "erase").stdout


def test_settings_that_are_wrong_are_told_in_place_of_groups() -> None:
    done = shown("help", DATABASE_URL="nonsense://")
    assert "DATABASE_URL" in done.stdout + done.stderr
    assert "Where personal data lie" not in done.stdout
