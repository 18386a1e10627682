"""Who calls: a token in ``Authorization: Bearer``, as an actor with its account's roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from erasure.access import actor_of
from erasure.domain.errors import Denied
from erasure.domain.roles import Actor, refuse
from erasure.flow import token

if TYPE_CHECKING:  # the framework reads its settings, and so this, while it makes that class
    from rest_framework.views import APIView


class Bearer(BaseAuthentication):
    """``request.auth`` is the actor. Whatever is wrong with a token, the answer is the same."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        """The account and the actor; None without a token."""
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.casefold() != "bearer":
            return None
        found = token.token_of(secret.strip(), now=timezone.now())
        if found is None:
            raise AuthenticationFailed("this token is not valid; ask for a new one")
        try:
            return found.user, actor_of(found.user, scopes=found.scopes)
        except Denied as error:
            raise AuthenticationFailed(str(error)) from None

    def authenticate_header(self, request: Request) -> str:
        """What is wanted."""
        return "Bearer"


class MayDo(BasePermission):
    """The deed of a view, asked of the one table; the flow asks again."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises Denied with the roles that may."""
        if not isinstance(request.auth, Actor):
            return False
        deeds: Any = getattr(view, "deeds", {})
        refuse(request.auth, deeds.get(request.method or "", deeds.get("GET", "see_cases")))
        return True


def actor(request: Request) -> Actor:
    """Who calls."""
    assert isinstance(request.auth, Actor)  # noqa: S101 - MayDo has seen to it
    return request.auth
