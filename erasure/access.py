"""Who somebody is here: the roles of a user are the groups of those names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps as installed
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from erasure.domain.errors import Denied
from erasure.domain.roles import DEEDS, RESERVED, ROLES, Actor

# What the lists of the desk ask for; deeds are asked of the table alone.
_LOOKS = {
    "modeljob": "see_models",
    "stafftraining": "see_training",
    "retentionlook": "see_catalogue",
}
_NOT_LISTED = frozenset(
    {"identifier", "datakey", "sealedneedles", "imagechunk", "apitoken", "stayingrow"}
)


def actor_of(user: AbstractBaseUser | AnonymousUser, *, scopes: list[str] | None = None) -> Actor:
    """The actor that a user is: active ones have the roles of their groups, a superuser has them
    all. Raises Denied for a name that would be taken for Lethe's own in the records."""
    name = user.get_username()
    if name in RESERVED:
        raise Denied("account: this name is Lethe's own; use another")
    if not isinstance(user, User) or not user.is_active:
        return Actor(name, scopes=scopes)
    if user.is_superuser:
        return Actor(name, ROLES, scopes)
    return Actor(name, user.groups.values_list("name", flat=True), scopes)


def make_groups(**_: Any) -> None:
    """A group for every role, with what it may look at in the lists; after every migration. What
    was added to a group by hand stays."""
    create_permissions(installed.get_app_config("lineage"), verbosity=0)  # the last: not made yet
    Group.objects.bulk_create((Group(name=role) for role in ROLES), ignore_conflicts=True)
    groups = dict(Group.objects.filter(name__in=ROLES).values_list("name", "pk"))
    known = Permission.objects.filter(content_type__app_label__in=("erasure", "lineage", "auth"))
    through = Group.permissions.through
    through.objects.bulk_create(
        (
            through(group_id=groups[role], permission_id=pk)
            for pk, codename, label in known.values_list(
                "pk", "codename", "content_type__app_label"
            )
            for role in _roles_for(label, codename)
        ),
        ignore_conflicts=True,
    )


def _roles_for(label: str, codename: str) -> Iterator[str]:
    for deed in _deeds_for(label, *codename.split("_", 1)):
        yield from DEEDS[deed].roles


def _deeds_for(label: str, verb: str, model: str) -> Iterator[str]:
    if label == "auth" and model == "user":
        if verb == "view":
            yield "see_accounts"
        if verb in ("view", "add", "change"):
            yield "manage_accounts"
    if label == "lineage" and verb == "view":
        yield "see_catalogue"
    if label == "erasure" and verb == "view" and model not in _NOT_LISTED:
        yield _LOOKS.get(model, "see_cases")
    if (label, verb, model) == ("erasure", "add", "erasurerequest"):
        yield "open"
