"""List data whose retention has run out, although nobody has asked for anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from erasure.management.console import FAILED, one_line_errors
from erasure.runs import expiring


class Command(BaseCommand):
    """``expired_data [--json]``"""

    help = "Count, dataset by dataset, what the catalogue's retention says should be gone."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--json``: one object per line."""
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 when something should be gone, or could not be told."""
        left = 0
        with one_line_errors():
            for one in expiring.expired(timezone.localdate()):
                left += bool(one.rows or one.why_not)
                if options["json"]:
                    self.stdout.write(json.dumps(asdict(one), default=str))
                else:
                    self._tell(one)
        if left:
            raise CommandError(f"{left} datasets need somebody; see above", returncode=FAILED)

    def _tell(self, one: expiring.Expired) -> None:
        if one.why_not:
            self.stdout.write(f"{one.dataset} ({one.rule}): not told: {one.why_not}")
            return
        since = f", the first since {one.since}" if one.since else ""
        undated = f", {one.undated} without a date" if one.undated else ""
        held = f", {one.held}" if one.held else ""
        self.stdout.write(
            f"{one.dataset} ({one.rule}): {one.rows} of {one.looked_at} rows{since}{undated}{held}"
        )
