"""Who is at the desk, by the one table of roles and deeds; and the accounts of those who are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from erasure.access import actor_of
from erasure.domain.errors import Denied
from erasure.domain.roles import DEEDS, Actor

if TYPE_CHECKING:
    _Users = UserAdmin[User]
else:
    _Users = UserAdmin


def at_desk(request: HttpRequest) -> Actor:
    """Who asks. Raises PermissionDenied for a name that nobody may have."""
    try:
        return actor_of(request.user)
    except Denied:
        raise PermissionDenied from None


def required(request: HttpRequest, deed: str) -> Actor:
    """Who asks, who may do that. Raises PermissionDenied."""
    actor = at_desk(request)
    if not actor.may(deed):
        raise PermissionDenied
    return actor


def allowed(actor: Actor) -> dict[str, bool]:
    """Every deed, and whether this actor may do it: what a page offers."""
    return {deed: actor.may(deed) for deed in DEEDS}


class Accounts(_Users):
    """An administrator gives roles to others: not to themselves, and no more than a role."""

    _OWN = ("is_superuser", "user_permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Single permissions and the right to everything are a superuser's to give."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if _whole(request) else (*fields, *self._OWN)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes their own roles, or a superuser who is not one."""
        may = super().has_change_permission(request, obj)
        if obj is None or _whole(request):
            return may
        return may and obj.pk != request.user.pk and not obj.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An account is made inactive: the records name it."""
        return False


def _whole(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


class Groups(admin.ModelAdmin):  # type: ignore[type-arg]
    """The roles are made by the installation; what each may do is in its table."""

    list_display = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Roles are not invented here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What a role may see is a superuser's to add."""
        return _whole(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor removed."""
        return False


admin.site.unregister([User, Group])
admin.site.register(User, Accounts)
admin.site.register(Group, Groups)
