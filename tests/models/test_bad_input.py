"""What can be wrong with a model, its data or the people: each ends in a state that says so, and
nothing is served that was not verified."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.flow import decide
from erasure.models import ErasureRequest, ModelJob
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, OTHER, SUBJECT, World, email
from tests.models.test_end_to_end import audit_of, forget, same_as_independent
from tests.models.test_queue import swept


def changed(world: World, *statements: str) -> None:
    """The shop's data, and the copy that independent trainings learn from."""
    for path in (world.shop, world.folder / "copy.sqlite3"):
        with closing(sqlite3.connect(path)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()


def bytes_of(world: World) -> dict[str, bytes]:
    """Of the version that is there, and what is served."""
    folder = world.models / "forecast"
    files = [*(folder / "1").rglob("*"), folder / "current"]
    return {p.name: p.read_bytes() for p in files if p.is_file()}


def assert_blocked(world: World, request: ErasureRequest, before: dict[str, bytes]) -> str:
    """With a reason that names nobody; the old version is what it was, and served."""
    job = ModelJob.objects.get()
    assert (request.state, job.state) == ("blocked", "blocked")
    assert job.error
    assert job.error in request.blocked_because
    assert email(SUBJECT) not in job.error
    assert bytes_of(world) == before
    assert world.versions() == ["1"]
    assert world.store().load("forecast") is not None
    return job.error


def test_an_artifact_that_does_not_load_is_trained_anew(world: World) -> None:
    world.train("ridge")
    world.describe()
    folder = world.models / "forecast" / "1"
    (folder / "model.skops").write_bytes(b"no model at all")
    said = json.loads((folder / "manifest.json").read_text())
    said["artifact"] = sha256(b"no model at all").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(said, indent=1, sort_keys=True))
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    assert "the artifact cannot be loaded (BadZipFile)" in audit_of(request)["fell_back"]
    assert world.versions() == ["2"]
    same_as_independent(world, "ridge", SUBJECT)


def test_training_data_that_are_gone_block_the_job(world: World) -> None:
    world.train("plain")
    world.describe(source={"shop": "../gone.sqlite3"})
    before = bytes_of(world)
    assert_blocked(world, forget(SUBJECT), before)
    world.describe()  # the data are back
    request = ErasureRequest.objects.get()
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == ["2"]


NO_NUMBERS = ("NULL", "9e999", "-9e999")


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_in_the_data_is_not_learnt(world: World, value: str) -> None:
    world.train("plain")
    world.describe()
    before = bytes_of(world)
    changed(world, f"UPDATE visit SET a = {value} WHERE customer_id = {NEIGHBOUR}")
    assert "recipe" in assert_blocked(world, forget(SUBJECT), before)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((kind, value) for kind in ("logistic", "ridge", "bayes") for value in NO_NUMBERS),
        ("sharded", "9e999"),  # its trees know what to do without a value
    ],
)
def test_no_version_is_published_on_what_is_no_number(world: World, kind: str, value: str) -> None:
    world.train(kind)
    before = bytes_of(world)
    changed(world, f"UPDATE visit SET a = {value} WHERE customer_id = {NEIGHBOUR}")
    with pytest.raises(StoreError):
        world.train(kind)
    assert bytes_of(world) == before
    assert world.versions() == ["1"]


ALONE = (
    "UPDATE visit SET customer_id = customer_id + 1 WHERE customer_id % 2 = 1 AND customer_id > 1"
)


def test_somebody_with_all_rows_of_a_class_takes_the_class_along(world: World) -> None:
    changed(world, ALONE.replace("+ 1", "- 1"))
    world.train("bayes")
    world.describe()
    assert list(world.store().load("forecast").classes_) == [0, 1]  # type: ignore[attr-defined]
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    assert list(world.store().load("forecast").classes_) == [0]  # type: ignore[attr-defined]


def test_where_one_class_alone_cannot_be_learnt_the_job_is_blocked(world: World) -> None:
    changed(world, ALONE.replace("+ 1", "- 1"))
    world.train("logistic")
    world.describe()
    before = bytes_of(world)
    why = assert_blocked(world, forget(SUBJECT), before)
    assert "cannot be learnt" in why


def test_a_shard_that_is_emptied_is_left_out(world: World) -> None:
    changed(world, "DELETE FROM visit WHERE customer_id > 4")
    world.train("sharded")
    world.describe()
    assert len(world.store().load("forecast").shards_) <= 4  # type: ignore[attr-defined]
    for person in (SUBJECT, NEIGHBOUR):
        request = forget(person)
        assert request.state == "completed", request.blocked_because
    same_as_independent(world, "sharded", SUBJECT, NEIGHBOUR)


def test_the_same_person_twice_is_forgotten_once_and_counted_once(world: World) -> None:
    world.train("bayes")
    changed(
        world,
        f"INSERT INTO visit (customer_id, a, b, c) "
        f"SELECT customer_id, a, b, c FROM visit WHERE customer_id = {SUBJECT}",
    )
    world.train("bayes")
    world.describe(batch={"every": "4w", "people": 2})
    first, again = approved(email(SUBJECT)), None
    work_off(first)
    again = approved(email(OTHER))
    work_off(first, again)
    swept()
    for request in (first, again):
        request.refresh_from_db()
        assert request.state == "completed", request.blocked_because
    told = audit_of(first)
    assert told["old_people"] - told["new_people"] == 2
    same_as_independent(world, "bayes", SUBJECT, OTHER)


def test_whoever_comes_back_is_forgotten_again(world: World) -> None:
    world.train("bayes")
    world.describe()
    assert forget(SUBJECT).state == "completed"
    back = f"INSERT INTO customer VALUES ({SUBJECT}, '{email(SUBJECT)}')"
    changed(world, back.replace("INSERT", "INSERT OR IGNORE"),
            f"INSERT INTO visit (customer_id, a, b, c) VALUES ({SUBJECT}, 1, 2, 3)")  # fmt: skip
    world.train("bayes")
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    same_as_independent(world, "bayes", SUBJECT)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "manifest.json").write_bytes(b"{"), "manifest"),
        (lambda f: (f / "manifest.json").write_bytes(b""), "manifest"),
        (lambda f: (f / "model.skops").unlink(), ""),
    ],
)
def test_a_damaged_version_is_never_taken_for_one_that_forgot(
    world: World, damage: Callable[[Path], object], words: str
) -> None:
    world.train("plain")
    world.describe()
    request = approved(email(SUBJECT))
    damage(world.models / "forecast" / "1")
    work_off(request)
    if words:
        assert request.state == "blocked"
        assert words in request.blocked_because
    else:
        assert request.state == "completed", request.blocked_because
        same_as_independent(world, "plain", SUBJECT)
