"""Write down how requests are handled in this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.loader import render_to_string
from django.utils import timezone

from erasure.management.console import USAGE, one_line_errors
from erasure.runs import procedure


class Command(BaseCommand):
    """``procedure [--html] [--out FILE]``"""

    help = "The procedure of this installation: who does what by when."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """Markdown to the terminal, unless told otherwise."""
        parser.add_argument("--html", action="store_true", help="a page of its own, to be printed")
        parser.add_argument("--out", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 when the file cannot be written."""
        with one_line_errors():
            sections, made = procedure.procedure(timezone.localdate()), procedure.made_on()
        if options["html"]:
            context = {"sections": sections, "made": made}
            text = str(render_to_string("reports/procedure.html", context))
        else:
            text = procedure.markdown(sections, made=made)
        if options["out"] is None:
            self.stdout.write(text)
            return
        try:
            options["out"].write_text(text, encoding="utf-8")
        except OSError:
            raise CommandError("--out: the file cannot be written", returncode=USAGE) from None
