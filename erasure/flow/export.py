"""A person's data are gathered for them before they are erased, and handed over (Arts. 15, 20)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import KeyDestroyed, UsageError, WrongState
from erasure.domain.identity import GATHERED, HANDLED
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Export
from erasure.runs import archive, case, exporting, gathering
from erasure.runs.lease import export_lease
from erasure.transitions import move

_BY = "run"
_GROUPS = 6  # of five characters each: 150 bits
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is read for another


@deed("export")
def order_export(request: ErasureRequest, *, by: Actor) -> Export:
    """Gather the person's data before they are erased; the erasure waits until they were handed
    over or the time for that has passed. Where a copy is all that is asked for, the case closes
    with handing it over. It is gathered as soon as there is a plan.

    Raises UsageError where there is one already or another right is asked for, and WrongState once
    the erasure has begun.
    """
    if request.right not in HANDLED:
        raise UsageError(f"request {request.id}: asks for {request.right}; answer that by itself")
    with transaction.atomic():
        request = ErasureRequest.objects.select_for_update().get(pk=request.pk)
        if request.state not in exporting.BEFORE:
            raise WrongState(f"request {request.id}: is {request.state}; nothing can be gathered")
        if request.exports.exclude(state="destroyed").exists():
            raise UsageError(f"request {request.id}: has an export already; cancel that first")
        export = Export.objects.create(request=request, ordered_by=by, ordered_at=timezone.now())
        _note("export_ordered", export, by)
    return export


def gather(export_id: UUID) -> None:
    """Gather what was ordered, as a ZIP that is encrypted for the person and sealed for us. What
    broke off is done again wholly. Raises StoreError where trying again can help."""
    with export_lease(export_id) as fence:
        export = Export.objects.select_related("request").get(pk=export_id)
        plan = export.request.plans.filter(state__in=("draft", "approved")).first()
        known = export.request.state in exporting.PLANNED
        if export.state != "ordered" or plan is None or not known:
            return
        archive.remove(export.id)  # of attempts that died
        key, passphrase = vault.make_key(export.id, "export"), _passphrase()
        name, now = f"{export.id}.{fence.epoch}", timezone.now()
        with archive.writing(export, name, key, fence) as sink:
            parts = gathering.gather(export.request, plan, sink, passphrase, now)
        with transaction.atomic():
            fence.check()
            ready = {
                "file": name,
                "size": sink.size,
                "rows": sum(part.rows for part in parts),
                "unread": gathering.unread_of(parts),
                "sealed_passphrase": vault.seal(key, passphrase.encode(), label=_label(export)),
                "ready_at": now,
                "expires_at": _expires(export.request, now),
                "error": "",
            }
            move(export, "ready", by=_BY, also=ready)
            _note("export_ready", export, _BY)


def block(export_id: UUID, why: str) -> None:
    """It cannot be gathered: a person sees why, and the erasure waits."""
    export = Export.objects.get(pk=export_id)
    if export.state == "ordered":
        archive.remove(export.id)
        move(export, "blocked", by=_BY, because=why, also={"error": why})


@deed("export")
def retry_export(export: Export, *, by: Actor) -> Export:
    """Gather again what was blocked, after somebody removed the cause. Raises WrongState."""
    return move(export, "ordered", by=by, because="tried again", also={"error": ""})


@deed("export")
def cancel_export(export: Export, *, by: Actor) -> Export:
    """No export after all: the erasure goes on without. Raises WrongState where it is gone."""
    if export.state == "destroyed":
        raise WrongState(f"export {export.id}: is destroyed")
    exporting.destroy(export, by=by, because="cancelled", now=timezone.now())
    return export


@deed("see_export")
def show_passphrase(export: Export, *, by: Actor) -> str:
    """What opens the archive, once and never again. Raises WrongState the second time, and where
    it is in doubt who asks."""
    with transaction.atomic():
        export = Export.objects.select_for_update().get(pk=export.pk)
        exporting.refuse_doubted(export)
        if export.sealed_passphrase is None:
            raise WrongState(
                f"export {export.id}: its passphrase was shown; cancel it and order another"
            )
        key = vault.open_key(export.id, "export")
        shown = vault.unseal(key, export.sealed_passphrase, label=_label(export)).decode()
        Export.objects.filter(pk=export.pk).update(sealed_passphrase=None)
        _note("export_passphrase_shown", export, by)
    return shown


@deed("see_export")
def read_export(export: Export, *, by: Actor) -> Iterator[bytes]:
    """The encrypted archive, streamed; who has taken it is on record. Raises WrongState where
    there is none, or it is in doubt who asks."""
    exporting.refuse_doubted(export)
    if export.state not in ("ready", "handed_over"):
        raise WrongState(f"export {export.id}: is {export.state}; there is nothing to read")
    key = vault.open_key(export.id, "export")
    if not (archive.folder() / export.file).exists():
        raise KeyDestroyed(f"export {export.id}: its file is gone; order another")
    _note("export_read", export, by)
    return archive.reading(export, key)


@deed("export")
def hand_over(export: Export, *, by: Actor) -> Export:
    """The person has it: the erasure goes on, or the case that asked for no more is answered.
    Raises WrongState where it is not ready, or it is in doubt who asks."""
    now = timezone.now()
    with transaction.atomic():
        request = ErasureRequest.objects.select_for_update().get(pk=export.request_id)
        exporting.refuse_doubted(export)
        move(export, "handed_over", by=by, also={"handed_by": by, "handed_at": now})
        _note("export_handed_over", export, by)
        if request.right in GATHERED:
            for plan in request.plans.filter(state="draft"):
                move(plan, "stale", by=by, because="nothing was to be erased")
            because = "a copy of their data was handed over"
            move(request, "answered", by=by, because=because, also={"closed_at": now})
    if request.state == "answered":
        case.forget_identifiers(request)
    return export


def clear(now: datetime) -> None:
    """Destroy every archive whose time has passed or whose erasure has begun, and what a crash
    left on the disk."""
    for export in list(exporting.over(now)):
        late = export.expires_at is not None and export.expires_at <= now
        because = "its window has passed" if late else "the case went on"
        try:
            exporting.destroy(export, by=_BY, because=because, now=now)
        except WrongState:
            continue  # somebody else was faster
    exporting.clear_left()


def _expires(request: ErasureRequest, now: datetime) -> datetime:
    last = now + timedelta(days=settings.LETHE_EXPORT_DAYS)
    return min(last, request.due_at) if request.due_at and request.due_at > now else last


def _passphrase() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(_GROUPS))


def _label(export: Export) -> str:
    return f"passphrase:{export.id}"


def _note(kind: str, export: Export, by: str) -> None:
    told = {"request": str(export.request_id), "export": str(export.id), "by": by}
    ledger.record(kind, told)
