"""``replay_lineage``: learn everything again from the stored events."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from lineage import hearing


class Command(BaseCommand):
    """Throws away what was learnt from events and learns it again, in the order of their times."""

    help = "Learn again from all stored lineage events; catalogue files and decisions stay."
    group = "lineage"

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 once everything was learnt."""
        total = hearing.forget()
        learnt = hearing.learn()
        self.stdout.write(f"{total} events, {learnt} learnt from again")
