"""Write the output filter of a model for the process that serves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.management.console import one_line_errors
from erasure.runs import filtering


class Command(BaseCommand):
    """``model_filter MODEL --to FILE [--key FILE]``"""

    help = "Write the output filter of a model whose job an officer has decided to filter."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument("--to", required=True, type=Path, help="the filter; keyed hashes alone")
        parser.add_argument("--key", type=Path, help="the model's own key in hex, for your vault")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when it is written, 2 where no filter was decided."""
        with one_line_errors():
            made, key = filtering.file_of(options["model"])
        _write(options["to"], made)
        if options["key"]:
            _write(options["key"], key.hex().encode())
        self.stdout.write(f"{options['to']}: written; it holds answers back and erases nothing")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for this user's eyes alone."""
    draft = path.with_name(f".new-{path.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
