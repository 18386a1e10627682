"""Canaries: synthetic people go through the whole pipeline, are forgotten as everybody is, and are
then looked for. What still knows them is a copy that lineage has missed, or a model that did not
forget.

``LETHE_CANARY_PLANT`` names a function ``package.module:function`` of the installation: it is
handed the people, puts them where its customers are, has trained what is trained on them, and
returns the addresses of the datasets that it knows they are in by now.
"""

from __future__ import annotations

import importlib
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import cast

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.utils import timezone
from faker import Faker

from erasure import inline
from erasure.connect import open_store
from erasure.domain.errors import LetheError, StoreError, UsageError, WrongState
from erasure.domain.needles import Matcher, Needle
from erasure.domain.roles import SYSTEM
from erasure.domain.states import SETTLED
from erasure.evidence import ledger
from erasure.models import CanaryRound, ErasureRequest, ModelJob, PlanStep
from erasure.stores.base import Declared, Hit
from lineage import selectors

_LOG = logging.getLogger(__name__)
DOMAIN = "canary.example"  # reserved (RFC 2606): nobody has a mailbox there
_METHOD = "a canary: made up by this installation"
_OVER = SETTLED | {"blocked"}
_ATTACKS = ("membership_inference", "likelihood_ratio")


@dataclass(frozen=True, kw_only=True)
class Canary:
    """Somebody who does not exist, marked by the domain of the mailbox."""

    email: str
    first_name: str
    last_name: str
    street: str
    city: str
    phone: str


Plant = Callable[[Sequence[Canary]], Sequence[str]]


def made_up(count: int) -> list[Canary]:
    """New ones each time: nobody who was forgotten before comes again."""
    fake = Faker("en_GB")
    return [
        Canary(
            email=f"{secrets.token_hex(8)}@{DOMAIN}",
            first_name=fake.first_name(),
            last_name=fake.last_name(),
            street=fake.street_address().replace("\n", " "),
            city=fake.city(),
            phone=f"0113 496 {secrets.randbelow(1000):04d}",  # kept free for drama
        )
        for _ in range(count)
    ]


def go_on() -> CanaryRound | None:
    """Begin a round where one is due, and carry the open one as far as it goes; None where nothing
    is due. Raises UsageError where the installation's function is not there, or fails."""
    current = CanaryRound.objects.filter(state__in=("planted", "asked")).first()
    if current is None:
        if not _is_due():
            return None
        current = plant()
    return look(current) if _asked(current) else current


def _is_due() -> bool:
    if not settings.LETHE_CANARY_PLANT:
        return False
    since = timezone.now() - timedelta(days=settings.LETHE_CANARY_DAYS)
    return not CanaryRound.objects.filter(planted_at__gt=since).exists()


def plant() -> CanaryRound:
    """Begin a round. Written down before anybody is planted, so that a crash leaves nobody
    unknown. Raises UsageError."""
    function = _plant()
    people = made_up(settings.LETHE_CANARY_PEOPLE)
    try:
        with transaction.atomic():
            current = CanaryRound.objects.create(
                people=[asdict(p) for p in people], count=len(people)
            )
    except IntegrityError:
        raise UsageError("canaries: a round is open; look at it first") from None
    try:
        current.places = list(function(people))
    except Exception as error:  # noqa: BLE001 - whatever the installation's own function raises
        # they may be in some of it: what was planted is forgotten all the same
        words = f"planting failed ({type(error).__name__}); correct LETHE_CANARY_PLANT"
        current.findings = [words]
    current.save(update_fields=["places", "findings"])
    return current


def _plant() -> Plant:
    module, _, name = settings.LETHE_CANARY_PLANT.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None) if module and name else None
    except ImportError:
        found = None
    if not callable(found):
        raise UsageError("LETHE_CANARY_PLANT: must name a function, as package.module:function")
    return cast(Plant, found)


def _asked(current: CanaryRound) -> bool:
    """Ask for each to be forgotten, and carry it out; whether all are at their outcome. All are
    approved before any is begun: they share a run then, and each model is attacked once, for all
    of them. On one alone no attack can be sure."""
    for person in current.people:
        _stepped(current, person["email"], _approved)
    states = {_stepped(current, p["email"], inline.run_inline) for p in current.people}
    current.state = "asked"
    current.save(update_fields=["state", "findings", "requests"])
    return states <= _OVER


def _approved(request: ErasureRequest) -> None:
    if request.state == "planned":
        inline.approve(request, by=SYSTEM, because=_METHOD)


def _stepped(current: CanaryRound, email: str, step: Callable[[ErasureRequest], object]) -> str:
    """The state of the canary's case, after one step of it where it is not at its outcome."""
    request = _request_of(current, email)
    try:
        if request.state not in _OVER:
            step(request)
    except WrongState:
        pass  # a model waits for its day, or another worker is at it: the next look goes on
    except LetheError as error:
        current.findings = [*current.findings, str(error)]
    request.refresh_from_db(fields=["state"])
    return request.state


def _request_of(current: CanaryRound, email: str) -> ErasureRequest:
    place = [p["email"] for p in current.people].index(email)
    if place < len(current.requests):
        return ErasureRequest.objects.get(pk=current.requests[place])
    request = inline.open_case([("email", email)], by=SYSTEM, method=_METHOD, undoable=False)
    current.requests = [*current.requests, str(request.id)]
    current.save(update_fields=["requests"])
    return request


def look(current: CanaryRound) -> CanaryRound:
    """Look for them everywhere, sharing nothing with what forgot them, and end the round:
    ``alarm`` where something is wrong, ``unmeasured`` where nothing is, but of a model it is not
    known whether it still tells them from strangers; else ``clean``."""
    found = [*current.findings, *_outcomes(current), *_missed(current), *_still_known(current)]
    found += _seen(current)
    unknown = list(_unmeasured(current))
    current.findings = sorted({*found, *unknown})
    current.state = "alarm" if found else "unmeasured" if unknown else "clean"
    current.finished_at = timezone.now()
    current.people = []
    with transaction.atomic():
        current.save(update_fields=["findings", "state", "finished_at", "people"])
        told = {"round": str(current.id), "people": current.count, "state": current.state}
        copies = {store: until.isoformat() for store, until in _expiring(current).items()}
        ledger.record(
            "canaries", {**told, "findings": len(current.findings), "copies_until": copies}
        )
    if found:
        _alarm(current)
    return current


def _requests(current: CanaryRound) -> list[ErasureRequest]:
    return list(ErasureRequest.objects.filter(pk__in=current.requests))


def _outcomes(current: CanaryRound) -> Iterator[str]:
    """Whoever waits for copies that expire has been forgotten as everybody is."""
    for request in _requests(current):
        if request.state not in ("completed", "awaiting_copies"):
            yield f"request {request.id}: is {request.state}, not completed"


def _expiring(current: CanaryRound) -> dict[str, date]:
    """Stores whose copies are out of reach until they expire, and when the last of them does."""
    steps = PlanStep.objects.filter(
        plan__in=[p.pk for r in _requests(current) for p in r.plans.exclude(state="stale")],
        residue="expires_on",
        until__gte=timezone.localdate(),
    )
    found: dict[str, date] = {}
    for store, until in steps.values_list("store", "until"):
        if until is not None:
            found[store] = max(until, found.get(store, until))
    return found


def _missed(current: CanaryRound) -> Iterator[str]:
    """Where they were put, and no plan has led to a row."""
    for request in _requests(current):
        plan = request.plans.exclude(state="stale").first()
        steps = plan.steps.filter(counted__gt=0) if plan else []
        reached = {step.dataset for step in steps}
        for address in sorted(set(current.places) - reached):
            yield f"{address}: they were put there, and lineage does not lead to them"


def _verdicts(current: CanaryRound) -> Iterator[tuple[ModelJob, dict[str, str]]]:
    """What the attacks of each model's job say, or why there was none."""
    runs = [r.run_id for r in _requests(current) if r.run_id]
    for job in ModelJob.objects.filter(runs__in=runs).distinct():
        checks = job.report.get("checks") or {}
        results = ((name, checks[name]) for name in _ATTACKS if name in checks)
        yield job, {n: str(r["verdict"] if isinstance(r, dict) else r) for n, r in results}


def _still_known(current: CanaryRound) -> Iterator[str]:
    """Models whose jobs could tell them from strangers afterwards."""
    for job, told in _verdicts(current):
        if "failed" in told.values():
            yield f"{job.dataset}: still tells them from people it has never seen"


def _unmeasured(current: CanaryRound) -> Iterator[str]:
    """Models with a new version of which no attack has said anything; gone is no model that could
    know them."""
    for job, told in _verdicts(current):
        if job.report.get("new") and not {"passed", "failed"} & set(told.values()):
            why = "; ".join(dict.fromkeys(told.values())) or "no attack was made"
            yield f"{job.dataset}: whether it still tells them apart is not known: {why}"


def _seen(current: CanaryRound) -> Iterator[str]:
    """Every store of the catalogue, searched by value: whatever lineage thinks of it."""
    needles = Matcher([Needle(text=p["email"], category="email") for p in current.people])
    datasets, expiring = selectors.datasets(), _expiring(current)
    for entry in selectors.stores():
        declared = [Declared(dataset=d) for d in datasets.values() if d.store == entry.name]
        try:
            with open_store(entry.name) as store:
                hits = [h for h in store.scan(declared, needles) if isinstance(h, Hit)]
        except (StoreError, LetheError) as error:
            yield f"{entry.name}: could not be searched: {error}"
            continue
        if entry.name in expiring:
            continue  # a copy that was announced, with the day on which it goes
        for place in sorted({f"{entry.name}.{h.collection}" for h in hits}):
            yield f"{place}: still holds one of them"


def _alarm(current: CanaryRound) -> None:
    _LOG.error("canaries: %d findings in round %s", len(current.findings), current.id)
    if settings.LETHE_DIGEST_TO:
        text = "\n".join(current.findings)
        send_mail(
            "Canaries: something still knows people who were forgotten", text,
            settings.DEFAULT_FROM_EMAIL, settings.LETHE_DIGEST_TO, fail_silently=True,
        )  # fmt: skip
