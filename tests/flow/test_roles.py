"""Who may do what: every role against every deed, and every deed of the flow has its door."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.exceptions import ObjectDoesNotExist

from erasure import flow
from erasure.access import actor_of
from erasure.domain.errors import Denied, LetheError
from erasure.domain.roles import DEEDS, ROLES, SCOPES, SYSTEM, THE_PERSON, Actor, refuse
from erasure.flow import disclose, intake
from erasure.models import (
    Complaint,
    ErasureRequest,
    Expiry,
    LedgerLeaf,
    Letter,
    Notice,
    StandingApproval,
)
from lineage.errors import LineageError
from tests.flow.cast import OFFICER, SUBJECT, MemoryShop
from tests.flow.deeds import planned

# Deeds without a function of the flow: they are looks, asked of by the desk and the API.
LOOKS = frozenset(
    {"see_cases", "see_models", "see_catalogue", "see_accounts", "see_accesses", "see_training"}
)


def doors() -> dict[str, Callable[..., object]]:
    """Every public function of the flow that takes an actor, by its full name."""
    found: dict[str, Callable[..., object]] = {}
    for module in iter_modules(flow.__path__, f"{flow.__name__}."):
        for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
            own = function.__module__ == module.name and not name.startswith("_")
            if own and inspect.signature(function).parameters.get("by") is not None:
                found[f"{module.name.rpartition('.')[2]}.{name}"] = function
    return found


PLAIN = (AttributeError, RuntimeError, TypeError, ValueError)
# A question, not a deed.
QUESTIONS = frozenset({"decide.needs_another", "dispose.needs_another"})
DOORS = {name: f for name, f in doors().items() if name not in QUESTIONS}


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the control database."""
    return {m._meta.label: list(m._default_manager.order_by("pk").values_list()) for m in models()}


def models() -> Iterator[type[Any]]:
    for label in ("erasure", "lineage", "auth"):
        yield from apps.get_app_config(label).get_models()


def arguments(function: Callable[..., object]) -> dict[str, Any]:
    """Something for every parameter that has no default, so that the door itself is reached."""
    case = ErasureRequest.objects.earliest("received_at")
    known: dict[str, Any] = {
        "request": case,
        "letter": Letter(request=case),
        "notice": Notice(request=case),
        "complaint": Complaint(request=case),
        "expiry": Expiry(dataset="shop.orders"),
        "standing": StandingApproval(dataset="shop.orders"),
        "identifiers": [("email", "somebody.else@example.com")],
    }
    return {
        name: known.get(name, "")
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and name != "by"
    }


def test_every_deed_of_the_flow_has_a_door_that_the_table_knows() -> None:
    without = [name for name, function in DOORS.items() if not hasattr(function, "deed")]
    assert without == []
    assert {f.deed for f in DOORS.values()} == DEEDS.keys() - LOOKS  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", [*ROLES, "", "a plain text", "scoped away"])
def test_whoever_may_not_do_a_deed_changes_nothing(role: str, memory_shop: MemoryShop) -> None:
    planned(SUBJECT)
    someone: str = Actor("somebody", [role])
    if role == "a plain text":
        someone = "officer"
    elif role == "scoped away":
        someone = Actor("somebody", ROLES, scopes=[])
    before, denied = everything(), 0
    for function in DOORS.values():
        if not (isinstance(someone, Actor) and someone.may(function.deed)):  # type: ignore[attr-defined]
            with pytest.raises(Denied):
                function(**arguments(function), by=someone)
            denied += 1
    assert denied
    assert everything() == before


@pytest.mark.parametrize("role", ROLES)
def test_whoever_may_do_a_deed_passes_its_door(
    role: str, memory_shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(SUBJECT)
    someone = Actor("somebody", [role])
    for name, function in DOORS.items():
        if someone.may(function.deed):  # type: ignore[attr-defined]
            try:
                function(**arguments(function), by=someone)
            except Denied as error:
                raise AssertionError(name) from error
            except (LetheError, LineageError, ObjectDoesNotExist, *PLAIN):
                continue  # what it was given makes no sense; it was let in


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_table_says_and_no_more(role: str, deed: str) -> None:
    alone = Actor("somebody", [role])
    allowed = role in DEEDS[deed].roles
    assert alone.may(deed) is allowed
    if allowed:
        refuse(alone, deed)
    else:
        with pytest.raises(Denied):
            refuse(alone, deed)
    for scope in SCOPES:
        scoped = Actor("somebody", [role], scopes=[scope])
        assert scoped.may(deed) is (allowed and scope == DEEDS[deed].scope)


@pytest.mark.parametrize("role", ["auditor", "administrator", "model_owner"])
def test_whoever_decides_nothing_sees_no_identifier_and_changes_no_case(role: str) -> None:
    may = {deed for deed in DEEDS if Actor("somebody", [role]).may(deed)}
    assert not may & {"see_identifiers", "see_letters", "see_reasons"}
    of_models = {"overrule", "train", "promote", "retire"}
    assert all(deed.startswith("see_") or deed in {"manage_accounts", *of_models} for deed in may)
    assert ("see_cases" in may) is (role == "auditor")


def test_a_dpo_advises_and_decides_nothing() -> None:
    dpo = Actor("dpo", ["dpo"])
    assert {d for d in DEEDS if dpo.may(d) and not d.startswith("see_")} == {"advise"}


def test_an_actor_is_written_down_as_its_name(memory_shop: MemoryShop) -> None:
    request = intake.open_request([("email", SUBJECT)], by=Actor("olga", ["officer"]))
    request.refresh_from_db()
    assert request.opened_by == "olga"
    assert '"by":"olga"' in LedgerLeaf.objects.get(kind="intake").payload


def test_every_look_at_identifiers_is_on_record_without_the_value(memory_shop: MemoryShop) -> None:
    request = planned(SUBJECT)
    assert disclose.show_identifiers(request, by=OFFICER) == [("email", SUBJECT)]
    leaf = LedgerLeaf.objects.get(kind="identifiers_seen")
    assert leaf.request == str(request.id)
    assert '"by":"officer"' in leaf.payload
    assert SUBJECT not in leaf.payload


@pytest.mark.parametrize("name", [str(SYSTEM), str(THE_PERSON)])
def test_nobody_is_called_what_the_records_call_themselves(name: str) -> None:
    with pytest.raises(Denied, match="use another"):
        actor_of(User(username=name, is_superuser=True))


@pytest.mark.django_db
def test_the_roles_of_an_account_are_its_groups_as_long_as_it_is_active() -> None:
    user = User.objects.create_user("olga")
    user.groups.set(Group.objects.filter(name__in=["officer", "dpo"]))
    user.groups.add(Group.objects.create(name="choir"))
    assert actor_of(user).roles == {"officer", "dpo"}
    user.is_active = False
    assert actor_of(user).roles == frozenset()
    user.is_active = user.is_superuser = True
    assert actor_of(user).roles == set(ROLES)
