"""What commands there are, for somebody who is new: each with what it does, in groups.

A command says itself to which group it belongs (``group`` of its class); what it does is the first
sentence of its help.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator

from django.core.management import ManagementUtility, get_commands, load_command_class
from django.core.management.base import BaseCommand

GROUPS = {
    "start": "Set up and look",
    "lineage": "Where personal data lie",
    "requests": "People's requests",
    "models": "Trained models",
    "upkeep": "Upkeep and proof",
    "other": "Of the framework",
}
# Commands that come with Django cannot say it.
_OF_DJANGO = {"createsuperuser": "start", "changepassword": "start", "check": "start",
              "migrate": "start", "sendtestemail": "start"}  # fmt: skip
_HEAD = (
    "python3 run.py COMMAND --help tells more of a command, and docs/commands.md all of it.",
    "For a first look: demo. For a first store: discover_lineage, import_lineage, check_lineage; "
    "then erase KIND=VALUE --dry-run.",
)
# Narrower than this a name stands on a line of its own.
_NARROW, _WIDEST = 60, 100


class Utility(ManagementUtility):
    """Django's command line, with a list that says what each command is for."""

    def main_help_text(self, commands_only: bool = False) -> str:
        """As Django where settings are wrong, which it says, or where only names are wanted."""
        if commands_only or self.settings_exception is not None:
            return super().main_help_text(commands_only)
        return "\n".join(overview(shutil.get_terminal_size().columns))


def overview(width: int) -> Iterator[str]:
    """The lines of the list, none wider than that where words are not."""
    width = max(20, min(width, _WIDEST) - 1)
    commands = dict(sorted(_commands()))
    for paragraph in _HEAD:
        yield from textwrap.wrap(paragraph, width, break_on_hyphens=False)
    column = max(map(len, commands)) + 4
    for group, title in GROUPS.items():
        yield ""
        yield title
        for name, command in commands.items():
            if group_of(name, command) == group:
                words = said(command)
                if group == "other":
                    words = textwrap.shorten(words, max(40, width - column), placeholder=" …")
                yield from _entry(name, words, width, column)


def group_of(name: str, command: BaseCommand) -> str:
    """One of :data:`GROUPS`."""
    return str(getattr(command, "group", _OF_DJANGO.get(name, "other")))


def said(command: BaseCommand) -> str:
    """The first sentence of its help, in one line."""
    text = " ".join(command.help.split())
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def _commands() -> Iterator[tuple[str, BaseCommand]]:
    for name, application in get_commands().items():
        if isinstance(application, BaseCommand):
            yield name, application
        else:
            yield name, load_command_class(application, name)


def _entry(name: str, words: str, width: int, column: int) -> Iterator[str]:
    narrow = width < _NARROW
    if narrow:
        yield f"  {name}"
    first = " " * 6 if narrow else f"  {name}".ljust(column)
    rest = " " * (6 if narrow else column)
    yield from textwrap.wrap(
        words, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
