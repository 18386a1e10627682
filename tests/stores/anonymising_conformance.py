"""What anonymising means in every store of rows; a part of row_conformance.py."""

from __future__ import annotations

from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Secrets, Store, Work
from lineage.graph import Field, Method
from tests.stores.company import (
    FRIEND,
    NEIGHBOUR,
    PERSON_SET,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    RowHarness,
    by,
    dataset,
    keys_of,
)
from tests.stores.conformance import Planted


class AnonymisingConformance:
    """The row stays, its personal fields go."""

    def values(self, harness: RowHarness, table: str, column: str) -> list[Scalar]:
        """One column of a table, read past the store."""
        return [row[column] for row in harness.read(table)]

    ANONYMISE = Step(
        dataset=PERSON_SET,
        action="anonymize",
        guard=("email", "recruited_by"),
        cut=("address_id",),
        redact=("notes",),
    )

    def _anonymising(self, store: Store, step: Step | None = None) -> Work:
        step = step or self.ANONYMISE
        return Work(step=step, keys=keys_of(store, by(step.dataset, "id", *step.guard), SUBJECT))

    def test_anonymised_rows_keep_their_key_and_nothing_personal(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        work = self._anonymising(store)
        assert store.check([work], SECRETS)
        (receipt,) = store.act([work], SECRETS)
        assert (receipt.done, receipt.residue) == (1, "anonymized")
        (row,) = [r for r in harness.read("person") if r["id"] == SUBJECT]
        assert row["name"] is None
        assert row["address_id"] is None
        assert row["notes"] == "called [erased] back"
        assert "mira" not in str(row["email"]).lower()
        assert store.check([work], SECRETS) == []

    def test_anonymising_again_is_done_and_not_reused(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        work = self._anonymising(store)
        first = store.act([work], SECRETS)
        state = harness.read("person")
        assert store.act([work], SECRETS) == first
        assert first[0].reused == ()
        assert harness.read("person") == state

    def test_the_seed_decides_the_random_values(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        work = self._anonymising(store)
        made = set()
        for seed in (b"a" * 32, b"b" * 32):
            harness.create(TABLES, ROWS)
            store.act([work], Secrets(seed=seed, needles=planted.needles))
            made |= {r["email"] for r in harness.read("person") if r["id"] == SUBJECT}
        assert len(made) == 2

    def test_one_pseudonym_makes_the_residue_pseudonymised(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        pseudonym = Field(
            name="email", identity="email", method=Method(name="pseudonymize", argument=None)
        )
        step = Step(
            dataset=dataset("person", Field(name="id", primary_key=True), pseudonym),
            action="anonymize",
            guard=("email",),
        )
        work = self._anonymising(store, step)
        (receipt,) = store.act([work], SECRETS)
        assert receipt.residue == "pseudonymized"
        state = harness.read("person")
        store.act([work], SECRETS)
        assert harness.read("person") == state

    def test_an_identity_key_is_rewritten_with_everything_that_refers_to_it(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        personal = dataset(
            "person",
            Field(name="id", primary_key=True, identity="customer_id"),
            Field(name="email", identity="email"),
        )
        step = Step(dataset=personal, action="anonymize", guard=("email",))
        work = self._anonymising(store, step)
        others = [r for r in harness.read("post") if r["author_id"] != SUBJECT]
        store.act([work], SECRETS)
        ids = self.values(harness, "person", "id")
        assert SUBJECT not in ids
        (new,) = set(ids) - {NEIGHBOUR, FRIEND}
        assert [r["author_id"] for r in harness.read("post") if r["id"] == 100] == [new]
        assert [r for r in harness.read("post") if r["author_id"] != new] == others
        assert {r["buyer"] for r in harness.read("Order Line")} == {new, NEIGHBOUR}
        assert [r["recruited_by"] for r in harness.read("person") if r["id"] == 1] == [new]
        assert store.check([work], SECRETS) == []
        state = harness.read("person")
        store.act([work], SECRETS)
        assert harness.read("person") == state
