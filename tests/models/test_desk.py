"""Models at the desk: what an officer sees and decides, and who may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasure.models import ModelJob
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, SUBJECT, World, email
from tests.models.test_queue import BATCHED, swept
from tests.web.api_cast import caller
from tests.web.browser import measured
from tests.web.conftest import Person, everything_written, person
from tests.web.test_for_everybody import AUDIT

LIST = "/admin/erasure/modeljob/"
INVENTORY = f"{LIST}inventory/"


@pytest.fixture
def officer(transactional_db: None) -> Person:
    return person("olga", "officer")


@pytest.fixture
def owner(transactional_db: None) -> Person:
    """Of models: decides about them, and may see no case."""
    return person("otto", "model_owner")


def deeds(job: ModelJob) -> dict[str, dict[str, str]]:
    return {
        f"{LIST}{job.pk}/overrule/": {"version": "*", "action": "delete", "because": "unused"},
        f"{LIST}{job.pk}/begin/": {},
        f"{LIST}{job.pk}/cancel/": {"because": "not today"},
        f"{LIST}{job.pk}/accept/": {},
        f"{LIST}{job.pk}/decline/": {"because": "odd answers"},
    }


def waiting(world: World) -> ModelJob:
    world.train("bayes")
    world.train("bayes")
    world.describe(batch=BATCHED, deployed=["scoring"], utility={"metric": "score"})
    work_off(approved(email(SUBJECT)))
    return ModelJob.objects.get()


def test_the_inventory_tells_versions_people_and_what_waits(world: World, officer: Person) -> None:
    waiting(world)
    text = officer.get(INVENTORY).content.decode()
    for words in ("models.forecast", "data team", "shop.visit", "1 person", "statistics", "scoring",
                  "before the deadline", "served", "<svg", ">v1<"):  # fmt: skip
        assert words in text, words
    assert email(SUBJECT) not in text
    assert world.hasher()(SUBJECT) not in text


def test_what_was_decided_and_measured_stays_when_the_version_is_gone(
    world: World, officer: Person
) -> None:
    world.train("bayes")
    world.describe(utility={"metric": "score"})
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    text = officer.get(INVENTORY).content.decode()
    for words in (">v1<", ">v2<", 'class="gone"', job.report["utility_before"][:6], "bit-exact",
                  f"{LIST}{job.pk}/change/", "evidence</a>, signed",
                  "take the people out of its statistics"):  # fmt: skip
        assert words in text, words
    assert world.versions() == ["2"]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_about_models_is_wider_than_the_screen(
    world: World, officer: Person, tmp_path: Path, width: int
) -> None:
    waiting(world)
    world.describe(rollback="14d", cost={"training": 12.5, "currency": "EUR", "most": 60})
    work_off(approved(email(NEIGHBOUR)))
    swept()
    kept = ModelJob.objects.get(state="window")
    late = ModelJob.objects.create(store="models", dataset="models.forecast", people=2)
    for page in (INVENTORY, f"{LIST}{kept.pk}/change/", f"{LIST}{late.pk}/change/", LIST):
        html = officer.get(page).content.decode()
        wide = measured(html, tmp_path, "document.documentElement.scrollWidth", width=width)
        assert wide <= width, page
        assert (
            measured(html.replace("<details", "<details open"), tmp_path, AUDIT, width=width) == []
        )
    assert (
        "is kept, and not served, until"
        in person("otto", "model_owner").get(f"{LIST}{kept.pk}/change/").content.decode()
    )


def test_a_store_that_is_away_is_told(world: World, officer: Person) -> None:
    waiting(world)
    world.models.rename(world.folder / "elsewhere")
    assert "the registry&#x27;s folder is not there" in officer.get(INVENTORY).content.decode()


def test_what_was_decided_stands_on_the_jobs_page_with_its_reason(
    world: World, owner: Person
) -> None:
    job = waiting(world)
    owner.post(f"{LIST}{job.pk}/begin/")
    swept()
    text = owner.get(f"{LIST}{job.pk}/change/").content.decode()
    for words in ("take the people out of its statistics", "Superseded", "count decrement",
                  "membership inference", "bit-exact"):  # fmt: skip
        assert words in text, words
    assert "Overrule" not in text


def test_an_owner_of_models_overrules_and_is_named(world: World, owner: Person) -> None:
    job = waiting(world)
    assert "Overrule" in owner.get(f"{LIST}{job.pk}/change/").content.decode()
    for address, form in list(deeds(job).items())[:2]:
        assert owner.post(address, **form).status_code == 302
    swept()
    job.refresh_from_db()
    assert {d["action"] for d in job.decisions} == {"delete"}
    assert {d["by"] for d in job.decisions} == {"otto"}
    assert world.versions() == []
    assert owner.get("/admin/erasure/erasurerequest/").status_code == 403


def test_an_overruling_without_reason_changes_nothing(world: World, owner: Person) -> None:
    job = waiting(world)
    address, form = next(iter(deeds(job).items()))
    owner.post(address, **{**form, "because": " "})
    job.refresh_from_db()
    assert job.overruled == {}
    assert (
        "say why the decision is overruled" in owner.get(f"{LIST}{job.pk}/change/").content.decode()
    )


@pytest.mark.parametrize("rights", [("auditor",), ()])
def test_whoever_may_not_decide_changes_nothing(world: World, rights: tuple[str, ...]) -> None:
    job = waiting(world)
    who = person("ada", *rights)
    before = (everything_written(), ModelJob.objects.values().get())
    for address, form in deeds(job).items():
        assert who.post(address, **form).status_code == 403
        assert who.get(address).status_code == 405
    assert (everything_written(), ModelJob.objects.values().get()) == before
    seen = 200 if rights else 403
    for page in (INVENTORY, f"{LIST}{job.pk}/change/", LIST):
        assert who.get(page).status_code == seen
    assert "Begin now" not in who.get(f"{LIST}{job.pk}/change/").content.decode()


def test_the_plan_tells_what_will_become_of_each_version_and_why(
    world: World, officer: Person
) -> None:
    world.train("bayes")
    world.train("bayes")
    world.describe()
    request = approved(email(SUBJECT))
    text = officer.get(f"/admin/erasure/erasurerequest/{request.pk}/change/").content.decode()
    for words in ("Version 1", "delete this version everywhere", "superseded", "Version 2",
                  "take the people out of its statistics", "bit-exact"):  # fmt: skip
        assert words in text, words
    assert world.hasher()(SUBJECT) not in text


def test_the_owner_answers_a_proposed_version_at_the_desk(
    world: World, owner: Person, officer: Person
) -> None:
    world.train("bayes")
    world.describe(promote="propose")
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    page = f"{LIST}{job.pk}/change/"
    assert "Version 2 waits for your answer" in owner.get(page).content.decode()
    assert "Promote it" not in officer.get(page).content.decode()
    assert officer.post(f"{LIST}{job.pk}/accept/").status_code == 403
    owner.post(f"{LIST}{job.pk}/accept/")
    swept()
    job.refresh_from_db()
    assert (job.state, job.accepted_by, world.versions()) == ("done", "otto", ["2"])


def test_an_owners_pipeline_reads_the_evidence_and_answers(world: World) -> None:
    world.train("bayes")
    world.describe(promote="propose")
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    pipeline = caller("model_owner")
    found = pipeline.get(f"/models/{job.pk}")
    assert found.json()["report"]["proposed"] == "2"
    assert world.hasher()(SUBJECT) not in found.content.decode()
    assert caller("officer").post(f"/models/{job.pk}/accept").status_code == 403
    assert pipeline.post(f"/models/{job.pk}/accept").status_code == 200
    swept()
    assert world.versions() == ["2"]


def test_what_is_decided_at_the_desk_can_be_decided_through_the_api(world: World) -> None:
    job = waiting(world)
    officer, approver = caller("officer"), caller("approver")
    overruling = {"version": "2", "action": "quarantine", "because": "no contract"}
    for deed, body in (("overrule", overruling), ("begin", {}), ("cancel", {"because": "later"})):
        assert approver.post(f"/models/{job.pk}/{deed}", body).status_code == 403
    job.refresh_from_db()
    assert (job.state, job.overruled, job.asked_by) == ("queued", {}, "")
    assert officer.post(f"/models/{job.pk}/overrule", {"action": "forget"}).status_code == 400
    assert officer.post(f"/models/{job.pk}/overrule", overruling).status_code == 200
    assert officer.post(f"/models/{job.pk}/begin").status_code == 200
    job.refresh_from_db()
    assert (job.overruled["2"]["action"], job.due_why) == ("quarantine", "asked for")
    cancelled = officer.post(f"/models/{job.pk}/cancel", {"because": "not today"})
    assert cancelled.json()["state"] == "cancelled"
    assert officer.post(f"/models/{job.pk}/begin").status_code == 409
