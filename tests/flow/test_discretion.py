"""Places where identifiers hide: messages, logs, errors, the control database itself."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.test import override_settings

from erasure import tasks
from erasure.advance import Job
from erasure.domain.errors import LetheError
from erasure.flow import intake
from erasure.models import ErasureRequest, Event, LedgerLeaf
from lineage.errors import LineageError
from tests.flow.cast import NEIGHBOUR, OFFICER, SUBJECT, Shop
from tests.flow.deeds import approved, identified, started, work_off

WORDS = ("archer", "030 5550001", "030 5550009", "quiet lane")


def assert_discreet(text: str, place: str) -> None:
    for word in WORDS:
        assert word not in text.casefold(), f"{word} in {place}"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...], str]]:
    """Messages that would have gone to the broker: task, arguments, queue."""
    messages: list[tuple[str, tuple[Any, ...], str]] = []

    def publish(self: Any, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        assert not kwargs
        messages.append((self.name, tuple(args), str(options.get("queue"))))

    monkeypatch.setattr("celery.app.task.Task.apply_async", publish)
    return messages


def test_messages_hold_ids_and_names_of_stores_and_nothing_else(
    shop: Shop, sent: list[tuple[str, tuple[Any, ...], str]]
) -> None:
    request = approved(SUBJECT)
    tasks.enqueue(Job("advance", request.id))
    carried = 0
    while carried < len(sent):
        name, arguments, _ = sent[carried]
        carried += 1
        if name.endswith("advance"):
            tasks.advance.run(*arguments)
        else:
            tasks.act_on_store.run(*arguments)
    request.refresh_from_db()
    assert request.state == "partly_granted"
    run = request.run
    assert run is not None
    allowed = {str(request.id), str(run.id), "shop_db", "crm_db", shop.kind}
    assert {argument for _, arguments, _ in sent for argument in arguments} == allowed
    queues = {queue for name, _, queue in sent if name.endswith("act_on_store")}
    assert queues == {f"store.{shop.kind}"}
    assert_discreet(json.dumps(sent), "the broker")


def test_a_message_is_sent_only_once_the_transaction_has_committed(
    shop: Shop, sent: list[tuple[str, tuple[Any, ...], str]]
) -> None:
    request = approved(SUBJECT)
    with transaction.atomic():
        tasks.enqueue(Job("advance", request.id))
        assert sent == []
    assert len(sent) == 1


def test_the_sweep_sends_again_what_a_lost_broker_took_along(
    shop: Shop, sent: list[tuple[str, tuple[Any, ...], str]]
) -> None:
    ann, ben = approved(SUBJECT), identified(("email", NEIGHBOUR))
    tasks.sweep()
    assert {arguments for _, arguments, _ in sent} == {(str(ann.id),), (str(ben.id),)}


def test_one_message_moves_a_whole_run(
    shop: Shop, sent: list[tuple[str, tuple[Any, ...], str]]
) -> None:
    started(approved(SUBJECT), approved(NEIGHBOUR))
    tasks.sweep()
    assert len(sent) == 1


@override_settings(DEBUG=True)
def test_logs_hold_no_identifier_even_at_their_loudest(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Statements are logged, of both databases; rows would be only on SQLAlchemy's own DEBUG."""
    caplog.set_level(logging.INFO, logger="sqlalchemy")
    caplog.set_level(logging.DEBUG, logger="django")
    caplog.set_level(logging.DEBUG)
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted"
    assert {"django.db.backends"} <= {record.name for record in caplog.records}
    assert_discreet(caplog.text, "the logs")
    for record in caplog.records:
        assert_discreet(repr(record.__dict__), record.name)


def test_the_control_database_holds_no_identifier_in_clear(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    for model in (*apps.get_app_config("erasure").get_models(),):
        for row in model._default_manager.values():
            for name, value in row.items():
                raw = bytes(value) if isinstance(value, memoryview) else value
                text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
                assert_discreet(text, f"{model.__name__}.{name}")


def test_files_of_the_home_hold_no_identifier_in_clear(shop: Shop) -> None:
    work_off(approved(SUBJECT))
    for path in Path(settings.LETHE_HOME).rglob("*"):
        if path.is_file() and "sqlite3" not in path.name:
            assert_discreet(path.read_bytes().decode("latin-1"), path.name)


@pytest.mark.parametrize(
    "identifiers",
    [
        [("email", "ann archer at home")],
        [("email", "archer\n@example.com")],
        [("passport", "archer")],
        [],
    ],
)
def test_what_cannot_be_asked_is_refused_without_repeating_it(
    shop: Shop, identifiers: list[tuple[str, str]]
) -> None:
    with pytest.raises((LetheError, LineageError)) as caught:
        intake.open_request(identifiers, by=OFFICER)
    assert_discreet(str(caught.value), "the error")
    assert not ErasureRequest.objects.exists()


def test_events_and_ledger_tell_who_did_what_and_not_to_whom(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    story = list(Event.objects.filter(subject_id=str(request.id)).values_list("to_state", "by"))
    assert story == [
        ("identified", "officer"),
        ("planned", "officer"),
        ("approved", "approver"),
        ("executing", "run"),
        ("verifying", "run"),
        ("partly_granted", "run"),
    ]
    leaves = [leaf.payload for leaf in LedgerLeaf.objects.all()]
    assert_discreet(" ".join(leaves), "the ledger")
