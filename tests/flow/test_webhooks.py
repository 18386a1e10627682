"""Recipients are told by webhook: signed, at least once, with no more than they need to know."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from erasure import calling
from erasure.advance import Job, due_jobs, finish_keys, perform
from erasure.domain.hooks import encryption_key
from erasure.flow import decide, identify, planning, reopen, webhook
from erasure.models import Call, DataKey, ErasureRequest, LedgerLeaf, Notice
from tests.flow.beside import body_of
from tests.flow.cast import APPROVER, CATALOGUE, NEIGHBOUR, OFFICER, ROWS, SUBJECT, MemoryShop
from tests.flow.deeds import approved, planned, work_off

SECRET = "a secret of both sides"
PARTNER = """
  - fides_key: partner
    erasure: {store: partner}
    collections:
      - name: list
        fields:
          - name: customer
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
"""


class Recipient:
    """A machine that is told: what it got, and what it answers next (200 unless told)."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        recipient = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                recipient.got.append((self.path, dict(self.headers), body))
                self.send_response(recipient.answers.pop(0) if recipient.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/erasures"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> Any:
        """The body of the last message."""
        return json.loads(self.got[-1][2])


@pytest.fixture
def recipient(settings: LazySettings) -> Iterator[Recipient]:
    settings.DEBUG = True  # plain HTTP on this machine
    made = Recipient()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def listed(
    memory_shop: MemoryShop, recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., MemoryShop]:
    """The shop has a recipient with a webhook of these options."""
    monkeypatch.setenv("PARTNER_SECRET", SECRET)
    monkeypatch.setenv("SHORT_SECRET", "short")

    def describe(**more: str) -> MemoryShop:
        options = {"webhook": recipient.url, "secret": "${PARTNER_SECRET}",
                   "identifiers": ["email"]} | more  # fmt: skip
        options = {name: value for name, value in options.items() if value != ""}
        store = f"  - {{name: partner, kind: manual, options: {json.dumps(options)}}}\ndataset:"
        memory_shop.describe(CATALOGUE.read_text().replace("dataset:", store, 1) + PARTNER)
        return memory_shop

    return describe


def erased() -> ErasureRequest:
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def again() -> None:
    """The time for another try has come."""
    Call.objects.filter(state="queued").update(due_at=timezone.now())
    for job in due_jobs():
        if job.name == "tell":
            perform(job)


def keyed(kind: str, value: str) -> str:
    return hmac.new(SECRET.encode(), f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()


def test_a_recipient_is_told_signed_and_nothing_readable_leaves(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed()
    request = erased()
    ((path, headers, body),) = recipient.got
    assert path == "/erasures"
    assert calling.is_signed(SECRET.encode(), body, headers, now=timezone.now())
    assert recipient.told()["subject"] == [{"kind": "email", "keyed": keyed("email", SUBJECT)}]
    assert SUBJECT not in body.decode().casefold()
    assert NEIGHBOUR not in str(recipient.got)
    call, notice = Call.objects.get(), Notice.objects.get()
    assert headers["Lethe-Delivery"] == str(call.id) == recipient.told()["notice"]
    assert (call.state, call.sealed, call.error) == ("sent", None, "")
    assert call.sha256 == hashlib.sha256(body).hexdigest()
    assert DataKey.objects.get(owner=call.id).destroyed_at is not None
    assert (notice.told_by, notice.acknowledged_by) == ("Lethe", "Lethe")
    assert body_of(request)["recipients"][0]["channel"] == "webhook"
    assert LedgerLeaf.objects.filter(kind="recipient_answered").count() == 1
    again()
    assert len(recipient.got) == 1


@pytest.mark.parametrize("form", ["clear", "encrypted"])
def test_the_catalogue_says_in_which_form_the_identifiers_go(
    listed: Callable[..., MemoryShop], recipient: Recipient, form: str
) -> None:
    listed(form=form)
    erased()
    (subject,) = recipient.told()["subject"]
    if form == "clear":
        assert subject == {"kind": "email", "value": SUBJECT}
    else:
        sealed = b64decode(subject["encrypted"])
        opened = AESGCM(encryption_key(SECRET.encode())).decrypt(sealed[:12], sealed[12:], b"")
        assert opened.decode() == SUBJECT


def test_a_recipient_who_is_away_is_told_again_with_the_same_bytes(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed()
    recipient.answers = [503, 429, 200]
    erased()
    call = Call.objects.get()
    assert (call.state, call.tries) == ("queued", 1)
    assert call.error.startswith("partner: the webhook answered 503")
    assert call.due_at > timezone.now()
    assert Notice.objects.get().told_at is None
    again()
    again()
    assert Call.objects.get().state == "sent"
    assert len({body for _, _, body in recipient.got}) == 1
    assert len({headers["Lethe-Delivery"] for _, headers, _ in recipient.got}) == 1


@pytest.mark.parametrize("answer", [400, 302])
def test_a_recipient_who_refuses_is_for_a_person_and_the_body_is_forgotten(
    listed: Callable[..., MemoryShop], recipient: Recipient, answer: int
) -> None:
    listed()
    recipient.answers = [answer]
    erased()
    call = Call.objects.get()
    assert (call.state, call.sealed) == ("blocked", None)
    assert "write to them instead" in call.error
    assert Notice.objects.get().told_at is None
    assert DataKey.objects.get(owner=call.id).destroyed_at is not None


def test_it_is_not_tried_for_ever(listed: Callable[..., MemoryShop], recipient: Recipient) -> None:
    listed()
    recipient.answers = [503, 503]
    erased()
    Call.objects.update(tries=webhook.TRIES - 1)
    again()
    call = Call.objects.get()
    assert (call.state, call.sealed) == ("blocked", None)
    assert f"tried {webhook.TRIES} times" in call.error


def test_a_caller_that_dies_is_replaced_and_two_do_not_call_at_once(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed()
    recipient.answers = [503]
    erased()
    call = Call.objects.get()
    Call.objects.update(due_at=timezone.now() + timedelta(minutes=2))  # claimed by the dead
    perform(Job("tell", call.id))
    assert len(recipient.got) == 1
    again()
    assert Call.objects.get().state == "sent"


def test_an_acknowledgment_by_callback_is_signed_and_recorded_once(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed(acknowledges="callback")
    erased()
    notice = Notice.objects.get()
    assert (notice.told_by, notice.acknowledged_at) == ("Lethe", None)
    place, body = f"/api/v1/acknowledgments/{Call.objects.get().id}", b'{"done": true}'

    def answered(secret: bytes, sent: bytes = body, where: str = place) -> int:
        signed = calling.sign(secret, body, timezone.now())
        answer = Client().post(where, sent, content_type="application/json", headers=signed)
        return int(answer.status_code)

    nobody = "/api/v1/acknowledgments/00000000-0000-4000-8000-000000000000"
    assert answered(b"not the secret") == 403
    assert answered(SECRET.encode(), b"{}") == 403
    assert answered(SECRET.encode(), where=nobody) == 403
    notice.refresh_from_db()
    assert notice.acknowledged_at is None
    assert answered(SECRET.encode()) == 204
    notice.refresh_from_db()
    first = notice.acknowledged_at
    assert first is not None
    assert answered(SECRET.encode()) == 204
    notice.refresh_from_db()
    assert notice.acknowledged_at == first


def test_whoever_does_not_answer_is_reminded_and_the_reminder_names_nobody(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed(acknowledges="callback")
    erased()
    finish_keys()
    assert Call.objects.count() == 1
    Notice.objects.update(told_at=timezone.now() - timedelta(days=15))
    finish_keys()
    again()
    told = recipient.told()
    assert told["event"] == "recipient.reminder"
    assert told["notice"] == str(Call.objects.get(kind="erasure").id)
    assert "subject" not in told
    assert Notice.objects.get().reminded_at is not None
    finish_keys()
    assert Call.objects.count() == 2  # not again before two more weeks


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"identifiers": []}, "identifiers"),
        ({"secret": "a secret in clear, of both"}, "write ${NAME}"),
        ({"secret": "${SHORT_SECRET}"}, "16 characters"),
        ({"webhook": "http://user:pw@127.0.0.1/"}, "login"),
        ({"identifiers": ["phone_home"]}, "none of phone_home is known"),
    ],
)
def test_a_webhook_that_is_none_keeps_nobody_from_being_erased_and_a_person_sees_why(
    listed: Callable[..., MemoryShop], recipient: Recipient, options: Any, told: str
) -> None:
    listed(**options)
    erased()
    call = Call.objects.get()
    assert (call.state, call.sealed, recipient.got) == ("blocked", None, [])
    assert told in call.error


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"secret": ""}, "needs a `secret`"),
        ({"webhook": "http://user:pw@127.0.0.1/"}, "login"),
        ({}, ""),
    ],
)
def test_a_webhook_that_is_none_is_told_before_anybody_is_erased(
    listed: Callable[..., MemoryShop],
    options: Any,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed(**options)
    with suppress(CommandError):  # the shop's catalogue lacks purposes
        call_command("check_lineage")
    found = capsys.readouterr().out
    warned = [w for w in planned(SUBJECT).plans.get().warnings if "not told by machine" in w]
    assert ("[webhook-unusable]" in found, len(warned)) == ((True, 1) if told else (False, 0))
    assert told in found
    assert told in "".join(warned)


def test_a_recipient_without_a_webhook_is_told_by_hand(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    listed(webhook="")
    request = erased()
    assert not Call.objects.exists()
    assert body_of(request)["recipients"][0]["channel"] == "by hand"


def reopened_and_erased(request: ErasureRequest) -> ErasureRequest:
    given = [("email", SUBJECT)]
    reopen.reopen_case(request, identifiers=given, why="seen_again", because="x", by=OFFICER)
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    planning.make_plan(request, by=OFFICER)
    digest = request.plans.get(state="draft").digest
    decide.approve_plan(request, digest=digest, by=APPROVER)
    work_off(request)
    again()
    return request


def carried_out_twice(shop: MemoryShop, table: str, place: int, **changed: str) -> ErasureRequest:
    """The person is erased; then a row is there (again), and they are erased once more."""
    shop.delete("invoice", 1)
    request = approved(SUBJECT)
    work_off(request)
    finish_keys()
    row = {**ROWS["shop_db"][table][place], **changed}
    shop.delete(table, row["id"])
    shop.insert(table, row)
    reopened_and_erased(request)
    assert request.state == "completed", request.blocked_because
    return request


def test_who_was_told_of_the_first_erasure_is_told_of_the_second_as_well(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    carried_out_twice(listed(), "customer", 0)
    first, second = (json.loads(body) for _, _, body in recipient.got)
    assert first["notice"] == second["notice"]
    notice = Notice.objects.get()
    assert None not in (notice.told_at, notice.acknowledged_at)
    kinds = ("told", "to_tell_again", "recipient_answered")
    leaves = LedgerLeaf.objects.filter(kind__in=kinds).order_by("index")
    once = ["told", "recipient_answered"]
    assert [leaf.kind for leaf in leaves] == [*once, "to_tell_again", *once]
    again()
    assert len(recipient.got) == 2


def test_who_has_nothing_of_what_the_second_erasure_found_is_left_in_peace(
    listed: Callable[..., MemoryShop], recipient: Recipient
) -> None:
    carried_out_twice(listed(), "employee", 0, email=SUBJECT)
    assert len(recipient.got) == 1
    assert not LedgerLeaf.objects.filter(kind="to_tell_again").exists()
