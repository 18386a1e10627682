"""Recipients who are told by machine: messages made while the person is still known, and kept
sealed until they were taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from erasure import calling, vault
from erasure.connect import resolve
from erasure.domain import hooks
from erasure.domain.errors import LetheError, StoreError
from erasure.domain.hooks import Hook
from erasure.models import Call, Notice
from lineage import selectors
from lineage.errors import LineageError

# A recipient who took the message and said no more is asked again, so often and that long after.
REMIND_AFTER = timedelta(days=14)
REMINDERS = 3


def hook_of(store: str) -> Hook | None:
    """The webhook of a recipient, its secrets read now; None where there is none. Raises
    LetheError where it is not a usable one."""
    options = dict(selectors.store(store).options)
    if "secret" in options and not str(options["secret"]).startswith("${"):
        raise StoreError(store, "webhook: its `secret` stands in the catalogue; write ${NAME}")
    for name in ("webhook", "secret"):
        if isinstance(options.get(name), str):
            options[name] = resolve(options[name], store)
    hook = hooks.hook_of(store, options)
    if hook is not None:
        calling.refuse_address(hook.url)
    return hook


def unusable(stores: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Which of these recipients could not be told by machine as they are declared, and why."""
    for store in stores:
        try:
            if "webhook" in selectors.store(store).options:
                hook_of(store)
        except (LetheError, LineageError) as error:
            yield store, str(error).removeprefix(f"{store}: ")


def warnings_of(stores: Iterable[str]) -> Iterator[str]:
    """What a plan says of them."""
    for store, why in unusable(sorted(set(stores))):
        yield f"{store}: is not told by machine: {why}; correct it, or a letter has to be written"


def prepare(notices: Sequence[Notice], known: Iterable[tuple[str, str]]) -> None:
    """Make the message of every recipient who has a webhook; ``known``: the person's identifiers.
    Where none can be made a person sees why, and writes a letter. Joins the transaction."""
    pairs = list(known)
    for notice in notices:
        if notice.told_at or notice.calls.filter(kind="erasure", state="queued").exists():
            continue
        call = Call(notice=notice, kind="erasure", made_at=timezone.now(), due_at=timezone.now())
        try:
            hook = hook_of(notice.store)
            if hook is None:
                continue
            people = hooks.subject(hook, pairs, _sealed)
            if people:
                _seal(call, _body(call, people))
            else:
                call.error = f"none of {', '.join(hook.kinds)} is known of the person"
        except (LetheError, LineageError) as error:
            call.error = str(error)
        call.state = "blocked" if call.error else "queued"
        call.save(force_insert=True)


def remind(notice: Notice, now: datetime) -> None:
    """Make a reminder, which names nobody: the recipient knows the notice."""
    call = Call(notice=notice, kind="reminder", made_at=now, due_at=now)
    _seal(call, _body(call, ()))
    call.save(force_insert=True)


def silent(now: datetime) -> list[Notice]:
    """Recipients who were told by webhook, should have answered, and are to be reminded."""
    long_ago = now - REMIND_AFTER
    asked = Q(reminded_at=None) | Q(reminded_at__lt=long_ago)
    told = Notice.objects.filter(asked, acknowledged_at=None, told_at__lt=long_ago)
    found = told.filter(calls__kind="erasure", calls__state="sent").distinct()
    return [
        notice
        for notice in found
        if notice.calls.filter(kind="reminder", made_at__gte=notice.told_at).count() < REMINDERS
        and not notice.calls.filter(state="queued").exists()
    ]


def due(now: datetime) -> list[UUID]:
    """Messages whose time to be sent, or sent again, has come."""
    waiting = Call.objects.filter(state="queued", due_at__lte=now)
    return list(waiting.order_by("due_at").values_list("id", flat=True))


def content(call: Call) -> bytes:
    """The body. Raises KeyDestroyed once it was taken."""
    return vault.unseal(vault.open_key(call.id, "call"), call.sealed or b"", label=_label(call))


def forget(call: Call) -> None:
    """Nothing of the body is left."""
    vault.destroy_key(call.id, "call")
    Call.objects.filter(pk=call.pk).update(sealed=None)


def _body(call: Call, people: Sequence[dict[str, str]]) -> bytes:
    notice = call.notice
    first = notice.calls.filter(kind="erasure").values_list("id", flat=True).first()
    return hooks.body(
        event=f"recipient.{call.kind}",
        notice=str(first or call.id),
        dataset=notice.dataset,
        controller=settings.LETHE_CONTROLLER,
        law=notice.request.law,
        people=people,
    )


def _seal(call: Call, body: bytes) -> None:
    key = vault.make_key(call.id, "call")
    call.sealed = vault.seal(key, body, label=_label(call))
    call.sha256 = hashlib.sha256(body).hexdigest()


def _sealed(key: bytes, plain: bytes) -> bytes:
    return vault.seal(key, plain, label="")


def _label(call: Call) -> str:
    return f"call:{call.id}"
