"""The letters of a case: what fits, how it reads, and sending it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.domain import letters as kinds
from erasure.domain.errors import UsageError
from erasure.flow import letters as flow
from erasure.management.console import FAILED, one_line_errors, operator
from erasure.models import ErasureRequest, Letter, Notice
from erasure.runs import letters


class Command(BaseCommand):
    """``letters REQUEST [CODE] [--language L] [--block NAME=TEXT] … [--send | --by-hand]``"""

    help = "List the letters of a case, look at one, or send it."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """REQUEST is the case's number, CODE a letter; without CODE they are listed."""
        parser.add_argument("request")
        parser.add_argument("code", nargs="?", metavar="CODE")
        parser.add_argument("--language", help="default: that of the last letter")
        parser.add_argument(
            "--block",
            action="append",
            default=[],
            metavar="NAME=TEXT",
            help="what a block says; NAME=@FILE takes it from a file; repeatable",
        )
        parser.add_argument("--recipient", metavar="DATASET", help="whom a notice is for")
        parser.add_argument("--to", metavar="ADDRESS", help="default: the address of the person")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--send", action="store_true", help="by email")
        how.add_argument("--by-hand", action="store_true", help="record that it was sent by hand")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0, 1 when the mail server did not take it, 2 for what does not fit."""
        with one_line_errors():
            request = _request(options["request"])
            if options["code"] is None:
                self._list(request)
                return
            notice = _notice(request, options["recipient"])
            language = options["language"] or letters.language_of(request)
            blocks = _blocks(options["block"])
            code: str = options["code"]
            if not options["send"] and not options["by_hand"]:
                looked = flow.preview_letter(
                    request, code=code, language=language, blocks=blocks, notice=notice,
                    by=operator(),
                )  # fmt: skip
                self.stdout.write(looked.text)
                return
            letter = flow.draft_letter(
                request,
                code=code,
                language=language,
                blocks=blocks,
                to="" if options["by_hand"] else options["to"],
                by=operator(),
                notice=notice,
            )
            self._go(letter, by_hand=options["by_hand"])

    def _list(self, request: ErasureRequest) -> None:
        for letter in request.letters.all():
            error = f": {letter.error}" if letter.error else ""
            self.stdout.write(f"{letter.made_at:%Y-%m-%d} {letter.code} {letter.state}{error}")
        self.stdout.write(f"a case that is {request.state} can have:")
        for kind in kinds.fitting(letters.situation_of(request)):
            self.stdout.write(f"  {kind.code}: {_needs(kind)}")
        for notice in request.notices.order_by("dataset"):
            for kind in kinds.fitting(letters.situation_of(request, notice)):
                if kind.to == "recipient":
                    named = f"{kind.code} --recipient {notice.dataset}"
                    self.stdout.write(f"  {named}: {_needs(kind)}")

    def _go(self, letter: Letter, *, by_hand: bool) -> None:
        deed = flow.mark_sent_by_hand if by_hand else flow.send_letter
        letter = deed(letter, by=operator())
        self.stdout.write(f"{letter.code}: {letter.state.replace('_', ' ')}")
        if letter.error:
            raise CommandError(letter.error, returncode=FAILED)


def _needs(kind: kinds.Kind) -> str:
    return ", ".join(f"{b.name}{' (needed)' if b.required else ''}" for b in kind.blocks.values())


def _request(text: str) -> ErasureRequest:
    """The case of that number. Raises UsageError."""
    try:
        return ErasureRequest.objects.get(pk=UUID(text))
    except (ValueError, ErasureRequest.DoesNotExist):
        raise UsageError("no request has this number; the desk shows it") from None


def _notice(request: ErasureRequest, dataset: str | None) -> Notice | None:
    if dataset is None:
        return None
    found = request.notices.filter(dataset=dataset).first()
    if found is None:
        known = ", ".join(request.notices.values_list("dataset", flat=True)) or "none"
        raise UsageError(f"recipient: no such recipient of this case; there are: {known}")
    return found


def _blocks(given: Sequence[str]) -> dict[str, str]:
    blocks = {}
    for text in given:
        name, equals, said = text.partition("=")
        if not equals:
            raise UsageError("blocks: write --block NAME=TEXT")
        if said.startswith("@"):
            try:
                said = Path(said[1:]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"blocks.{name}: the file cannot be read as UTF-8 text") from None
        blocks[name] = said
    return blocks
