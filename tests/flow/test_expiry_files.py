"""Records in lake files and logs past their date go without a request, as rows do: told by their
own date or their partition's, and by whose they are; what cannot be judged is told and left."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.flow import exempt, expire, hold
from erasure.models import Expiry, LedgerLeaf, RetentionLook
from erasure.runs import expiring
from tests.flow.aging import HOLD, OLD, YOUNG, approve, body, plan
from tests.flow.cast import ANN, BEN, CATALOGUE, NEIGHBOUR, OFFICER, SUBJECT, SqliteShop
from tests.flow.deeds import planned, sweep
from tests.flow.spied import Spied

STORES = """store:
  - {name: lake, kind: spied_files, url: "file://LAKE"}
  - {name: weblog, kind: spied_logs, url: "file://WEBLOG"}
"""
DATASETS = """
  - fides_key: lake
    erasure: {store: lake}
    collections:
      - name: visit
        erasure: {action: delete, retention: {period: 3y, starts: seen_on, basis: house rules}}
        fields:
          - {name: id}
          - name: customer_id
            data_categories: [user.unique_id]
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
          - {name: page, data_categories: [user.content]}
          - {name: seen_on}
  - fides_key: weblog
    erasure: {store: weblog}
    collections:
      - name: access
        erasure: {action: delete, retention: {period: 3y, starts: time}}
        fields:
          - {name: host, data_categories: [user.device.ip_address]}
          - name: user
            data_categories: [user.unique_id]
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
          - {name: time}
"""
Row = dict[str, Any]
ROWS: list[Row] = [
    {"id": 1, "customer_id": ANN, "page": "/tea", "seen_on": OLD},
    {"id": 2, "customer_id": ANN, "page": "/pots", "seen_on": YOUNG},
    {"id": 3, "customer_id": BEN, "page": "/tea", "seen_on": OLD},
    {"id": 4, "customer_id": BEN, "page": "/cups", "seen_on": f"{OLD}T10:00:00+02:00"},
    {"id": 5, "customer_id": BEN, "page": "/cups", "seen_on": None},
    {"id": 6, "customer_id": BEN, "page": "/cups", "seen_on": "1500112233"},
]
UNTOLD = "no date in seen_on, or none that can be read: left alone"


class Lake:
    """The shop with a lake and a log beside it."""

    def __init__(self, shop: SqliteShop, folder: Path) -> None:
        self.shop, self.files, self.logs = shop, folder / "lake", folder / "weblog"
        self.files.mkdir()
        self.logs.mkdir()
        self.describe()

    def describe(self, *changes: tuple[str, str]) -> None:
        """Import the catalogue, changed somewhere."""
        text = CATALOGUE.read_text() + DATASETS
        for old, new in (("store:\n", STORES), *changes):
            assert old in text
            text = text.replace(old, new, 1)
        text = text.replace("LAKE", str(self.files)).replace("WEBLOG", str(self.logs))
        self.shop.describe(text)


@pytest.fixture
def lake(sqlite_shop: SqliteShop, tmp_path: Path) -> Lake:
    """Both empty."""
    return Lake(sqlite_shop, tmp_path)


def put(path: Path, rows: list[Row]) -> Path:
    """The rows, as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if ".csv" in path.name:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        raw = out.getvalue().encode()
    else:
        raw = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
    return path


def ids(path: Path) -> list[int]:
    if path.suffix == ".parquet":
        return [row["id"] for row in pq.read_table(path, partitioning=None).to_pylist()]
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".csv" in path.name:
        return [int(row["id"]) for row in csv.DictReader(io.StringIO(raw.decode()))]
    return [json.loads(line)["id"] for line in raw.splitlines() if line.startswith(b"{")]


def version_of(path: Path) -> tuple[int, int, bytes]:
    """The file itself, when it was written, and what is in it."""
    return path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_records_past_their_date_go_once_approved_and_every_other_stays_as_it_is(
    lake: Lake, name: str
) -> None:
    path = put(lake.files / "visit" / name, ROWS)
    other = put(path.with_name(name.replace("a.", "b.")), ROWS[1:2])
    before, stood = path.read_bytes(), version_of(other)
    sweep()
    made = Expiry.objects.get()
    assert (made.state, made.rows, made.since) == ("planned", 3, date(2018, 6, 30))
    assert made.left == [{"dataset": "lake.visit", "rows": 2, "reason": UNTOLD}]
    assert RetentionLook.objects.get(dataset="lake.visit").left == made.left
    (counted,) = [c for c in expiring.expired(timezone.localdate()) if c.dataset == "lake.visit"]
    assert (counted.rows, counted.looked_at, counted.undated) == (3, 7, 2)
    assert path.read_bytes() == before
    approve(made)
    sweep()
    made.refresh_from_db()
    assert (made.state, made.blocked_because) == ("completed", "")
    assert ids(path) == [2, 5, 6]
    assert version_of(other) == stood
    (place,) = body()["locations"]
    assert (place["dataset"], place["action"], place["rows"]) == ("lake.visit", "delete", 3)
    assert place["residue"] == "purged"
    assert {r["reason"]: r["rows"] for r in body()["residual"]} == {UNTOLD: 2}
    kept = [
        *LedgerLeaf.objects.values_list("payload", flat=True),
        *map(str, Expiry.objects.values()),
    ]
    assert not any(f"{OLD}T10:00" in text or path.name in text for text in kept)
    assert expire.plan_expired("lake.visit", by=OFFICER) is None


def test_a_line_that_cannot_be_read_is_told_and_stays(lake: Lake) -> None:
    path = put(lake.files / "visit.jsonl", ROWS[:2])
    broken = b'"id": 9, "seen_on": "2015-06-30"\n'
    path.write_bytes(path.read_bytes() + broken)
    made = approve(plan("lake.visit"))
    reason = "lines that cannot be read: nobody can tell how old they are"
    assert made.left == [{"dataset": "lake.visit", "rows": 1, "reason": reason}]
    sweep()
    assert ids(path.parent / "visit.jsonl")[:1] == [2]
    assert path.read_bytes().endswith(broken)


def test_a_partition_goes_by_the_day_in_its_path(lake: Lake) -> None:
    lake.describe(("starts: seen_on", "starts: day"), ("{name: seen_on}", "{name: day}"))
    rows = [{"id": n, "customer_id": n % 3} for n in range(50)]
    old = put(lake.files / "visit" / f"day={OLD}" / "a.parquet", rows)
    young = put(lake.files / "visit" / f"day={YOUNG}" / "a.parquet", rows)
    nowhere = put(lake.files / "visit" / "day=__HIVE_DEFAULT_PARTITION__" / "a.parquet", rows)
    held = hold.place_hold(by=OFFICER, person=[("email", NEIGHBOUR)], **HOLD)
    made = approve(plan("lake.visit"))
    theirs = [n for n in range(50) if n % 3 == BEN]
    assert made.rows == 50 - len(theirs)
    assert {one["reason"]: one["rows"] for one in made.left} == {
        "about people on hold": len(theirs),
        "no date in day, or none that can be read: left alone": 50,
    }
    sweep()
    assert ids(old) == theirs
    assert ids(young) == ids(nowhere) == list(range(50))
    hold.release_hold(held, by=OFFICER, because="settled")
    approve(plan("lake.visit"))
    sweep()
    assert not old.parent.exists()
    assert young.exists()


def logged(user: object, day: str) -> str:
    return f'10.0.0.1 - {user} [{day}:13:55:36 +0000] "GET /tea HTTP/1.1" 200 512\n'


def test_an_access_log_that_is_rotated_after_the_approval_is_found_under_its_new_name(
    lake: Lake,
) -> None:
    old, young = logged(ANN, "30/Jun/2015"), logged(ANN, "30/Jun/2026")
    log = lake.logs / "access.log"
    log.write_text(old + young + "a line of no shape\n" + logged(BEN, "30/Foo/2015"))
    made = approve(plan("weblog.access"))
    assert (made.rows, sum(one["rows"] for one in made.left)) == (1, 2)

    def rotate() -> None:
        Spied.before.clear()
        log.rename(log.with_name("access.log.1"))
        log.write_text(young)

    Spied.before["weblog", "act"] = rotate
    sweep()
    made.refresh_from_db()
    assert (made.state, made.blocked_because) == ("completed", "")
    assert log.read_text() == young
    rest = young + "a line of no shape\n" + logged(BEN, "30/Foo/2015")
    assert log.with_name("access.log.1").read_text() == rest


def test_records_of_people_on_hold_and_of_open_cases_stay(lake: Lake) -> None:
    path = put(lake.files / "visit.csv", ROWS)
    request = planned(SUBJECT)
    exempt.add_exception(
        request,
        dataset="lake.visit",
        code="legal_claims",
        legal_reference="Art. 17(3)(e)",
        because="a claim is open",
        until=timezone.localdate() + timedelta(days=400),
        by=OFFICER,
    )
    made = approve(plan("lake.visit"))
    assert made.rows == 2
    # A hold that comes after the approval is kept to.
    hold.place_hold(by=OFFICER, person=[("email", NEIGHBOUR)], **HOLD)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert ids(path) == [1, 2, 3, 4, 5, 6]
    assert made.steps[0]["rows"] == 0


def test_a_hold_on_the_dataset_keeps_all_of_it(lake: Lake) -> None:
    put(lake.files / "visit.csv", ROWS)
    hold.place_hold(by=OFFICER, datasets=["lake.visit"], **HOLD)
    assert expire.plan_expired("lake.visit", by=OFFICER) is None


def test_a_record_that_was_renewed_since_stays_and_is_not_claimed(lake: Lake) -> None:
    path = put(lake.files / "visit.jsonl", ROWS)
    made = approve(plan("lake.visit"))

    looks = iter([False, True])

    def renew() -> None:
        """After it was found again and written down, before it goes."""
        if next(looks, False):
            put(path, [{**ROWS[0], "seen_on": YOUNG}, *ROWS[1:]])

    Spied.before["lake", "dated"] = renew
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert ids(path) == [1, 2, 5, 6]
    assert (made.steps[0]["rows"], made.steps[0]["left"]) == (2, 1)


class Killed(BaseException):
    """The process dies there."""


@pytest.mark.parametrize("where", ["act", "acted"])
def test_a_sweep_over_files_that_is_killed_goes_on_where_it_stopped(lake: Lake, where: str) -> None:
    one = put(lake.files / "visit" / "a.jsonl", ROWS)
    two = put(lake.files / "visit" / "b.parquet", ROWS)
    made = approve(plan("lake.visit"))
    assert made.rows == 6

    def die() -> None:
        Spied.before.clear()
        raise Killed

    Spied.before["lake", where] = die
    with pytest.raises(Killed):
        expire.carry_out(made.id)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert ids(one) == ids(two) == [2, 5, 6]
    assert body()["locations"][0]["rows"] == 6


def test_equal_records_in_several_files_go_together_and_count_each(lake: Lake) -> None:
    paths = [put(lake.files / "visit" / f"{n}.jsonl", [ROWS[0]] * 3 + ROWS[1:2]) for n in range(3)]
    made = approve(plan("lake.visit"))
    assert made.rows == 9
    sweep()
    assert [ids(path) for path in paths] == [[2]] * 3
    assert body()["locations"][0]["rows"] == 9


MESSAGE = "      - name: message\n        erasure: {action: delete}\n"
AUTHOR = "          - name: author_id\n"
VISIT = """          - name: visit_id
            fides_meta: {references: [{dataset: lake, field: visit.id, direction: from}]}
"""


@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_what_refers_to_a_record_goes_along_or_keeps_it(lake: Lake, action: str) -> None:
    """Ben's message says which visit it is about."""
    path = put(lake.files / "visit.jsonl", ROWS)
    lake.shop.widen("message", "visit_id")
    lake.shop.execute("shop_db", "update message set visit_id = 3 where id = 3")
    lake.describe((AUTHOR, VISIT + AUTHOR), (MESSAGE, MESSAGE.replace("delete", action)))
    made = approve(plan("lake.visit"))
    sweep()
    made.refresh_from_db()
    assert (made.state, made.blocked_because) == ("completed", "")
    stays = action == "anonymize"
    assert ids(path) == ([2, 3, 5, 6] if stays else [2, 5, 6])
    assert [row["id"] for row in lake.shop.rows("message")] == ([1, 2, 3] if stays else [1, 2])


def test_records_cannot_be_anonymized_by_their_age(lake: Lake) -> None:
    put(lake.files / "visit.jsonl", ROWS)
    rule = "retention: {period: 3y, starts: seen_on"
    lake.describe((f"{{action: delete, {rule}", f"{{action: anonymize, {rule}"))
    with pytest.raises(UsageError, match="let its records be deleted"):
        plan("lake.visit")


TYPED: dict[str, list[Any]] = {
    "date32[day]": ["2015-06-30", "2026-06-30", None],
    "timestamp[ns, tz=UTC]": ["2015-06-30T23:00:00.123456789Z", "2026-06-30T00:00:00Z", None],
    "timestamp[ms]": ["2015-06-30 01:02:03", "2026-06-30", None],
    "int64": ["20150630", "20260630", "1435622400"],
    "dictionary": ["2015-06-30 10:00:00", "2026-06-30", "soon"],
}


@pytest.mark.parametrize("kind", TYPED)
def test_a_column_of_dates_is_read_by_its_type(lake: Lake, kind: str) -> None:
    types: dict[str, Any] = {
        "date32[day]": pa.date32(),
        "timestamp[ns, tz=UTC]": pa.timestamp("ns", "UTC"),
        "timestamp[ms]": pa.timestamp("ms"),
        "int64": pa.int64(),
    }
    days: Any = pa.array(TYPED[kind] * 3)
    days = days.cast(types[kind]) if kind in types else days.dictionary_encode()
    path = lake.files / "visit.parquet"
    numbers = pa.array(range(9))
    table = pa.table({"id": numbers, "customer_id": pa.array([BEN] * 9), "seen_on": days})
    pq.write_table(table, path, row_group_size=4)
    made = approve(plan("lake.visit"))
    assert made.rows == 3
    assert made.left == [{"dataset": "lake.visit", "rows": 3, "reason": UNTOLD}]
    sweep()
    made.refresh_from_db()
    assert (made.state, made.blocked_because) == ("completed", "")
    assert ids(path) == [1, 2, 4, 5, 7, 8]


def test_several_dates_in_one_record_are_told_and_left(lake: Lake) -> None:
    row = {**ROWS[0], "seen_on": [OLD, YOUNG]}
    path = put(lake.files / "visit.jsonl", [row])
    assert expire.plan_expired("lake.visit", by=OFFICER) is None
    (left,) = RetentionLook.objects.get(dataset="lake.visit").left
    assert (left["rows"], "several values" in left["reason"]) == (1, True)
    assert ids(path) == [1]
