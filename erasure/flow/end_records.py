"""The record of a case ends on its day: what was sealed goes with its key. The keyed pseudonym, by
which the case is found again, and the certificate stay. Reasons that stand in clear are
emptied too; leaves of the ledger tell of moves and holds without them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.evidence import ledger
from erasure.models import Complaint, ErasureRequest, Identifier, Letter, Reasoning
from erasure.runs import reasoning, records

AT_ONCE = 500


def end_records(now: datetime) -> int:
    """End the oldest of those that are over, so many at once; the sweep goes on with the rest.
    Returns how many. Whole or, killed anywhere, not at all: then it is repeated, and a key whose
    file has gone already stays gone."""
    with transaction.atomic():
        # Locked: one may be reopened, or complained about, just now.
        over = records.over(now).select_for_update().order_by("closed_at")[:AT_ONCE]
        cases = [case.pk for case in over]
        complaints = [
            one.pk
            for one in records.complaints_over(now)
            .select_for_update()
            .order_by("closed_at")[:AT_ONCE]
        ]
        if cases:
            _end_cases(cases, now)
        if complaints:
            _end_complaints(complaints)
        # After the cases: a hold keeps its words as long as one that it is about can be read.
        if holds := list(records.holds_over(now, cases).values_list("pk", flat=True)):
            reasoning.empty_holds(holds)
            ledger.append_many(("hold_ended", {"hold": str(hold)}) for hold in sorted(holds))
    return len(cases) + len(complaints) + _empty_left()


def _empty_left() -> int:
    """Records that ended before reasons in clear were emptied with them; so many at once."""
    with transaction.atomic():
        left = ErasureRequest.objects.filter(record_ended_at__isnull=False, reasons_emptied=False)
        cases = [case.pk for case in left.select_for_update().order_by("record_ended_at")[:AT_ONCE]]
        if not cases:
            return 0
        emptied = reasoning.typed_of(cases).update(because=reasoning.ENDED)
        ErasureRequest.objects.filter(pk__in=cases).update(reasons_emptied=True)
        if emptied:
            told = [("reasons_emptied", {"request": str(case)}) for case in cases]
            ledger.append_many(told)
    return len(cases)


def _end_cases(cases: Sequence[UUID], now: datetime) -> None:
    for model in (Letter, Reasoning):
        model.objects.filter(request__in=cases).delete()
    Identifier.objects.filter(request__in=cases).exclude(sealed=b"").update(sealed=b"")
    reasoning.typed_of(cases).update(because=reasoning.ENDED)
    destroyed = vault.destroy_keys(cases, "record")
    ErasureRequest.objects.filter(pk__in=cases).update(record_ended_at=now, reasons_emptied=True)
    keys = [
        ("key_destroyed", {"request": str(case), "purpose": "record"}) for case in sorted(destroyed)
    ]
    ledger.append_many([*keys, *(("record_ended", {"request": str(case)}) for case in cases)])


def _end_complaints(complaints: Sequence[UUID]) -> None:
    Letter.objects.filter(complaint__in=complaints).delete()
    Complaint.objects.filter(pk__in=complaints).update(sealed=b"", sealed_answer=b"")
    destroyed = vault.destroy_keys(complaints, "record")
    ledger.append_many(
        ("key_destroyed", {"complaint": str(one), "purpose": "record"}) for one in sorted(destroyed)
    )
