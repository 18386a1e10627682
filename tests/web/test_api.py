"""The API: a case from its receipt to its end, who may do what, and how it says no."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from erasure.inline import run_inline
from erasure.models import ApiToken, ErasureRequest, Hold, IdempotencyKey, LedgerLeaf
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import ROOT, Caller, caller
from tests.web.conftest import everything_written, other, plan_of

NEW = {"identifiers": [{"kind": "email", "value": EMAIL}], "channel": "phone"}
UNTIL = str(timezone.localdate() + timedelta(days=30))


@pytest.fixture
def officer(db: None) -> Caller:
    return caller("officer", name="olga")


@pytest.fixture
def approver(db: None) -> Caller:
    return caller("approver", name="arne")


def opened(officer: Caller) -> ErasureRequest:
    return ErasureRequest.objects.get(pk=officer.post("/requests", NEW).json()["id"])


def said(answer: Any, status: int) -> Any:
    """The problem of an answer."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert EMAIL not in answer.content.decode()
    return problem


def test_a_case_goes_from_its_receipt_to_its_certificate(
    officer: Caller, approver: Caller, shop: Path
) -> None:
    answer = officer.post("/requests", NEW)
    assert answer.status_code == 201
    assert EMAIL not in answer.content.decode()
    case = f"/requests/{answer.json()['id']}"
    assert answer.json()["identifiers"] == [{"kind": "email", "proved_by": ""}]
    assert officer.post(f"{case}/identify", {"method": "rang back"}).json()["state"] == "identified"
    request = plan_of(ErasureRequest.objects.get())
    (plan,) = officer.get(f"{case}/plans").json()["results"]
    steps = officer.get(f"{case}/steps").json()["results"]
    assert [s["ordinal"] for s in steps] == list(range(len(steps)))
    assert (
        approver.post(f"{case}/approve", {"digest": plan["digest"]}).json()["state"] == "approved"
    )
    assert run_inline(request).state == "partly_granted"
    assert officer.get(case).json()["state"] == "partly_granted"
    assert officer.get(f"{case}/letters").json()["results"] == []


def test_a_repeated_call_opens_no_second_request(officer: Caller, shop: Path) -> None:
    key = {"Idempotency-Key": "abc-1"}
    first = officer.post("/requests", NEW, **key)
    again = officer.post("/requests", NEW, **key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    another = {**NEW, "law": "uk"}
    problem = said(officer.post("/requests", another, **key), 422)
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert ErasureRequest.objects.count() == 1
    assert "abc-1" not in str(list(IdempotencyKey.objects.values()))


def test_the_open_case_of_the_same_person_is_found(officer: Caller, shop: Path) -> None:
    first = officer.post("/requests", NEW)
    again = officer.post("/requests", NEW)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"law": "roman"}, "law"),
        ({"identifiers": []}, "identifiers"),
        ({"identifiers": [{"kind": "email"}]}, "identifiers.0.value"),
        ({"received_at": "soon"}, "received_at"),
        ({"received_at": "2999-01-01T00:00:00Z"}, "received"),
        ({"identifiers": [{"kind": "email", "value": f"{EMAIL} {EMAIL}"}]}, "email"),
        ({"channel": EMAIL}, "channel"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_field(
    officer: Caller, shop: Path, change: dict[str, Any], field: str
) -> None:
    answer = officer.post("/requests", NEW | change)
    problem = said(answer, answer.status_code)
    assert answer.status_code in (400, 422)
    assert [e["field"] for e in problem["errors"]] == [field]
    assert not ErasureRequest.objects.exists()


def test_a_stale_digest_and_a_move_that_cannot_be_are_conflicts(
    officer: Caller, approver: Caller, shop: Path
) -> None:
    case = opened(officer)
    for way in ("plan", "retry"):
        assert "received" in said(officer.post(f"/requests/{case.pk}/{way}"), 409)["detail"]
    officer.post(f"/requests/{case.pk}/identify", {"method": "rang back"})
    plan_of(case)
    said(approver.post(f"/requests/{case.pk}/approve", {"digest": "0" * 64}), 409)
    problem = said(approver.post(f"/requests/{case.pk}/approve", {"digest": "no"}), 400)
    assert problem["errors"][0]["field"] == "digest"


def test_whoever_opened_a_request_does_not_approve_it_here_either(shop: Path) -> None:
    both = caller("officer", "approver")
    case = opened(both)
    both.post(f"/requests/{case.pk}/identify", {"method": "rang back"})
    plan_of(case)
    digest = case.plans.get().digest
    problem = said(both.post(f"/requests/{case.pk}/approve", {"digest": digest}), 422)
    assert "let another officer approve it" in problem["detail"]


def test_holds_and_exceptions_are_decided_and_taken_back(officer: Caller, shop: Path) -> None:
    case = opened(officer)
    officer.post(f"/requests/{case.pk}/identify", {"method": "rang back"})
    why = {"code": "legal_claims", "legal_reference": "Art. 17(3)(e)", "because": "a dispute"}
    kept = {**why, "dataset": "shop.orders", "until": UNTIL}
    shown = officer.post(f"/requests/{case.pk}/except", kept).json()
    (exception,) = shown["exceptions"]
    assert exception["dataset"] == "shop.orders"
    assert officer.post(f"/exceptions/{exception['id']}/lift").json()["lifted_by"] == "olga"
    hold = officer.post("/holds", {**why, "request": str(case.pk)})
    assert hold.status_code == 201
    assert officer.get(f"/holds/{hold.json()['id']}").json()["of_people"] is True
    released = officer.post(f"/holds/{hold.json()['id']}/release", {"because": "settled"})
    assert released.json()["released_by"] == "olga"
    assert officer.get("/holds").json()["results"][0]["released_by"] == "olga"
    problem = said(officer.post("/holds", {**why, "datasets": ["no.where"]}), 422)
    assert problem["errors"][0]["field"] == "datasets"


def test_a_request_names_the_open_ones_that_may_be_the_same_persons(
    officer: Caller, shop: Path
) -> None:
    first, both = opened(officer), {"kind": "email", "value": "ann@example.net"}
    again = officer.post("/requests", {"identifiers": [*NEW["identifiers"], both]}).json()
    assert again["possible_duplicates"] == [str(first.pk)]
    officer.post(f"/requests/{first.pk}/withdraw")
    assert officer.get(f"/requests/{again['id']}").json()["possible_duplicates"] == []


def test_a_matter_that_is_over_releases_its_holds_alone(officer: Caller, shop: Path) -> None:
    why = {"code": "legal_claims", "legal_reference": "Art. 17(3)(e)", "because": "a dispute"}
    for matter in ("claim 17", "claim 17", "claim 18"):
        made = officer.post("/holds", {**why, "datasets": ["shop.orders"], "matter": matter})
        assert made.status_code == 201
    over = {"matter": "claim 17", "because": "settled"}
    said(caller("approver").post("/holds/release", over), 403)
    assert Hold.objects.filter(released_at=None).count() == 3
    released = officer.post("/holds/release", over).json()
    assert [(h["matter"], h["released_by"]) for h in released] == [("claim 17", "olga")] * 2
    assert Hold.objects.get(released_at=None).matter == "claim 18"
    assert "matter" in said(officer.post("/holds/release", over), 422)["errors"][0]["field"]


def test_the_catalogue_can_be_read_and_no_address_of_a_store(officer: Caller, shop: Path) -> None:
    assert "shop.customer" in [d["address"] for d in officer.get("/catalogue/datasets").json()]
    assert officer.get("/catalogue/datasets/shop.customer").json()["store"] == "shop_db"
    stores = officer.get("/catalogue/stores")
    assert [s["name"] for s in stores.json()] == ["shop_db"]
    assert "sqlite" not in stores.content.decode()
    said(officer.get("/catalogue/datasets/no.where"), 404)
    assert officer.get("/models").json()["results"] == []
    assert officer.get("/backups").json() == []


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["auditor", "administrator", "model_owner", "dpo", ""])
def test_whoever_decides_nothing_changes_nothing_here_either(role: str, shop: Path) -> None:
    case = opened(caller("officer"))
    one = caller(*filter(None, [role]))
    before = everything_written()
    for way in ("identify", "plan", "refuse", "approve", "withdraw", "extend", "except", "undo"):
        said(one.post(f"/requests/{case.pk}/{way}", {"because": "no"}), 403)
    said(one.post("/requests", NEW), 403)
    said(one.post("/holds", {}), 403)
    assert everything_written() == before
    seen = one.get(f"/requests/{case.pk}").status_code
    assert seen == (200 if role in ("auditor", "dpo") else 403)


def test_a_token_does_no_more_than_its_scopes(shop: Path) -> None:
    reader = caller("officer", scopes=["read"])
    assert reader.get("/requests").status_code == 200
    assert "token for 'intake'" in said(reader.post("/requests", NEW), 403)["detail"]
    writer = caller("officer", scopes=["intake"])
    assert writer.post("/requests", NEW).status_code == 201
    said(writer.get("/requests"), 403)


@pytest.mark.parametrize("how", ["none", "wrong", "expired", "revoked", "inactive"])
def test_a_token_that_is_not_valid_opens_nothing(how: str, shop: Path) -> None:
    one, now = caller("officer"), timezone.now()
    if how == "expired":
        ApiToken.objects.update(expires_at=now)
    elif how == "revoked":
        ApiToken.objects.update(revoked_at=now)
    elif how == "inactive":
        User.objects.update(is_active=False)
    one.secret = "lethe_ü" if how == "wrong" else one.secret
    headers = {} if how == "none" else one.headers()
    answer = Client().get(f"{ROOT}/requests", headers=headers)
    said(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_only_the_hash_of_a_token_is_kept(db: None) -> None:
    one = caller("officer")
    kept = str([list(ApiToken.objects.values()), list(LedgerLeaf.objects.values())])
    assert one.secret.removeprefix("lethe_") not in kept


def test_any_other_address_and_method_is_a_problem_too(officer: Caller) -> None:
    said(officer.get("/nowhere/at/all"), 404)
    said(officer.get("/requests/6f1c5a4e-0000-4000-8000-000000000000"), 404)
    said(officer.get("/requests/6f1c5a4e-0000-4000-8000-000000000000/steps"), 404)
    said(Client().put(f"{ROOT}/requests", headers=officer.headers()), 405)
    text = Client().post(
        f"{ROOT}/requests", "x", content_type="text/plain", headers=officer.headers()
    )
    said(text, 415)


# --- lists ---------------------------------------------------------------------------------------


def test_a_list_goes_on_by_cursor_and_is_narrowed(officer: Caller) -> None:
    cases = [other("planned", days) for days in range(-2, 5)]
    seen, answer = [], officer.get("/requests", limit=3).json()
    while True:
        seen += [one["id"] for one in answer["results"]]
        if not answer["next"]:
            break
        answer = Client().get(answer["next"], headers=officer.headers()).json()
    assert sorted(seen) == sorted(str(case.pk) for case in cases)
    assert len(officer.get("/requests", overdue="true").json()["results"]) == 3
    assert officer.get("/requests", state="refused").json()["results"] == []
    said(officer.get("/requests", state="nonsense"), 400)


@pytest.mark.parametrize("path", ["/requests", "/requests/{}", "/requests/{}/steps", "/holds"])
def test_the_number_of_queries_does_not_depend_on_how_much_there_is(
    officer: Caller, django_assert_num_queries: DjangoAssertNumQueries, path: str
) -> None:
    case = other("planned", 1)
    path = path.format(case.pk)
    officer.get(path)
    with CaptureQueriesContext(connection) as few:
        assert officer.get(path).status_code == 200
    for day in range(40):
        other("planned", day + 2)
        case.identifiers.create(kind="email", sealed=b"", keyed_hash=f"{day:064x}")
        case.pauses.create(why="fee", since=timezone.now(), until=timezone.now())
    with django_assert_num_queries(len(few.captured_queries)):
        assert officer.get(path).status_code == 200


def test_statistics_are_those_that_an_authority_asks_for(officer: Caller) -> None:
    today = timezone.localdate()
    case = other("refused", 3)
    case.closed_at, case.refused_for = case.received_at + timedelta(days=4), "exempt"
    case.extended_at, case.ground = case.received_at, "objection"
    case.save()
    other("planned", 5).pauses.create(why="identity", since=timezone.now())
    other("planned", -5)
    span = {"since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=1))}
    told = officer.get("/statistics", **span).json()
    assert (told["received"], told["open"], told["overdue"]) == (3, 2, 1)
    assert told["by_outcome"] == {"refused": 1}
    assert (told["by_refusal"], told["by_ground"]) == ({"exempt": 1}, {"objection": 1})
    assert (told["median_days"], told["longest_days"]) == (4.0, 4.0)
    assert (told["share_extended"], told["share_identity_asked"]) == (0.3333, 0.3333)
    assert officer.get("/statistics", since="2020-01-01", until="2020-12-31").json() == {
        **{name: {} for name in told if name.startswith("by_")},
        "received": 0, "median_days": None, "longest_days": None, "share_extended": 0.0,
        "share_identity_asked": 0.0, "open": 0, "overdue": 0, "reopened": 0,
    }  # fmt: skip
    said(officer.get("/statistics", since=str(today), until="2020-12-31"), 422)
    said(officer.get("/statistics"), 400)


def test_a_plan_beyond_what_one_person_has_stops_until_it_was_accepted_by_name(
    officer: Caller, approver: Caller, shop: Path, settings: LazySettings
) -> None:
    settings.LETHE_MOST_ROWS = 1
    case = opened(officer)
    officer.post(f"/requests/{case.pk}/identify", {"method": "rang back"})
    plan = plan_of(case).plans.get()
    (shown,) = officer.get(f"/requests/{case.pk}/plans").json()["results"]
    (finding,) = shown["findings"]
    assert finding["code"] == "many-rows"
    before = everything_written()
    for accept in ([], ["something-else"]):
        body = {"digest": plan.digest, "accept": accept}
        assert (
            "many-rows" in said(approver.post(f"/requests/{case.pk}/approve", body), 422)["detail"]
        )
    assert everything_written() == before
    body = {"digest": plan.digest, "accept": ["many-rows"]}
    assert approver.post(f"/requests/{case.pk}/approve", body).json()["state"] == "approved"
    plan.refresh_from_db()
    assert [(entry["code"], entry["by"]) for entry in plan.accepted] == [("many-rows", "arne")]


def test_several_people_behind_one_mailbox_stop_a_plan_until_somebody_accepts_that_by_name(
    officer: Caller, approver: Caller, shop: Path
) -> None:
    with closing(sqlite3.connect(shop)) as rows, rows:
        rows.execute("update customer set email = ? where name = 'Ben Baker'", [EMAIL])
    case = opened(officer)
    officer.post(f"/requests/{case.pk}/identify", {"method": "rang back"})
    plan = plan_of(case).plans.get()
    (shown,) = officer.get(f"/requests/{case.pk}/plans").json()["results"]
    (finding,) = shown["findings"]
    code = "people:shop.customer"
    assert (finding["code"], finding["rows"]) == (code, 2)
    assert "may be several people's" in finding["words"]
    assert not [name for name in ("Ann", "Ben", EMAIL) if name in json.dumps(shown)]
    before = everything_written()
    for accept in ([], ["many-rows"]):
        body = {"digest": plan.digest, "accept": accept}
        problem = said(approver.post(f"/requests/{case.pk}/approve", body), 422)
        assert code in problem["detail"]
    assert everything_written() == before
    body = {"digest": plan.digest, "accept": [code]}
    said(officer.post(f"/requests/{case.pk}/approve", body), 403)  # not by whoever asked
    assert everything_written() == before
    assert approver.post(f"/requests/{case.pk}/approve", body).json()["state"] == "approved"
    plan.refresh_from_db()
    assert [(entry["code"], entry["by"]) for entry in plan.accepted] == [(code, "arne")]
