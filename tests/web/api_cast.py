"""The API's cast: accounts with tokens, each a small client of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, User
from django.test import Client

from erasure.domain.roles import SCOPES, console
from erasure.flow import token
from erasure.models import ApiToken

ROOT = "/api/v1"


@dataclass
class Caller:
    """Somebody with a token. Every answer's status is looked at by the test."""

    secret: str
    token: ApiToken

    def get(self, path: str, **query: Any) -> Any:
        """Ask."""
        return Client().get(f"{ROOT}{path}", query, headers=self.headers())

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """Do."""
        return Client().post(
            f"{ROOT}{path}",
            json.dumps({} if body is None else body),
            content_type="application/json",
            headers=self.headers() | headers,
        )

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


def caller(*roles: str, name: str = "", scopes: Any = SCOPES) -> Caller:
    """An account with these roles, and a token for it."""
    user = User.objects.create_user(name or f"user-{uuid4().hex[:8]}")
    user.groups.set(Group.objects.filter(name__in=roles))
    made, secret = token.make_token(user, name="test", scopes=scopes, days=1, by=console("tests"))
    return Caller(secret, made)
