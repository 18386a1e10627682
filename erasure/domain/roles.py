"""Who may do what: one table of roles and deeds, and the door that every deed goes through. Pure.

A deed of the flow takes ``by``, an :class:`Actor`: a name that carries its roles. A plain text
carries none, so it may do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Literal, ParamSpec, TypeVar, get_args

from erasure.domain.errors import Denied

Role = Literal["officer", "approver", "dpo", "model_owner", "operator", "auditor", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)
# What a token may be narrowed to.
Scope = Literal["read", "intake", "decide", "letters", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Deed:
    """Who may do it, and which scope of a token covers it."""

    scope: Scope
    roles: frozenset[Role]


def _deed(scope: Scope, *roles: Role) -> Deed:
    return Deed(scope, frozenset(roles))


DEEDS: Mapping[str, Deed] = {
    # The case.
    "open": _deed("intake", "officer"),
    "acknowledge": _deed("intake", "officer"),
    "identify": _deed("intake", "officer"),
    "withdraw": _deed("intake", "officer"),
    "route": _deed("intake", "officer"),
    "export": _deed("intake", "officer"),
    "plan": _deed("decide", "officer", "operator"),
    "approve": _deed("decide", "approver"),
    "refuse": _deed("decide", "officer", "approver"),
    "extend": _deed("decide", "officer"),
    "hold": _deed("decide", "officer"),
    "except": _deed("decide", "officer"),
    "weigh": _deed("decide", "officer"),
    "charge": _deed("decide", "officer"),
    "advise": _deed("decide", "dpo"),
    "undo": _deed("decide", "officer"),
    "complain": _deed("decide", "officer"),
    "reopen": _deed("decide", "officer"),
    "retry": _deed("operate", "officer", "operator"),
    # Data past their retention, about which nobody has asked.
    "stand": _deed("decide", "approver"),
    "decline": _deed("decide", "officer", "approver"),
    "restore": _deed("operate", "operator"),
    "record_training": _deed("operate", "officer"),
    # Models.
    "overrule": _deed("decide", "officer", "model_owner"),
    "train": _deed("operate", "officer", "operator", "model_owner"),
    "retire": _deed("operate", "operator", "model_owner"),
    "promote": _deed("operate", "model_owner"),
    # Others are told.
    "write_letter": _deed("letters", "officer"),
    "send_letter": _deed("letters", "officer"),
    "tell": _deed("letters", "officer"),
    # Looking. Identifiers, letters and reasons name people: each look is on record.
    "see_cases": _deed("read", "officer", "approver", "dpo", "operator", "auditor"),
    "see_identifiers": _deed("read", "officer"),
    "see_export": _deed("letters", "officer"),
    "see_letters": _deed("read", "officer", "approver", "dpo"),
    "see_reasons": _deed("read", "officer", "approver", "dpo"),
    "see_training": _deed("read", "officer", "dpo", "auditor", "administrator"),
    "see_accesses": _deed("read", "dpo", "auditor"),
    "see_models": _deed("read", "officer", "approver", "dpo", "model_owner", "operator", "auditor"),
    "see_catalogue": _deed(
        "read", "officer", "approver", "dpo", "model_owner", "operator", "auditor"
    ),
    "see_accounts": _deed("read", "administrator", "auditor"),
    "manage_accounts": _deed("operate", "administrator"),
}


class Actor(str):
    """A name with what it may do. ``scopes``: those of the token it came with, None without one;
    ``deeds``: what it may do beside its roles.

    It is stored, compared and written down as the name alone.
    """

    __slots__ = ("_deeds", "roles", "scopes")
    roles: frozenset[str]
    scopes: frozenset[str] | None
    _deeds: frozenset[str]

    def __new__(
        cls,
        name: str,
        roles: Iterable[str] = (),
        scopes: Collection[str] | None = None,
        *,
        deeds: Collection[str] = (),
    ) -> Actor:
        """The roles that there are among ``roles``."""
        actor = super().__new__(cls, name)
        actor.roles = frozenset(roles) & frozenset(ROLES)
        actor.scopes = None if scopes is None else frozenset(scopes)
        actor._deeds = frozenset(deeds)
        return actor

    def may(self, deed: str) -> bool:
        """Whether the table lets it."""
        wanted = DEEDS[deed]
        if self.scopes is not None and wanted.scope not in self.scopes:
            return False
        return deed in self._deeds or bool(self.roles & wanted.roles)


# What goes on by itself, under a decision that somebody made before.
SYSTEM = Actor("run", deeds=DEEDS)
# Whoever asks for themselves, at a door of their own.
THE_PERSON = Actor("the person", deeds=("open", "withdraw"))
RESERVED = frozenset({SYSTEM, THE_PERSON, "Lethe"})


def console(user: str) -> Actor:
    """Whoever has the console has the keys too: everything, and recorded as such."""
    return Actor(f"console operator ({user})", deeds=DEEDS)


def refuse(by: object, deed: str) -> None:
    """Raises Denied unless ``by`` is an actor who may do that."""
    if not isinstance(by, Actor) or not by.may(deed):
        roles = ", ".join(sorted(DEEDS[deed].roles))
        scoped = isinstance(by, Actor) and by.scopes is not None
        token = f", with a token for '{DEEDS[deed].scope}'" if scoped else ""
        raise Denied(f"{deed}: is for {roles}{token}; ask an administrator for that role")


P = ParamSpec("P")
T = TypeVar("T")


def deed(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The door of a flow function: whoever its ``by`` is has to be allowed that deed. Raises
    Denied before anything else happens."""
    assert name in DEEDS, name  # noqa: S101 - a deed that nobody has decided on

    def door(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            refuse(kwargs.get("by"), name)
            return function(*args, **kwargs)

        checked.deed = name  # type: ignore[attr-defined]
        return checked

    return door
