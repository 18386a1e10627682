"""Tokens for the API: make one, list them, revoke one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser

from erasure.domain.errors import UsageError
from erasure.domain.roles import SCOPES
from erasure.flow import token as flow
from erasure.management.console import one_line_errors, operator
from erasure.models import ApiToken


class Command(BaseCommand):
    """``api_token USER NAME --scope S… [--days N]``, ``api_token --list``, ``--revoke ID``"""

    help = "Make, list or revoke tokens for the API."
    group = "start"

    def add_arguments(self, parser: CommandParser) -> None:
        """USER is an account; a token does no more than its roles."""
        parser.add_argument("user", nargs="?")
        parser.add_argument("name", nargs="?", help="what it is for")
        parser.add_argument("--scope", action="append", default=[], choices=SCOPES)
        parser.add_argument("--days", type=int, default=90, help="until it expires; 90 unless told")
        parser.add_argument("--list", action="store_true")
        parser.add_argument("--revoke", metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for what cannot be. The secret is printed once, on a line of its own."""
        with one_line_errors():
            if options["list"]:
                self._list()
            elif options["revoke"]:
                flow.revoke_token(_token(options["revoke"]), by=operator())
                self.stdout.write("revoked")
            else:
                self._make(options)

    def _make(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["user"] or "").first()
        if user is None:
            raise UsageError("user: there is no such account")
        token, secret = flow.make_token(
            user,
            name=options["name"] or "",
            scopes=options["scope"],
            days=options["days"],
            by=operator(),
        )
        self.stderr.write(f"token {token.id}, until {token.expires_at:%Y-%m-%d}; shown once:")
        self.stdout.write(secret)

    def _list(self) -> None:
        for token in ApiToken.objects.select_related("user"):
            state = "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}"
            scopes = ",".join(token.scopes)
            self.stdout.write(f"{token.id} {token.user.get_username()} {scopes} {state} {token}")


def _token(text: str) -> ApiToken:
    try:
        return ApiToken.objects.get(pk=UUID(text))
    except (ValueError, ApiToken.DoesNotExist):
        raise UsageError("revoke: no token has this number; see --list") from None
