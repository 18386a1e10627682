"""One example: a world is built and described, people leave through the product's public walk,
and what must hold is asked of the database past the product."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import pytest
from django.db import transaction

from erasure import inline
from erasure.domain.errors import LetheError, UsageError
from erasure.domain.roles import console
from erasure.evidence import certificate, ledger
from erasure.flow import decide
from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.scenarios.generated import oracle
from tests.scenarios.generated.catalogue import STORE, catalogue_of
from tests.scenarios.generated.engines import Engine
from tests.scenarios.generated.judging import broken, differences, doubtful, mailboxes, stuck
from tests.scenarios.generated.world import Link, Rows, World

OFFICER = console("tests")
CARRIED_OUT = "carried out"
DOUBTED = "the re-scan saw something of the person again"
# All that the product may say where it refuses a generated world; each is due only where the oracle
# finds no way either.
REFUSALS = re.compile(
    r"""\S.*?:\ (
      the\ reference\ cannot\ be\ cut,\ the\ column\ refuses\ NULL;\ declare\ .*
    | is\ retained\ and\ refers\ to\ .*,\ which\ is\ deleted;\ let\ .*
    | is\ kept,\ and\ its\ key\ would\ change\ with\ that\ of\ .*
    | is\ retained,\ and\ .*\ of\ its\ rows\ would\ change\ with\ rows\ that\ are\ deleted\ .*
    | \d+\ of\ its\ rows\ would\ go\ along\ with\ .*,\ and\ no\ search\ leads\ .*;\ declare\ .*
    | rows\ refer\ to\ what\ is\ to\ go,\ and\ no\ search\ leads\ to\ them;\ declare\ .*
    | rows\ here\ are\ to\ stay\ and\ refer\ by\ their\ key\ to\ rows\ of\ .*
    | rows\ here\ refer\ to\ rows\ of\ .*\ that\ would\ go\ along,\ and\ forbid\ it;\ declare\ .*
    | \S.*\ refers\ to\ it\ by\ a\ column\ that\ refuses\ NULL\ and\ goes\ later;\ declare\ .*
    )""",
    re.VERBOSE,
)


def hold(engine: Engine, world: World, *, witnessed: bool = True) -> list[str]:
    """Build the world, let its people leave, and hold the invariants; returns what became of
    each request or run. The control database is as before afterwards."""
    engine.build(world)
    became: list[str] = []
    with transaction.atomic(), nullcontext() if witnessed else unwitnessed():
        source = catalogue_of(world, engine.url)
        catalog.upsert(fideslang.read_text(source, "generated.yml"), prune=True)
        kept: set[str] = set()
        for emails in world.leavers:
            became += _Leaving(engine, world, kept).leave(emails)
        transaction.set_rollback(True)
    return became


@contextmanager
def unwitnessed() -> Iterator[None]:
    """Nothing is entered in the ledger, no certificate is written and nothing of former cases is
    cleared up: a third of a case's time, of which no row of anybody depends."""
    with (
        patch.multiple(ledger, note=_nothing, record_many=_nothing, append_many=_nothing),
        patch.object(certificate, "seal", _nothing),
        patch.object(inline, "finish_keys", _nothing),
    ):
        yield


def _nothing(*_: object, **__: object) -> None:
    pass


def code_of(link: Link) -> str:
    """By which whoever approves a plan accepts what a foreign key does by itself."""
    kind = {"CASCADE": "cascade", "SET NULL": "set_null"}.get(link.on_delete or "", "")
    return f"{kind}:{STORE}.{link.holder}.{link.field}"


class _Leaving:
    """``kept``: mailboxes that a case has erased which keeps something: whoever asks with one of
    them later is told of it."""

    def __init__(self, engine: Engine, world: World, kept: set[str]) -> None:
        self.engine, self.world, self.kept = engine, world, kept
        self.before: Rows = engine.read(world)
        self.became: list[str] = []
        self.accepted: set[str] = set()

    def leave(self, emails: Sequence[str]) -> list[str]:
        """These people leave together."""
        asked = {email: request for email in emails if (request := self._ask(email))}
        if asked:
            self._run(asked)
        return self.became

    def _ask(self, email: str) -> ErasureRequest | None:
        """A case with an approved plan; None where nothing is known of them, or where it is
        refused, which is then due."""
        try:
            request = inline.open_case([("email", email)], by=OFFICER, method="console")
        except LetheError as error:
            self._refused([email], str(error))
            return None
        outcome = oracle.forget(self.world, self.before, [email])
        if request.state == "no_data":
            assert not outcome.reached[email].deep, "somebody is known here"
            assert not list(differences(outcome.rows, self.before)), "somebody is mentioned here"
            return None
        assert request.state == "planned", request.state
        self._approve(request)
        return request

    def _approve(self, request: ErasureRequest) -> None:
        """What goes along has to be accepted, and may be nothing but what the database does."""
        codes = {f["code"] for f in decide.to_accept(request.plans.get(state="draft"))}
        assert codes <= {code_of(link) for link in self.world.links}, codes
        if codes:
            with pytest.raises(UsageError):
                inline.approve(request, by=OFFICER, because="asked")
        inline.approve(request, by=OFFICER, because="asked", accept=sorted(codes))
        self.accepted |= codes

    def _refused(self, emails: Sequence[str], why: str) -> None:
        outcome = oracle.forget(self.world, self.before, emails)
        due = [
            *outcome.refusals,
            *oracle.contradictions(self.world),
            *stuck(self.world, outcome, self.before, self.engine.at_once),
        ]
        self.became.append(f"refused: {why}")
        assert REFUSALS.fullmatch(why), f"refused in words that nobody knows: {why}"
        assert self.engine.read(self.world) == self.before, f"refused and changed: {why}"
        assert due, f"refused for no reason: {why}"

    def _run(self, asked: dict[str, ErasureRequest]) -> None:
        for request in asked.values():
            request.refresh_from_db()
            if request.state == "approved":
                inline.run_inline(request)
        for request in asked.values():
            request.refresh_from_db()
        stopped = [r.blocked_because for r in asked.values() if r.state == "blocked"]
        if stopped and not all(why.startswith(DOUBTED) for why in stopped):
            self._refused(list(asked), stopped[0])
            return
        self._look(asked)
        self.became.append(stopped[0] if stopped else CARRIED_OUT)

    def _look(self, asked: dict[str, ErasureRequest]) -> None:
        outcome = oracle.forget(self.world, self.before, asked)
        after = self.engine.read(self.world)
        assert not outcome.refusals, f"was not refused: {outcome.refusals}"
        for fault in (*differences(outcome.rows, after), *broken(self.world, after)):
            raise AssertionError(fault)
        assert not self.engine.violations(), "the database finds itself broken"
        along = {code_of(link) for link in outcome.along}
        assert along <= self.accepted, f"nobody accepted {along - self.accepted}"
        anybodys = {place for reached in outcome.reached.values() for place in reached.deep}
        for email, request in asked.items():
            states = {"partly_granted" if email in outcome.retained else "completed"}
            if doubtful(self.world, self.before, outcome.reached[email].deep, anybodys):
                states.add("blocked")  # unless something else in that row tells whose it is
            if email in self.kept:
                states.add("partly_granted")
            assert request.state in states, request.state
        for email in outcome.retained:
            self.kept |= set(mailboxes(self.world, self.before, outcome.reached[email].deep))
