"""The facts of a case that a letter may tell: dates, what was done, what stays and why. Never a
value of a person, and never more than was verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from erasure.domain.errors import KeyDestroyed
from erasure.domain.keeping import in_force
from erasure.domain.letters import VERIFIED, checked_text
from erasure.domain.plan import MODEL_ACTIONS
from erasure.evidence.body import STILL_THERE
from erasure.models import ErasureRequest, Event, Notice, PlanStep, SuppressionEntry
from erasure.runs import clock, complaints, reasoning, records, sightings, statement, tokens
from erasure.runs.earlier import left_by_earlier

_VIAS = {"mention": "redacted", "shallow": "unlinked"}
_DEEDS = {"anonymize": "anonymized", "redact": "redacted"}
# Told in places of their own, or nothing was done to a row.
_ELSEWHERE = MODEL_ACTIONS | {"expire", "notify", "manual"}


def facts_of(request: ErasureRequest, notice: Notice | None = None) -> dict[str, Any]:
    """What the templates of letters can name; dates are days of the controller."""
    found = clock.clock_of(request)
    return {
        "number": str(request.pk)[:8],
        "law": request.law,
        "right": request.right,
        **house(),
        "received": _day(request.received_at),
        "first_day": found.first,
        "answer_by": found.answer_by,
        "waits": found.answer_by is None,
        "reasons": _reasons(request),
        "link": tokens.link("…"),  # a draft has one that works
        "recipient": notice.dataset if notice else "",
        "told": _day(notice.told_at) if notice else None,
        "store": request.only_store,
        "replay_of": str(request.replay_of)[:8] if request.replay_of else "",
        "state": request.state,
        **complaints.told_of(request),
        **_done(request),
    }


def house() -> dict[str, Any]:
    """Who writes, and where they are reached."""
    return {
        "controller": checked_text("LETHE_CONTROLLER", settings.LETHE_CONTROLLER, one_line=True),
        "contact": checked_text("LETHE_CONTACT", settings.LETHE_CONTACT, one_line=True),
        "authority": checked_text("LETHE_AUTHORITY", settings.LETHE_AUTHORITY, one_line=True),
        "today": timezone.localdate(),
    }


def _day(moment: datetime | None) -> date | None:
    return timezone.localdate(moment, timezone.get_default_timezone()) if moment else None


def _reasons(request: ErasureRequest) -> dict[str, str]:
    """Reasons that were recorded to be told to the person. A doubt about who asks is none of
    them: it may tell an impostor what is known of the person."""
    refused = Event.objects.filter(subject_id=str(request.pk), to_state="refused").last()
    told = {"refusal": refused.because if refused else "", "extension": "", "answer": ""}
    if request.record_ended_at:
        told["refusal"] = ""
    for about in ("extension", "answer"):
        if given := request.reasoning.filter(about=about).last():
            with suppress(KeyDestroyed):
                told[about] = reasoning.read(given)
    return told


def _done(request: ErasureRequest) -> dict[str, Any]:
    """What was carried out; everything is empty as long as that was not verified."""
    steps = [s for s in statement.steps_of(request) if s.rows is not None]
    plan, run = request.plans.filter(state="carried_out").first(), request.run
    verified = plan is not None and run is not None and request.state in VERIFIED
    steps = steps if verified else []
    notices = request.notices.order_by("dataset") if verified else ()
    return {
        "erased": list(_erased(steps)),
        "bytes_left": any(s.rows and s.residue == "logically_deleted" for s in steps),
        "left": list(_left([*steps, *(left_by_earlier(request) if verified else ())], request)),
        "shared": sightings.shared_of(sightings.seen_of(request)) if verified else [],
        "limits": statement.limits_of(plan, steps) if plan and verified else [],
        "backups": [_backup(b) for b in statement.backups_of(request, steps)],
        "models": statement.models_of(request, steps) if verified else [],
        "recipients": [{"place": n.dataset, "told": _day(n.told_at)} for n in notices],
        "searched": run.scans.count() if run and verified else 0,
        "recognised": SuppressionEntry.objects.filter(
            request_id=request.id, ended_at=None
        ).exists(),
        "record_until": records.kept_until(request),
    }


def _backup(backup: Mapping[str, Any]) -> dict[str, Any]:
    until = backup["last_copy_until"]
    return {"place": backup["set"], "until": date.fromisoformat(until) if until else None}


def _erased(steps: list[PlanStep]) -> Iterator[dict[str, Any]]:
    """Where something of the person went, and how: ``deleted``, ``anonymized``, ``redacted`` or
    ``unlinked``."""
    for step in steps:
        if step.rows and step.action not in _ELSEWHERE and step.residue not in STILL_THERE:
            how = _VIAS.get(step.via) or _DEEDS.get(step.action, "deleted")
            yield {"place": _place(step), "rows": step.rows, "how": how}


def _left(steps: list[PlanStep], request: ErasureRequest) -> Iterator[dict[str, Any]]:
    """Rows that are still there, and why: an ``exception`` of the law with its reference, or what
    became of them (``residue``); ``case``: the number of another, that decided so."""
    for step in steps:
        if step.rows and step.action not in _ELSEWHERE and step.residue in STILL_THERE:
            spec, decided = in_force(step.spec, on_hold=step.on_hold), step.plan.request_id
            yield {
                "place": _place(step),
                "case": "" if decided == request.pk else str(decided)[:8],
                "fields": ", ".join(spec.get("kept", ())),
                "rows": step.rows,
                "residue": step.residue,
                "exception": spec["dataset"]["exception"] or "",
                "reference": spec["dataset"]["legal_reference"],
                "until": step.until,
            }


def _place(step: PlanStep) -> str:
    purpose = step.spec["dataset"].get("purpose") or ""
    return f"{step.dataset} ({purpose})" if purpose else step.dataset
