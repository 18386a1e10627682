"""File sets: what is found, what goes, and that everything else stays as it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from erasure.stores.base import Found, Hit, Searched, Selector, Store, Work
from erasure.stores.files import FilesStore
from lineage.graph import Dataset
from tests.stores import object_cast as cast
from tests.stores.conformance import Planted, StoreConformance
from tests.stores.object_cast import EMAIL, NAME, NEEDLES, NEIGHBOUR, PHONE, SECRETS, SUBJECT

DATA = cast.dataset()
ALL = pytest.mark.parametrize("name", sorted(cast.WRITERS))


def store_at(folder: Path, **options: Any) -> FilesStore:
    return FilesStore(name="lake", url=f"file://{folder}", options=options)


def planted_in(folder: Path, name: str, rows: Sequence[cast.Row] | None = None) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cast.WRITERS[path.name](path, cast.rows() if rows is None else rows)
    return path


def found_by_id(store: FilesStore, *values: Any, **more: Any) -> list[Found]:
    return list(store.find(cast.by_id(DATA, **more), values or [SUBJECT]))


def hits_of(store: FilesStore, data: Dataset = DATA) -> list[Hit]:
    return [h for h in store.scan(cast.declared(data), NEEDLES) if isinstance(h, Hit)]


class PlantedFiles(Planted):
    """Two objects of one format; the subject under the id 0."""

    selector = cast.by_id(DATA, guard=("customer_id",))
    values = (SUBJECT,)
    spellings = ("0", " 0 ", 0.0)
    declared = tuple(cast.declared(DATA))
    needles = NEEDLES

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        rows = [r if r["order_id"] % 11 != 4 else {**r, "note": "plain"} for r in cast.rows()]
        self.paths = [
            planted_in(folder, f"orders/{part}/{name}", table)
            for part, table in (("a", rows), ("b", rows[:20]))
        ]

    def store(self) -> Store:
        return store_at(self.folder)

    def works(self, found: Sequence[Found]) -> list[Work]:
        return cast.work(found, DATA, guard=("customer_id",))

    def neighbours(self) -> Any:
        return [[r for r in cast.read(p) if r["customer_id"] != SUBJECT] for p in self.paths]

    def everything(self) -> Any:
        return [(cast.read(p), p.stat().st_mtime_ns) for p in self.paths]


class TestConformance(StoreConformance):
    @pytest.fixture(params=["orders.parquet", "orders.csv", "orders.jsonl.gz"])
    def planted(self, request: pytest.FixtureRequest, tmp_path: Path) -> Planted:
        return PlantedFiles(tmp_path, request.param)


@ALL
def test_exactly_the_matching_rows_go_and_the_rest_keeps_its_order(
    tmp_path: Path, name: str
) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    receipts = store.act(cast.work(found_by_id(store), DATA), SECRETS)
    assert cast.read(path) == [r for r in cast.rows() if r["customer_id"] != SUBJECT]
    gone = sum(r["customer_id"] == SUBJECT for r in cast.rows())
    assert [(r.done, r.residue) for r in receipts] == [(gone, "logically_deleted")]
    assert store.purge([DATA]).residue == "purged"


@ALL
def test_times_mode_and_owner_stay(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    os.chmod(path, 0o640)
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_600_000_000_987_654_321))
    before = path.stat()
    store = store_at(tmp_path)
    store.act(cast.work(found_by_id(store), DATA), SECRETS)
    after = path.stat()
    assert after.st_size != before.st_size
    assert after.st_ino != before.st_ino
    for fact in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        assert getattr(after, fact) == getattr(before, fact)


def test_times_move_where_they_are_not_to_be_kept(tmp_path: Path) -> None:
    path = planted_in(tmp_path, "orders.csv")
    os.utime(path, (1, 1))
    store = store_at(tmp_path, preserve_times=False)
    store.act(cast.work(found_by_id(store), DATA), SECRETS)
    assert path.stat().st_mtime > 1_000_000


@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz", "orders.jsonl", "orders.jsonl.gz"])
def test_kept_lines_are_the_bytes_they_were(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    before = cast.raw_of(path)
    store = store_at(tmp_path)
    store.act(cast.work(found_by_id(store), DATA), SECRETS)
    other = tmp_path / "expected" / name
    other.parent.mkdir()
    kept = [r for r in cast.rows() if r["customer_id"] != SUBJECT]
    if ".csv" in name:
        cast.WRITERS[name](other, kept)
        assert cast.raw_of(path) == cast.raw_of(other)
    else:
        lines = before.splitlines(keepends=True)
        wanted = [x for x, r in zip(lines, cast.rows(), strict=True) if r in kept]
        assert cast.raw_of(path) == b"".join(wanted)


@ALL
def test_nothing_is_rewritten_where_nothing_matches(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, f"orders/{name}")
    empty = planted_in(tmp_path, f"orders/other/{name}", cast.rows(subject=9))
    before = (empty.stat().st_ino, empty.read_bytes())
    store = store_at(tmp_path)
    found = found_by_id(store)
    assert {f.key.values[0] for f in found} == {path.relative_to(tmp_path).as_posix()}
    store.act(cast.work(found, DATA), SECRETS)
    assert (empty.stat().st_ino, empty.read_bytes()) == before


@ALL
def test_a_second_execution_replaces_no_object(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    works = cast.work(found_by_id(store), DATA)
    first = store.act(works, SECRETS)
    inode = path.stat().st_ino
    assert store_at(tmp_path).act(works, SECRETS) == first
    assert path.stat().st_ino == inode


@ALL
def test_an_email_is_found_without_regard_to_case(tmp_path: Path, name: str) -> None:
    planted_in(tmp_path, name)
    store = store_at(tmp_path)
    found = found_by_id(store, EMAIL.upper(), email=True)
    assert [f.key.values[1:] for f in found] == [("email", EMAIL.lower())]
    assert [f.matched for f in found] == [(EMAIL.upper(),)]
    assert found[0].key.count == sum(r["email"] == EMAIL for r in cast.rows())


@ALL
def test_two_mailboxes_that_folding_would_make_one_are_two_people(
    tmp_path: Path, name: str
) -> None:
    mails = ["info@straße.example", "info@strasse.example", "Info@STRAẞE.example"]
    three = [{**row, "email": mail} for row, mail in zip(cast.rows(3), mails, strict=True)]
    path = planted_in(tmp_path, name, three)
    store = store_at(tmp_path)
    found = found_by_id(store, "info@straße.example", email=True)
    store.act(cast.work(found, DATA), SECRETS)
    assert [row["email"] for row in cast.read(path)] == ["info@strasse.example"]


@ALL
def test_rows_without_a_value_never_match_and_never_go(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    found = found_by_id(store, None, "", "None", "null", SUBJECT, NEIGHBOUR, 7)
    store.act(cast.work(found, DATA), SECRETS)
    assert [r["order_id"] for r in cast.read(path)] == [i for i in range(60) if i % 7 == 5]


@ALL
def test_an_object_whose_rows_are_all_gone_stays_valid(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name, [r for r in cast.rows() if r["customer_id"] == SUBJECT])
    store = store_at(tmp_path)
    store.act(cast.work(found_by_id(store), DATA), SECRETS)
    assert cast.read(path) == []
    assert store.check(cast.work([], DATA), SECRETS) == []
    assert found_by_id(store) == []
    if name.endswith(".parquet"):
        assert pq.read_schema(path).equals(cast.SCHEMA, check_metadata=True)


@ALL
def test_a_row_under_two_values_counts_for_both_and_goes_once(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    both = Selector(dataset=DATA, fields=("customer_id", "order_id"))
    found = list(store.find(both, [SUBJECT]))
    counts = {f.key.values[1]: f.key.count for f in found}
    assert counts == {"customer_id": 17, "order_id": 1}
    store.act(cast.work(found, DATA), SECRETS)
    assert [r["order_id"] for r in cast.read(path)] == [
        r["order_id"] for r in cast.rows() if r["customer_id"] != SUBJECT
    ]


@ALL
def test_every_value_that_leads_on_is_carried(tmp_path: Path, name: str) -> None:
    planted_in(tmp_path, name)
    found = found_by_id(store_at(tmp_path), carry=("order_id",), guard=("customer_id",))
    orders = [r["order_id"] for r in cast.rows() if r["customer_id"] == SUBJECT]
    assert [int(str(f.carry["order_id"])) for f in found] == orders
    assert len({f.key.values for f in found}) == len(orders)
    assert sum(f.key.count for f in found) == len(orders)
    assert {str(f.key.guard[0]) for f in found} == {"0"}


@ALL
def test_anonymised_rows_stay_without_what_is_personal(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    data = cast.dataset("anonymize")
    store = store_at(tmp_path)
    works = cast.work(found_by_id(store), data, "anonymize", redact=("note",))
    receipts = store.act(works, SECRETS)
    assert receipts[0].residue == "anonymized"
    assert store.check(works, SECRETS) == []
    for before, after in zip(cast.rows(), cast.read(path), strict=True):
        if before["customer_id"] != SUBJECT:
            assert after == before
            continue
        assert after["order_id"] == before["order_id"]
        assert [after[n] for n in ("customer_id", "email", "name")] == [None] * 3
        assert after["born"] == "1980-01-01"
        assert NAME not in after["note"]
        assert PHONE not in after["note"]


@ALL
def test_a_mention_is_redacted_in_free_text_and_nowhere_else(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    selector = Selector(dataset=DATA, mode="text", fields=("note",))
    found = list(store.find(selector, [n.text for n in NEEDLES.needles]))
    assert {f.key.values[2] for f in found} == {NAME, PHONE}
    works = cast.work(found, DATA, "redact", via="mention", redact=("note",))
    assert store.check(works, SECRETS) != []
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    for before, after in zip(cast.rows(), cast.read(path), strict=True):
        note = before["note"].replace(NAME, "[erased]").replace(PHONE, "[erased]")
        assert after == {**before, "note": note}


@ALL
def test_a_cut_reference_leaves_the_rest_of_the_row(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    cut = {"via": "shallow", "cut": ("customer_id",), "redact": ("note",)}
    works = cast.work(found_by_id(store), DATA, "redact", **cut)
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    for before, after in zip(cast.rows(), cast.read(path), strict=True):
        if before["customer_id"] == SUBJECT:
            assert after["customer_id"] is None
            assert after["email"] == before["email"]
        else:
            assert after == before


@ALL
def test_the_needles_of_the_rows_are_gathered(tmp_path: Path, name: str) -> None:
    planted_in(tmp_path, name)
    store = store_at(tmp_path)
    ((_, needles),) = store.gather(DATA, [f.key for f in found_by_id(store)])
    texts = {n.text for n in needles}
    assert {EMAIL.lower(), NAME} <= texts
    assert not texts & {cast.OTHER}


@ALL
def test_a_row_that_is_somebody_elses_now_is_left_alone(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    selector = Selector(dataset=DATA, fields=("order_id",), guard=("customer_id",))
    works = cast.work(list(store.find(selector, [0, 3])), DATA, guard=("customer_id",))
    reused = [{**r, "customer_id": 7} if r["order_id"] == 3 else r for r in cast.rows()]
    cast.WRITERS[name](path, reused)
    receipts = store.act(works, SECRETS)
    assert [k.values[2] for k in receipts[0].reused] == ["3"]
    assert receipts[0].done == 1
    assert cast.read(path) == reused[1:]
    assert store.check(works, SECRETS) == []


@ALL
def test_an_object_that_changed_since_the_search_is_matched_anew(tmp_path: Path, name: str) -> None:
    path = planted_in(tmp_path, name)
    store = store_at(tmp_path)
    works = cast.work(found_by_id(store), DATA)
    grown = [*cast.rows(), *cast.rows(9)]
    cast.WRITERS[name](path, grown)
    store.act(works, SECRETS)
    assert cast.read(path) == [r for r in grown if r["customer_id"] != SUBJECT]


@ALL
def test_an_object_that_was_moved_within_its_collection_is_found_there(
    tmp_path: Path, name: str
) -> None:
    path = planted_in(tmp_path, f"orders/{name}")
    store = store_at(tmp_path)
    works = cast.work(found_by_id(store), DATA)
    moved = tmp_path / "orders" / "old" / name
    moved.parent.mkdir()
    path.rename(moved)
    store.act(works, SECRETS)
    assert all(r["customer_id"] != SUBJECT for r in cast.read(moved))
    assert store.check(works, SECRETS) == []


@ALL
def test_the_scan_sees_what_was_left_and_whose_row_it_is(tmp_path: Path, name: str) -> None:
    planted_in(tmp_path, name)
    store = store_at(tmp_path)
    store.act(cast.work(found_by_id(store), DATA), SECRETS)
    hits = hits_of(store)
    assert {h.field for h in hits} == {"note"}
    assert not any(h.whole for h in hits)
    assert {str(h.owner["customer_id"]) for h in hits if "customer_id" in h.owner} == {"42", "7"}
    searched = [s for s in store.scan(cast.declared(DATA), NEEDLES) if isinstance(s, Searched)]
    kept = sum(r["customer_id"] != SUBJECT for r in cast.rows())
    assert [(s.collection, s.fields >= 6, s.rows) for s in searched] == [("orders", True, kept)]
