"""Retire a model, or some of its versions, for another reason than a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.flow import retire
from erasure.management.console import USAGE, one_line_errors, operator


class Command(BaseCommand):
    """``retire_model MODEL --reason R --because TEXT [--only V…] [--archive FILE] [--yes]``"""

    help = "Take versions of a model out for good, and prove that they do not come back."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument(
            "--only", action="append", default=[], metavar="VERSION", help="not all; repeatable"
        )
        parser.add_argument("--reason", required=True, choices=retire.REASONS)
        parser.add_argument("--because", required=True, help="why; it is kept in the ledger")
        parser.add_argument(
            "--derived", action="append", default=[], metavar="MODEL=WAY",
            help="of a model made from it: retire, retrain, or 'keep: WHY'; repeatable",
        )  # fmt: skip
        parser.add_argument("--archive", metavar="FILE", help="write the record there, too")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--yes", action="store_true", help="without asking, on record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when the versions are gone and do not come back, 1 when one does, 2 for what
        cannot be."""
        with one_line_errors():
            found = retire.assess(options["model"], options["only"])
            self._tell(found)
            if options["dry_run"] or not self._agreed(options["yes"]):
                return
            proof = retire.retire_model(
                found,
                reason=options["reason"],
                because=options["because"],
                by=operator(),
                derived=dict(_pair(text) for text in options["derived"]),
            )
        if options["archive"]:
            Path(options["archive"]).write_text(json.dumps(proof, indent=1, sort_keys=True))
        for version, words in proof["recovery"].items():
            told = (
                "; ".join(f"{k}: {v}" for k, v in words.items())
                if isinstance(words, dict)
                else words
            )
            self.stdout.write(f"version {version} is gone: {told}")

    def _tell(self, found: retire.Assessment) -> None:
        self.stdout.write(f"{found.dataset.address}: version {', '.join(found.versions)} would go")
        if found.serves:
            self.stdout.write(f"  version {found.serves} is served; nothing takes its place")
        if found.left:
            self.stdout.write(f"  stays: {', '.join(found.left)}")
        kept = tuple(_words(copy) for copy in found.backups)
        for name, places in (
            ("derived from it", found.derived),
            ("made from it, to be decided on", found.models),
            ("deployed", found.deployed),
            ("stays in backups", kept),
        ):
            if places:
                self.stdout.write(f"  {name}: {', '.join(places)}")

    def _agreed(self, yes: bool) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise CommandError("nobody to ask here; say --yes", returncode=USAGE)
        return input("Retire? Type yes: ").strip() == "yes"


def _pair(text: str) -> tuple[str, str]:
    model, _, way = text.partition("=")
    return model.strip(), way.strip()


def _words(copy: Mapping[str, str]) -> str:
    if "not_known" in copy:
        return copy["not_known"]
    return f"{copy['store']}, {copy['set']} of {copy['taken_at']} until {copy['expires_on']}"
