"""The certificate is sealed in the ledger, the person can be recognised again, keys fall due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.outcome import Done, outcome_of, verified_residue
from erasure.domain.values import NORMALISER_VERSION
from erasure.evidence import certificate, ledger
from erasure.models import (
    ErasureRequest,
    Notice,
    PlanStep,
    Run,
    ScanResult,
    SuppressionEntry,
)
from erasure.runs import case, journal, statement
from erasure.transitions import move
from lineage import selectors

_BY = "run"


def attest_request(request: ErasureRequest) -> str:
    """Close one verified case with what was really found; returns the outcome.

    Residue blocks the case: then nothing is certified and no key is destroyed.
    """
    run = request.run
    assert run is not None  # noqa: S101 - a verifying request has a run
    with transaction.atomic():
        _fill_steps(request, run)
        outcome, why = _outcome(request, run)
        if outcome == "blocked":
            where = statement.residue_places(request, run)
            because = f"{why}: {where}" if where else why
            move(request, "blocked", by=_BY, because=because, also={"blocked_because": because})
            return outcome
        _suppress(request, run)
        _give_notice(request)
        closed = timezone.now()
        move(request, outcome, by=_BY, because=why, also={"closed_at": closed})
        for plan in request.plans.filter(state="approved"):
            move(plan, "carried_out", by=_BY)
        certificate.seal(statement.body_of(request, run, outcome))
    return outcome


def destroy_keys(request: ErasureRequest) -> None:
    """After the certificate: the identifiers key always, the row keys unless something waits."""
    waiting = request.state in ("awaiting_copies", "partly_granted")
    purposes = ["identifiers"] if waiting else ["identifiers", "deferred"]
    for purpose in purposes:
        if vault.destroy_key(request.id, purpose):
            ledger.append("key_destroyed", {"request": str(request.id), "purpose": purpose})


def _plan_steps(request: ErasureRequest) -> list[PlanStep]:
    plan = request.plans.filter(state__in=("approved", "carried_out")).first()
    return list(plan.steps.all()) if plan else []


def _fill_steps(request: ErasureRequest, run: Run) -> None:
    """Rows and residue per step, from the receipts of this person."""
    lines = _lines(request, run)
    purged = {s.store: s for s in run.stores.all()}
    scanned = set(run.scans.values_list("store", flat=True))
    seen = set(
        run.scan_results.filter(request=request, verdict="residue").values_list("store", flat=True)
    )
    for step in _plan_steps(request):
        line = lines.get(step.ordinal)
        step.rows = line["rows"] if line else 0
        step.residue = line["residue"] if line else "clean"
        step.until = date.fromisoformat(line["until"]) if line and line["until"] else None
        step.note = _note(line) if line else ""
        store = purged.get(step.store)
        if step.residue == "logically_deleted" and store and store.residue:
            step.residue, step.until = store.residue, store.until
            step.note = "; ".join(filter(None, (step.note, store.note)))
        step.residue = verified_residue(
            step.residue, scanned=step.store in scanned, seen_again=step.store in seen
        )
        step.save(update_fields=["rows", "residue", "until", "note"])


def _note(line: Mapping[str, Any]) -> str:
    words = [line["note"]] if line["note"] else []
    if line["kept"]:
        words.append(f"{line['kept']} stay: somebody else refers to them")
    if line["reused"]:
        words.append(f"{line['reused']} left alone: the key is somebody else's now")
    return "; ".join(words)


def _lines(request: ErasureRequest, run: Run) -> dict[int, dict[str, Any]]:
    """This person's receipts, added up per step over all batches."""
    lines: dict[int, dict[str, Any]] = {}
    for batch in run.batches.all():
        for ordinal, line in batch.receipts.get(str(request.id), {}).items():
            total = lines.setdefault(int(ordinal), {**line, "rows": 0, "kept": 0, "reused": 0})
            for name in ("rows", "kept", "reused"):
                total[name] += line[name]
            total["until"] = max(filter(None, (total["until"], line["until"])), default=None)
    return lines


def _outcome(request: ErasureRequest, run: Run) -> tuple[str, str]:
    steps = [
        Done(action=s.action, rows=s.rows or 0, residue=s.residue, until=s.until)
        for s in _plan_steps(request)
    ]
    verdicts = set(
        ScanResult.objects.filter(run=run, request=request).values_list("verdict", flat=True)
    )
    sealed = run.needles.filter(request=request).first()
    return outcome_of(steps, verdicts, verifiable=bool(sealed and sealed.count), rescan_due=False)


def _suppress(request: ErasureRequest, run: Run) -> None:
    """Keyed hashes of every identity that was the person's, given or found."""
    kinds = set(selectors.identity_kinds())
    (given,) = case.given_by([request]).values()
    known = {(kind, vault.pseudonym(kind, value)) for kind, value in given}
    for needle in journal.open_needles(run).get(str(request.id), ()):
        if needle.category in kinds:
            known.add((needle.category, vault.pseudonym(needle.category, needle.text)))
    for kind, keyed in sorted(known):
        SuppressionEntry.objects.get_or_create(
            request_id=request.id,
            kind=kind,
            keyed_hash=keyed,
            defaults={
                "hash_key_id": vault.hash_key_id(),
                "normaliser": NORMALISER_VERSION,
                "erased_at": run.started_at,
            },
        )


def _give_notice(request: ErasureRequest) -> None:
    for step in _plan_steps(request):
        if step.action in ("notify", "manual"):
            Notice.objects.get_or_create(
                request=request, dataset=step.dataset, defaults={"store": step.store}
            )
