"""Who promotes a new version, what is signed, who is told, and the way back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import Denied, StoreError, UsageError, WrongState
from erasure.domain.roles import Actor
from erasure.evidence import keys, signing
from erasure.flow import digest, overrule, promote
from erasure.flow.release import release
from erasure.models import ErasureRequest, LedgerLeaf, ModelJob
from erasure.runs import modelling, pipelines, quarantining
from erasure.stores.model_registry import ModelRegistryStore
from lineage import selectors
from tests.flow.cast import INTRUDER, OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, SUBJECT, World, email
from tests.models.test_end_to_end import same_as_independent
from tests.models.test_queue import swept

OWNER = Actor("olga", roles=["model_owner"])


@pytest.fixture
def proposing(world: World) -> World:
    world.train("plain")
    world.describe(promote="propose")
    return world


def erased(person: int = SUBJECT) -> ErasureRequest:
    request = approved(email(person))
    work_off(request)
    return request


def served(world: World) -> str:
    return (world.models / "forecast" / "current").read_text().strip()


def test_a_proposed_version_waits_for_its_owner_and_the_old_one_is_served(
    proposing: World,
) -> None:
    request = erased()
    job = ModelJob.objects.get()
    assert (job.state, job.report["proposed"], request.state) == ("proposed", "2", "executing")
    assert job.report["reexecution_matched"] is True
    assert "provenance" not in job.report
    assert (served(proposing), proposing.versions()) == ("1", ["1", "2"])
    swept()
    job.refresh_from_db()
    assert job.state == "proposed"
    promote.accept(job, by=OWNER)
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    assert (served(proposing), proposing.versions()) == ("2", ["2"])
    same_as_independent(proposing, "plain", SUBJECT)
    job.refresh_from_db()
    assert job.report["provenance"]["value"]["promoted_by"] == "olga"
    with pytest.raises(WrongState):
        promote.accept(job, by=OWNER)


def test_what_is_promoted_is_the_version_that_was_accepted_and_no_other(
    proposing: World,
) -> None:
    erased()
    erased(NEIGHBOUR)
    first, second = ModelJob.objects.order_by("opened_at")
    assert (first.report["proposed"], second.report["proposed"]) == ("2", "3")
    promote.accept(first, by=OWNER)
    swept()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.report["new"], second.state) == ("done", "2", "proposed")
    assert (served(proposing), proposing.versions()) == ("2", ["2", "3"])


def test_where_the_accepted_version_has_gone_another_is_proposed_and_not_served(
    proposing: World,
) -> None:
    request = erased()
    job = ModelJob.objects.get()
    promote.accept(job, by=OWNER)
    words = {"reason": "underperforming", "because": "odd", "only": ["2"], "yes": True}
    call_command("retire_model", job.dataset, **words)
    swept()
    job.refresh_from_db()
    assert (job.state, job.report["proposed"], job.accepted_by) == ("proposed", "3", "")
    assert (served(proposing), proposing.versions()) == ("1", ["1", "3"])
    promote.accept(job, by=OWNER)
    swept()
    request.refresh_from_db()
    assert (request.state, served(proposing)) == ("completed", "3")


def test_an_answer_does_not_outlive_a_filter(proposing: World) -> None:
    erased()
    job = ModelJob.objects.get()
    promote.accept(job, by=OWNER)
    day = timezone.localdate() + timedelta(days=10)
    overrule.overrule(job, version="*", action="filter", by=OFFICER, because="later", until=day)
    swept()
    job.refresh_from_db()
    assert (job.state, job.accepted_by) == ("queued", "")
    ended = timezone.now() - timedelta(seconds=1)
    ModelJob.objects.update(filtered_until=ended, due_at=ended)
    swept()
    job.refresh_from_db()
    assert (job.state, served(proposing)) == ("proposed", "1")


@pytest.mark.parametrize("by", [OFFICER, INTRUDER])
def test_nobody_else_promotes(proposing: World, by: Actor) -> None:
    erased()
    job = ModelJob.objects.get()
    before = (job.state, job.accepted_by, served(proposing), LedgerLeaf.objects.count())
    with pytest.raises(Denied):
        promote.accept(job, by=by)
    with pytest.raises(Denied):
        promote.decline(job, by=by, because="no")
    job.refresh_from_db()
    assert before == (job.state, job.accepted_by, served(proposing), LedgerLeaf.objects.count())


def test_a_declined_version_goes_and_whoever_waits_is_told_why(proposing: World) -> None:
    request = erased()
    job = ModelJob.objects.get()
    with pytest.raises(UsageError, match="say why"):
        promote.decline(job, by=OWNER, because=" ")
    promote.decline(job, by=OWNER, because="its answers are odd")
    work_off(request)
    assert request.state == "blocked"
    assert "its answers are odd" in request.blocked_because
    assert (served(proposing), proposing.versions()) == ("1", ["1"])


def test_a_promoted_version_is_signed_where_it_came_from(world: World) -> None:
    world.train("bayes")
    world.describe()
    erased()
    (path,) = (world.models / "forecast").glob("*/provenance.json")
    signed = json.loads(path.read_text())
    assert signed["value"]["new"] == path.parent.name
    found = (signing.pinned_keys(), signed["key"], signed["signature"], keys.MODEL_CONTEXT)
    assert keys.fault(*found, signed["value"]) is None
    assert keys.fault(*found, {**signed["value"], "new_artifact": "0"}) is not None
    assert LedgerLeaf.objects.filter(kind="model_promoted").count() == 1
    job = ModelJob.objects.get()
    assert job.report["provenance"] == signed


@pytest.mark.parametrize("where", ["before the marker", "after it"])
def test_killed_while_a_promotion_is_put_on_record_it_is_on_record_once(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Killed(BaseException):
        pass

    sign = ModelRegistryStore.provenance

    def dies(*arguments: Any) -> None:
        if where == "after it":
            sign(*arguments)
        raise Killed

    world.train("bayes")
    world.describe()
    request = approved(email(SUBJECT))
    monkeypatch.setattr(ModelRegistryStore, "provenance", dies)
    with pytest.raises(Killed):
        work_off(request)
    monkeypatch.setattr(ModelRegistryStore, "provenance", sign)
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    (leaf,) = LedgerLeaf.objects.filter(kind="model_promoted")
    (path,) = (world.models / "forecast").glob("*/provenance.json")
    signed = json.loads(path.read_text())
    assert ModelJob.objects.get().report["provenance"] == signed
    assert json.loads(leaf.payload)["signature"] == signed["signature"]


@pytest.fixture
def windowed(world: World) -> World:
    world.train("plain")
    world.describe(rollback="7d")
    return world


def test_in_the_rollback_window_the_old_version_is_kept_and_not_served(windowed: World) -> None:
    request = erased()
    job = ModelJob.objects.get()
    assert (job.state, request.state) == ("window", "executing")
    assert (served(windowed), windowed.versions()) == ("2", ["1", "2"])
    with pytest.raises(StoreError, match="kept for its owner and not served"):
        windowed.store().load("forecast", "1")
    swept()
    assert windowed.versions() == ["1", "2"]
    ModelJob.objects.update(window_until=timezone.now() - timedelta(seconds=1))
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    assert windowed.versions() == ["2"]
    assert not (windowed.models / "forecast" / "kept.json").exists()
    assert LedgerLeaf.objects.filter(kind="model_promoted").count() == 1


def test_what_gave_way_to_a_training_is_told_when_it_is_served_not_when_the_window_closes(
    world: World, mailoutbox: list[Any]
) -> None:
    """While the window is open the owner can still go back."""
    world.train("wrong_sign")
    world.describe(guarantee="empirical", rollback="7d", tell=["owner@example.com"])
    request = erased()
    assert ModelJob.objects.get().state == "window"
    (mail,) = mailoutbox
    assert "was trained again" in mail.subject
    assert "leads away" in mail.body
    ModelJob.objects.update(window_until=timezone.now() - timedelta(seconds=1))
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    assert len(mailoutbox) == 1


def test_the_window_ends_before_the_deadline_at_the_latest(world: World) -> None:
    world.train("plain")
    world.describe(rollback="1y")
    request = erased()
    job = ModelJob.objects.get()
    assert job.window_until is not None
    assert request.due_at is not None
    assert job.window_until == request.due_at - timedelta(days=3)


def test_the_owner_may_go_back_while_the_window_is_open(
    windowed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def tell(_of: object, said: Any, _key: str) -> dict[str, str]:
        told.append(said)
        return {}

    monkeypatch.setattr(pipelines, "tell_endpoints", tell)
    request = erased()
    job = ModelJob.objects.get()
    promote.decline(job, by=OWNER, because="complaints")
    work_off(request)
    assert (served(windowed), windowed.versions()) == ("1", ["1"])
    assert windowed.store().load("forecast") is not None
    assert request.state == "blocked"
    assert [one["version"] for one in told] == ["2", "1"]


def test_a_version_that_holds_somebody_forgotten_is_an_alarm_in_the_officers_digest(
    world: World, settings: Any, mailoutbox: list[Any]
) -> None:
    world.train("plain")
    world.describe()
    erased()
    with open_store("models") as store:
        assert isinstance(store, ModelRegistryStore)
        folder = store._models()[0]
    (hashed,) = folder.forgotten()
    found = folder.manifest(folder.current() or "")
    (folder.path / "2" / "manifest.json").write_bytes(
        type(found)(**{**found.__dict__, "people": {**found.people, hashed: 1}}).dumps()
    )
    words = "models.forecast: version 2 was trained on 1 people who were forgotten"
    assert modelling.alarmed() == [words]
    settings.LETHE_DIGEST_TO = ["officers@example.com"]
    digest.send_digest(timezone.now())
    assert words in mailoutbox[-1].body


def test_data_without_a_lawful_basis_quarantine_the_model_and_what_derives_from_it(
    world: World,
) -> None:
    from lineage import catalog
    from lineage.importers import fideslang

    world.train("plain")
    world.describe()
    (world.models / "forecast").rename(world.models / "tuned")
    world.train("plain")
    text = (world.folder / "catalogue.yml").read_text()
    path = world.folder / "catalogue.yml"
    path.write_text(
        text
        + """
      - name: tuned
        erasure:
          derived_from: [{dataset: models.forecast, kind: derived}]
          model: {person_key: customer_id}
        fields:
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
"""
    )
    catalog.upsert(fideslang.read([str(path)]), prune=True)
    request = approved(email(SUBJECT))
    ErasureRequest.objects.filter(pk=request.pk).update(ground="unlawful")
    work_off(request)
    assert request.state == "blocked"
    job = ModelJob.objects.get(dataset="models.forecast")
    assert job.state == "quarantined"
    assert "no lawful basis" in job.error
    assert job.report["derived_out_of_service"] == {"models.tuned": ["1"]}
    for model in ("forecast", "tuned"):
        with pytest.raises(StoreError):
            world.store().load(model, "1")
    assert email(NEIGHBOUR) not in json.dumps(job.report)


@pytest.mark.parametrize(
    ("days", "said"),
    [(30, ""), (14, "counts as anonymous until"), (-1, "its day is over and whoever")],
)
def test_the_end_of_an_assessment_as_anonymous_is_an_alarm_before_and_after_it(
    world: World, days: int, said: str
) -> None:
    world.train("plain")
    far = {"assessment": "DPIA 7", "until": str(timezone.now().date() + timedelta(days=60))}
    world.describe(anonymous=far)
    assert erased().state == "completed"
    until = timezone.now().date() + timedelta(days=days)
    (world.models / "forecast" / "exempt.json").write_text(json.dumps({"1": str(until)}))
    assert modelling.alarmed() == []  # the assessment that stands goes on longer
    world.describe(anonymous={"assessment": "DPIA 7", "until": str(until)})
    told = modelling.alarmed()
    assert len(told) == bool(said)
    assert all(said in words and str(until) in words for words in told)


def test_an_old_version_that_is_out_of_service_and_knows_nobody_of_them_blocks_nobody(
    world: World,
) -> None:
    world.train("plain")
    with closing(sqlite3.connect(world.shop)) as db:
        db.execute("INSERT INTO customer VALUES (61, ?)", (email(61),))
        db.execute("INSERT INTO visit (customer_id, a, b, c) VALUES (61, 1, 2, 3)")
        db.commit()
    world.train("plain")
    world.describe()
    with open_store("models") as store:
        assert isinstance(store, ModelRegistryStore)
        dataset = selectors.dataset("models.forecast")
        quarantining.out_of_service(store, dataset, ["1"], "odd answers")
    request = erased(61)
    assert request.state == "completed", request.blocked_because
    assert (served(world), world.versions()) == ("3", ["1", "3"])
    assert world.store()._model(dataset).quarantined() == {"1": "odd answers"}


def test_a_version_out_of_service_comes_back_when_nobody_waits_and_an_officer_says_why(
    world: World,
) -> None:
    world.train("plain")
    world.describe()
    request = approved(email(SUBJECT))
    ErasureRequest.objects.filter(pk=request.pk).update(ground="unlawful")
    work_off(request)
    model = "models.forecast"
    with pytest.raises(WrongState, match="people wait"):
        release(model, "1", by=OFFICER, because="a mistake")
    ErasureRequest.objects.filter(pk=request.pk).update(state="withdrawn")
    with pytest.raises(Denied):
        release(model, "1", by=INTRUDER, because="a mistake")
    with pytest.raises(UsageError, match="say why"):
        release(model, "1", by=OFFICER, because=" ")
    with pytest.raises(StoreError):
        world.store().load("forecast", "1")
    assert not LedgerLeaf.objects.filter(kind="model_released").exists()
    call_command("release_model", model, "1", "--because", "a mistake")
    assert (world.store().load("forecast", "1") is not None, served(world)) == (True, "1")
    assert LedgerLeaf.objects.filter(kind="model_released").count() == 1
    with pytest.raises(StoreError, match="is not out of service"):
        release(model, "1", by=OFFICER, because="a mistake")
