"""The ledger: only ever appended to, by one at a time, and no alteration goes unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from pytest_django import Settings

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError
from erasure.evidence import ledger
from erasure.evidence.canonical import canonical, commit
from erasure.models.evidence import Certificate, LedgerHead, LedgerLeaf, LedgerTip
from tests.flow.evidence_cast import filled, findings, run_sql, undone

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _home(settings: Settings, tmp_path: Path) -> None:
    settings.LETHE_HOME = tmp_path / "home"


# --- the ledger -----------------------------------------------------------------------------


def test_entries_are_numbered_from_zero_and_keep_what_they_were_given() -> None:
    assert ledger.append("a", {"request": "R-1", "n": 1}) == 0
    assert ledger.append_many([("b", {}), ("c", {"x": [None, True, "ü"]})]) == range(1, 3)
    assert list(LedgerLeaf.objects.values_list("kind", "request", "payload")) == [
        ("a", "R-1", '{"n":1,"request":"R-1"}'),
        ("b", "", "{}"),
        ("c", "", '{"x":[null,true,"ü"]}'),
    ]
    assert findings() == []


def test_the_head_is_the_merkle_root_over_the_entries() -> None:
    moment = datetime(2026, 11, 21, 10, tzinfo=UTC)
    ledger.append_many([("x", {"n": n}) for n in range(5)], at=moment)
    hashes = [
        merkle.leaf_hash(
            b'{"at":"2026-11-21T10:00:00.000000Z","index":%d,"kind":"x","payload":{"n":%d}}'
            % (n, n)
        )
        for n in range(5)
    ]
    head = ledger.head()
    assert (head.size, head.root) == (5, merkle.root(hashes).hex())
    assert ledger.head() == head
    assert LedgerHead.objects.count() == 1


def test_an_empty_ledger_has_a_head_and_holds() -> None:
    head = ledger.head()
    assert (head.size, head.root) == (0, merkle.EMPTY_ROOT.hex())
    assert ledger.append_many([]) == range(0)
    assert findings() == []


def test_more_entries_than_a_batch_are_all_there() -> None:
    assert ledger.append_many(("x", {"n": n}) for n in range(2500)) == range(2500)
    assert LedgerLeaf.objects.count() == 2500
    assert findings() == []


def test_every_entry_can_be_proved_against_every_later_head() -> None:
    heads = []
    for n in range(9):
        ledger.append("x", {"n": n})
        heads.append(ledger.head())
    hashes = list(ledger.stored_hashes(9))
    for head in heads:
        for index in range(head.size):
            proof = [bytes.fromhex(h) for h in ledger.prove(index, head.size)]
            root = bytes.fromhex(head.root)
            assert merkle.verify_inclusion(hashes[index], index, head.size, proof, root)
        growth = [bytes.fromhex(h) for h in ledger.prove_growth(head.size, 9)]
        roots = bytes.fromhex(head.root), bytes.fromhex(heads[-1].root)
        assert merkle.verify_consistency(head.size, 9, *roots, growth)
    with pytest.raises(EvidenceError, match="fewer than 10"):
        ledger.prove(0, 10)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"a": {"b": [1, 2.5]}}, r"payload\.a\.b\[1\]: holds a float"),
        ({"a": float("nan")}, "float"),
        ({"a": b"x"}, "bytes"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "datetime"),
        ({"a": {1, 2}}, "set"),
        ({1: "a"}, "a key is int"),
        ({"a": 2**53}, "beyond 2"),
        ({"a": "\ud800"}, "surrogate"),
    ],
)
def test_a_payload_without_one_json_form_is_refused_and_nothing_is_written(
    payload: Mapping[Any, Any], place: str
) -> None:
    with pytest.raises(EvidenceError, match=place):
        ledger.append_many([("good", {}), ("bad", payload)])
    assert not LedgerLeaf.objects.exists()
    assert findings_of_a_fresh_tip() == []


def findings_of_a_fresh_tip() -> list[str]:
    assert ledger.append("next", {}) == 0
    return findings()


def test_a_payload_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EvidenceError, match="nested deeper"):
        ledger.append("x", {"a": endless})


@pytest.mark.parametrize("kind", ["", "Has Capital", "x" * 61, "two words"])
def test_a_kind_is_a_word(kind: str) -> None:
    with pytest.raises(EvidenceError, match="a kind is"):
        ledger.append(kind, {})


def test_an_append_that_the_caller_rolls_back_never_happened() -> None:
    ledger.append("x", {})
    with undone():
        assert ledger.append("y", {}) == 1
    assert ledger.append("z", {}) == 1
    assert findings() == []


def test_a_commitment_depends_on_value_and_salt_and_asks_for_a_long_one() -> None:
    salt = b"s" * 16
    assert commit("mail@example.com", salt) == commit(b"mail@example.com", salt)
    assert commit("mail@example.com", salt) != commit("mail@example.org", salt)
    assert commit("mail@example.com", salt) != commit("mail@example.com", b"t" * 16)
    with pytest.raises(EvidenceError, match="16 random bytes"):
        commit("mail@example.com", b"short")


# --- nothing can be changed -----------------------------------------------------------------


@pytest.mark.parametrize("model", [LedgerLeaf, LedgerHead, Certificate])
def test_written_rows_refuse_every_change(model: type[models.Model]) -> None:
    filled()
    rows = model._default_manager
    row = rows.first()
    assert row is not None
    for change in (
        row.save,
        row.delete,
        rows.all().delete,
        lambda: rows.update(pk=99),
        lambda: rows.bulk_update([row], ["pk"]),
        lambda: rows.update_or_create(pk=row.pk),
        lambda: rows.bulk_create([row], ignore_conflicts=True),
        lambda: model._base_manager.filter(pk=row.pk).delete(),
    ):
        with pytest.raises(EvidenceError, match="append-only"):
            change()
    assert findings() == []


def test_a_taken_number_cannot_be_written_again() -> None:
    ledger.append("x", {})
    twin = LedgerLeaf(index=0, kind="y", payload="{}", leaf_hash="", created_at=datetime.now(UTC))
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()
    assert LedgerLeaf.objects.get().kind == "x"


@pytest.mark.parametrize(("index", "previous"), [(5, None), (5, 3), (5, 1), (-1, None)])
def test_the_database_refuses_an_entry_that_does_not_follow_on_the_last(
    index: int, previous: int | None
) -> None:
    ledger.append_many([("x", {})] * 4)
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerLeaf(
            index=index,
            previous_id=previous,
            kind="x",
            payload="{}",
            leaf_hash="",
            created_at=datetime.now(UTC),
        ).save()


def test_the_database_refuses_to_lose_an_entry_that_has_a_successor() -> None:
    ledger.append_many([("x", {})] * 4)
    with undone():
        run_sql('DELETE FROM erasure_ledgerleaf WHERE "index" = 2')
        with pytest.raises(IntegrityError):
            connection.check_constraints()


def _altered(value: Any) -> Any:
    if value is None or isinstance(value, int):
        return (value or 0) + 1000
    if isinstance(value, datetime):
        return value.replace(microsecond=(value.microsecond + 1) % 1_000_000)
    return value[:-1] + ("0" if value[-1:] != "0" else "1")


COLUMNS = [
    (model, field.name)
    for model in (LedgerLeaf, LedgerHead, LedgerTip, Certificate)
    for field in model._meta.concrete_fields
    # The tip's own number is 1 by a constraint.
    if (model, field.name) != (LedgerTip, "id")
]


@pytest.mark.parametrize(("model", "name"), COLUMNS)
def test_any_altered_value_of_any_row_is_found(model: type[models.Model], name: str) -> None:
    filled()
    assert findings() == []
    table = model._meta.db_table
    column = str(next(f.column for f in model._meta.concrete_fields if f.name == name))
    rows = list(model._default_manager.values_list("pk", name))
    for pk, value in rows:
        quote = connection.ops.quote_name
        statement = f"UPDATE {table} SET {quote(column)} = %s WHERE {quote(_pk(model))} = %s"
        with undone(), unchecked():
            run_sql(statement, _adapted(_altered(value)), pk)
            assert findings(), f"{table}.{column} of {pk}"
    assert findings() == []


def _pk(model: type[models.Model]) -> str:
    primary = model._meta.pk
    assert primary is not None
    return str(primary.column)


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


@contextmanager
def unchecked() -> Iterator[None]:
    """As somebody works who can switch the database's own constraints off."""
    if connection.vendor != "sqlite":
        pytest.skip("constraints are switched off on SQLite only")
    run_sql("PRAGMA ignore_check_constraints = ON")
    try:
        yield
    finally:
        run_sql("PRAGMA ignore_check_constraints = OFF")


LAST = "(SELECT MAX({}) FROM erasure_ledgerleaf)".format('"index"')


@pytest.mark.parametrize(
    "statements",
    [
        [f'DELETE FROM erasure_ledgerleaf WHERE "index" = {LAST}'],
        ['DELETE FROM erasure_ledgerleaf WHERE "index" = 3'],
        ['DELETE FROM erasure_ledgerleaf WHERE "index" = 0'],
        ["DELETE FROM erasure_ledgerleaf"],
        # The tail cut off, and the tip moved back to an earlier signed head.
        [
            'DELETE FROM erasure_ledgerleaf WHERE "index" >= 5',
            "UPDATE erasure_ledgertip SET (size, root, signature, key_id, created_at) = "
            "(SELECT size, root, signature, key_id, created_at FROM erasure_ledgerhead "
            "WHERE size = 5)",
        ],
        # An entry added at the end, with and without moving the tip.
        [
            "INSERT INTO erasure_ledgerleaf SELECT * FROM (SELECT "
            f"{LAST} + 1, kind, request, payload, leaf_hash, created_at, {LAST} "
            'FROM erasure_ledgerleaf WHERE "index" = 3)',
        ],
        # Two entries that change places.
        [
            'UPDATE erasure_ledgerleaf SET "index" = -"index" - 100 WHERE "index" IN (2, 3)',
            'UPDATE erasure_ledgerleaf SET "index" = 3 WHERE "index" = -102',
            'UPDATE erasure_ledgerleaf SET "index" = 2 WHERE "index" = -103',
        ],
        ["DELETE FROM erasure_ledgertip"],
        ["DELETE FROM erasure_ledgerhead"],
        ["DELETE FROM erasure_certificate WHERE id = 'C-2'"],
    ],
)
def test_rows_removed_added_or_moved_are_found(statements: list[str]) -> None:
    filled()
    with undone(), unchecked():
        for statement in statements:
            run_sql(statement)
        assert findings()
    assert findings() == []


def test_an_entry_rewritten_together_with_everything_unsigned_is_found() -> None:
    """Whoever may write to the database but lacks the signing key: every hash recomputed."""
    filled()
    with undone():
        row = LedgerLeaf.objects.get(pk=2)
        forged = '{"request":"R-1","rows":999}'
        entry = ledger.entry(row, {"request": "R-1", "rows": 999})
        hashed = merkle.leaf_hash(canonical(entry)).hex()
        run_sql(
            'UPDATE erasure_ledgerleaf SET payload = %s, leaf_hash = %s WHERE "index" = 2',
            forged,
            hashed,
        )
        frontier = merkle.Frontier()
        roots = {}
        for leaf in ledger.stored_hashes(10**6):
            frontier.append(leaf)
            roots[frontier.size] = frontier.root().hex()
        for size, root in roots.items():
            run_sql("UPDATE erasure_ledgerhead SET root = %s WHERE size = %s", root, size)
        run_sql(
            "UPDATE erasure_ledgertip SET root = %s, peaks = %s",
            frontier.root().hex(),
            b"".join(frontier.peaks).hex(),
        )
        assert any("does not match what it signs" in finding for finding in findings())


def test_a_damaged_tip_stops_the_ledger_instead_of_forking_it() -> None:
    ledger.append_many([("x", {})] * 3)
    with undone():
        run_sql("UPDATE erasure_ledgertip SET peaks = '00'")
        with pytest.raises(EvidenceError, match="tip is damaged"):
            ledger.append("x", {})
