"""The demo's acts: a person asks, is found everywhere, forgotten, restored, and forgotten again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from erasure.advance import Job, due_jobs
from erasure.connect import open_store
from erasure.demo.company import MODEL, MODEL_STORE, Company
from erasure.demo.people import Person
from erasure.demo.training import coefficients, train_independently
from erasure.domain import states
from erasure.domain.errors import LetheError
from erasure.domain.roles import ROLES, Actor
from erasure.flow import decide, identify, intake
from erasure.inline import replay
from erasure.models import ErasureRequest
from erasure.tasks import enqueue

OFFICER = Actor("demo officer", ["officer"])
APPROVER = Actor("demo approver", ["approver"])
OPERATOR = Actor("demo operator", ROLES)
Tell = Callable[[str], None]
_SWEEP = 2.0


def ask(company: Company) -> ErasureRequest:
    """The leaver's request is recorded by an officer, who has checked who asks."""
    request = intake.open_request([("email", company.leaver.email)], by=OFFICER, channel="demo")
    if request.state == "received":
        identify.confirm_identity(request, by=OFFICER, method="demo: known at the counter")
    elif request.state == "blocked":
        decide.retry_blocked(request, by=OFFICER)
    return request


def wait_for(request: ErasureRequest, target: frozenset[str], tell: Tell) -> ErasureRequest:
    """Let the workers go on until the request is in one of ``target``, sweeping as beat would."""
    enqueue(Job("advance", request.id))
    swept = time.monotonic()
    while True:
        request.refresh_from_db()
        tell(_now(request))
        if request.state in target:
            return request
        if time.monotonic() - swept > _SWEEP:
            for job in due_jobs():
                enqueue(job)
            swept = time.monotonic()
        time.sleep(0.05)


def _now(request: ErasureRequest) -> str:
    """What is being done, for people."""
    run = request.run
    if run is None:
        return f"{request.state}"
    waiting = run.stores.filter(state="pending").values_list("store", flat=True)
    names = ", ".join(waiting) if request.state == "executing" else ""
    return f"{request.state} · run {run.state}" + (f" · {names}" if names else "")


def decided() -> frozenset[str]:
    """States in which the demo's officer looks again."""
    return frozenset({"planned", "blocked"}) | states.SETTLED


def approve(request: ErasureRequest) -> None:
    """Another person approves the plan by its digest."""
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER, because="four eyes")


def rows_of(database: Path, person: Person) -> int:
    """Customers with that mailbox, asked of the shop directly."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("select count(*) from customer where email = ?", [person.email])
        return int(found.fetchone()[0])


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What the restore showed."""

    back: int
    after: int
    forgotten: int
    newcomer_unharmed: bool


def restore_and_replay(company: Company, tell: Tell) -> Restored:
    """Restore last night's backup over the shop, see the person back, and let the gate replay.

    Then somebody new is given the person's old key, and the gate runs again: they are left alone.
    """
    tell("restoring last night's backup")
    with open_store("vault") as vault_store:
        vault_store.restore(company.backup.name, company.database)  # type: ignore[attr-defined]
    back = rows_of(company.database, company.leaver)
    taken_at = datetime.now(UTC) - timedelta(days=1)
    tell("replaying every erasure since it was taken")
    done = replay("shop_db", taken_at=taken_at, by=OPERATOR)
    after = rows_of(company.database, company.leaver)
    newcomer = replace(
        company.leaver, first_name="Nele", last_name="Neumann", email="nele.neumann@example.org"
    )
    _sign_up(company, newcomer)
    replay("shop_db", taken_at=taken_at, by=OPERATOR)
    unharmed = rows_of(company.database, newcomer) == 1
    return Restored(back=back, after=after, forgotten=len(done), newcomer_unharmed=unharmed)


def _sign_up(company: Company, person: Person) -> None:
    with closing(sqlite3.connect(company.database)) as connection, connection:
        connection.execute(
            "insert or ignore into customer (id, first_name, last_name, email) values (?, ?, ?, ?)",
            [person.id, person.first_name, person.last_name, person.email],
        )


@dataclass(frozen=True, kw_only=True)
class ModelShown:
    """What the model check showed."""

    old: str
    new: str
    equals_independent: bool
    old_loads: bool


def look_at_model(company: Company, request: ErasureRequest) -> ModelShown:
    """The new model against an independent training, and every way to load the old one."""
    run = request.run
    report: dict[str, Any] = {}
    if run is not None:
        report = dict(run.model_jobs.values_list("report", flat=True).first() or {})
    old, new = str(report.get("old", "1")), str(report.get("new", ""))
    with open_store(MODEL_STORE) as registry:
        loader: Any = registry
        equal = bool(new) and _same(company, loader.load(MODEL, new))
        try:
            loader.load(MODEL, old)
        except LetheError:
            loads = False
        else:
            loads = True
    return ModelShown(old=old, new=new, equals_independent=equal, old_loads=loads)


def _same(company: Company, model: object) -> bool:
    """Trained on last night's copy, with the person left out by other code: the same model?"""
    independent = train_independently(
        company.backup,
        without=[company.leaver.id],
        seed=company.seed,
        cutoff=company.cutoff,
    )
    return independent.coefficients == coefficients(model)
