"""``lineage_key NAME [--revoke]``, ``lineage_key --list``: who may send lineage events."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lineage import keys
from lineage.errors import CatalogueError
from lineage.event_models import LineageKey

_USAGE = 2


class Command(BaseCommand):
    """Makes a key and shows it once, revokes one, or lists their names."""

    help = (
        "Make a key with which a client may send lineage events. It is shown once and kept hashed."
    )
    group = "lineage"

    def add_arguments(self, parser: CommandParser) -> None:
        """The name, and what to do with it."""
        parser.add_argument("name", nargs="?", metavar="NAME", help="which client this key is for")
        parser.add_argument("--revoke", action="store_true", help="nobody gets in with it any more")
        parser.add_argument("--list", action="store_true", help="names, and since when")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for a name that is missing, taken or unknown."""
        if options["list"]:
            for row in LineageKey.objects.order_by("name"):
                ended = f", revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else ""
                self.stdout.write(f"{row.name}: made {row.made_at:%Y-%m-%d}{ended}")
            return
        if not options["name"]:
            raise CommandError("name the client that the key is for", returncode=_USAGE)
        try:
            if options["revoke"]:
                keys.revoke_key(options["name"])
                self.stdout.write(f"{options['name']}: revoked")
            else:
                self.stdout.write(keys.make_key(options["name"]))
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
