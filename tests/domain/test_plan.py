"""From a reach to ordered steps: what is done, to whose rows, in which order, and why not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.errors import UsageError
from erasure.domain.plan import (
    Draft,
    World,
    draft_steps,
    guard_fields,
    loose_paths,
    referrers,
)
from erasure.domain.steps import step_from_json
from erasure.domain.turns import ranks
from lineage.adjacency import neighbours_in
from lineage.graph import (
    Dataset,
    Derivation,
    Field,
    Reach,
    Reference,
    StoreEntry,
    walk,
)
from lineage.schema import Column, ForeignKey, Inspection, Table

ID = Field(name="id", primary_key=True)
EMAIL = Field(name="email", identity="email")


def dataset(name: str, *fields: Field, action: str | None = "delete", **more: object) -> Dataset:
    plain = {"store": "db", **more}
    return Dataset(
        address=f"shop.{name}",
        name=name,
        fields=(ID, *fields),
        action=action,
        **plain,  # type: ignore[arg-type]
    )


def refers(holder: str, field: str, target: str, **more: object) -> Reference:
    return Reference(
        holder=f"shop.{holder}",
        holder_field=field,
        target=f"shop.{target}",
        target_field="id",
        **{"direction": "from", **more},  # type: ignore[arg-type]
    )


def world(
    datasets: Iterable[Dataset],
    references: Sequence[Reference] = (),
    inspections: Mapping[str, Inspection] | None = None,
) -> World:
    kinds = {"db": "sql", "vault": "backups", "shelf": "model_registry", "lake": "files"}
    return World(
        datasets={d.address: d for d in datasets},
        stores={name: StoreEntry(name=name, kind=kind) for name, kind in kinds.items()},
        references=references,
        inspections=inspections or {},
    )


def reach_of(known: World, derivations: Sequence[Derivation] = ()) -> Reach:
    start = {a: [f.name for f in d.identities] for a, d in known.datasets.items() if d.identities}
    return walk(start, neighbours_in(known.references, derivations, known.datasets))


def drafts_of(known: World, derivations: Sequence[Derivation] = ()) -> list[Draft]:
    return draft_steps(reach_of(known, derivations), known)


def told(drafts: Iterable[Draft]) -> list[tuple[str, str, str]]:
    return [(d.step.dataset.name, d.step.action, d.step.via) for d in drafts]


CUSTOMER = dataset("customer", EMAIL)
ORDERS = dataset("orders", Field(name="customer_id"))
LINE = dataset("line", Field(name="order_id"))
OWNED = [refers("orders", "customer_id", "customer"), refers("line", "order_id", "orders")]


def test_children_go_before_their_parents() -> None:
    drafts = drafts_of(world([CUSTOMER, ORDERS, LINE], OWNED))
    assert told(drafts) == [
        ("line", "delete", "deep"),
        ("orders", "delete", "deep"),
        ("customer", "delete", "deep"),
    ]
    assert drafts[0].path == (
        "shop.customer.email",
        "shop.customer.id → shop.orders.customer_id (deep)",
        "shop.orders.id → shop.line.order_id (deep)",
    )


def test_children_go_first_also_behind_tables_that_nobody_declared() -> None:
    """A row goes along with a customer, and a line still refers to it."""

    def table(name: str, *targets: str) -> Table:
        keys = tuple(
            ForeignKey(name=t, columns=(f"{t}_id",), target=t, target_columns=("id",))
            for t in targets
        )
        return Table(name=name, foreign_keys=keys)

    tables = [table("customer"), table("box", "box", "customer"), table("zone", "box")]
    zone = dataset("zone", Field(name="customer_id"))
    inspection = Inspection(tables={t.name: t for t in tables}, fingerprint="")
    known = world([CUSTOMER, zone], [], {"db": inspection})
    order = ranks(known)
    assert order["shop.zone"] < order["shop.customer"]
    inspection = Inspection(tables={"zone": table("zone", "gone")}, fingerprint="")
    assert set(ranks(world([CUSTOMER, zone], [], {"db": inspection}))) == set(order)


def test_a_dataset_reached_only_over_nullable_references_is_told() -> None:
    def column(name: str, *, nullable: bool) -> Column:
        return Column(name=name, data_type="", nullable=nullable)

    def told_of(**nullable: bool) -> list[str]:
        columns = tuple(column(name, nullable=n) for name, n in nullable.items())
        inspection = Inspection(
            tables={"orders": Table(name="orders", columns=columns)}, fingerprint=""
        )
        orders = dataset("orders", Field(name="customer_id"), Field(name="payer_id"))
        references = [refers("orders", name, "customer") for name in ("customer_id", "payer_id")]
        known = world([CUSTOMER, orders], references, {"db": inspection})
        return loose_paths(reach_of(known), known)

    (warning,) = told_of(customer_id=True, payer_id=True)
    assert "shop.orders (customer_id, payer_id)" in warning
    assert told_of(customer_id=True, payer_id=False) == []


def test_mentions_and_cuts_come_first_and_shared_rows_last() -> None:
    employee = dataset("employee", EMAIL)
    address = dataset("address", Field(name="street", categories=("user.contact",)))
    customer = dataset(
        "customer",
        EMAIL,
        Field(name="rep_id"),
        Field(name="address_id"),
        Field(name="note", free_text=True),
    )
    references = [
        refers("customer", "rep_id", "employee"),
        refers("customer", "address_id", "address", direction="to"),
    ]
    order = [via for _, _, via in told(drafts_of(world([employee, address, customer], references)))]
    assert order == ["mention", "shallow", "deep", "deep", "refcount"]


def test_a_row_that_stays_loses_what_leads_to_shared_rows_and_to_rows_that_go() -> None:
    address = dataset("address", Field(name="street", categories=("user.contact",)))
    customer = dataset("customer", EMAIL, Field(name="address_id"))
    orders = dataset("orders", Field(name="customer_id"), action="anonymize")
    references = [
        refers("customer", "address_id", "address", direction="to"),
        refers("orders", "customer_id", "customer"),
    ]
    drafts = drafts_of(world([address, customer, orders], references))
    # A step of its own: the order may be theirs by another reference than this one.
    assert [(d.step.dataset.name, d.step.via, d.step.cut) for d in drafts] == [
        ("orders", "shallow", ("customer_id",)),
        ("orders", "deep", ()),
        ("customer", "deep", ()),  # it goes itself
        ("address", "refcount", ()),
    ]
    anonymous = dataset("customer", EMAIL, Field(name="address_id"), action="anonymize")
    drafts = drafts_of(world([address, anonymous, orders], references))
    assert [(d.step.dataset.name, d.step.via, d.step.cut) for d in drafts] == [
        ("orders", "deep", ()),  # its customer stays
        ("customer", "deep", ("address_id",)),
        ("address", "refcount", ()),
    ]


def test_each_reference_that_is_cut_is_a_step_of_its_own_and_its_own_guard() -> None:
    fields = (Field(name="boss_id"), Field(name="mentor_id"), Field(name="note", free_text=True))
    references = [
        refers("employee", "boss_id", "employee"),
        refers("employee", "mentor_id", "employee", ghost=True),
    ]
    drafts = drafts_of(world([dataset("employee", EMAIL, *fields)], references))
    shallow = [d.step for d in drafts if d.step.via == "shallow"]
    assert [(s.cut, s.guard) for s in shallow] == [
        (("boss_id",), ("boss_id",)),
        ((), ("mentor_id",)),
    ]
    assert [s.ghost and (s.ghost.dataset.name, s.ghost.field) for s in shallow] == [
        None,
        ("employee", "id"),
    ]
    assert [step_from_json(json.loads(json.dumps(s.to_json()))) for s in shallow] == shallow
    assert {s.redact for s in shallow} == {("note",)}
    assert {s.action for s in shallow} == {"redact"}


def test_a_guard_says_whose_row_it_is_and_never_repeats_the_key() -> None:
    member = dataset(
        "member",
        Field(name="number", identity="member_id", primary_key=True),
        EMAIL,
        Field(name="team_id"),
        Field(name="address_id"),
    )
    references = [
        refers("member", "team_id", "team"),
        refers("member", "number", "team"),
        refers("member", "address_id", "address", direction="to"),
        refers("line", "order_id", "member"),
    ]
    assert guard_fields(member, references) == ("email", "team_id")


def test_a_shared_row_knows_who_of_its_store_can_refer_to_it() -> None:
    address = dataset("address")
    elsewhere = dataset("copy", Field(name="address_id"), store="lake")
    known = world(
        [address, CUSTOMER, ORDERS, elsewhere],
        [
            refers("orders", "ship_to", "address", direction="to"),
            refers("customer", "address_id", "address", direction="to"),
            refers("copy", "address_id", "address", direction="to"),
        ],
    )
    found = [(r.collection, r.field, r.target_field) for r in referrers(address, known)]
    assert found == [("customer", "address_id", "id"), ("orders", "ship_to", "id")]


def test_text_anywhere_may_mention_the_person_but_not_where_nothing_is_to_be_done() -> None:
    text = Field(name="body", free_text=True)
    known = world(
        [
            CUSTOMER,
            dataset("message", text, action=None),
            dataset("archive", text, action="ignore"),
            dataset("dump", text, action=None, store="vault"),
        ]
    )
    mentions = [d for d in drafts_of(known) if d.step.via == "mention"]
    assert [(d.step.dataset.name, d.path) for d in mentions] == [("message", ("found by value",))]


@pytest.mark.parametrize(("store", "action"), [("vault", "expire"), ("shelf", "retrain")])
def test_what_is_only_derived_is_dealt_with_by_the_kind_of_its_store(
    store: str, action: str
) -> None:
    copy = dataset("copy", action=None, store=store)
    derived = Derivation(upstream="shop.customer", downstream="shop.copy", kind="backed_up")
    drafts = drafts_of(world([CUSTOMER, copy]), [derived])
    assert ("copy", action, "deep") in told(drafts)


def drafts_with_copy(copy: Dataset) -> list[Draft]:
    derived = Derivation(upstream="shop.customer", downstream="shop.copy")
    return drafts_of(world([CUSTOMER, copy]), [derived])


def test_a_copy_that_nobody_decided_about_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shop\.copy: derived .* nobody decided"):
        drafts_with_copy(dataset("copy", action=None))


def test_a_copy_without_a_way_to_its_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shop\.copy: 'delete' needs a way to its rows"):
        drafts_with_copy(dataset("copy"))


def test_a_copy_of_text_is_found_by_value() -> None:
    text = dataset("copy", Field(name="body", free_text=True), action="redact")
    assert told(drafts_with_copy(text))[0] == ("copy", "redact", "mention")


def test_a_dataset_of_the_reach_that_nobody_decided_about_is_refused() -> None:
    undecided = dataset("orders", Field(name="customer_id"), action=None)
    with pytest.raises(UsageError, match=r"shop\.orders: nobody decided"):
        drafts_of(world([CUSTOMER, undecided], OWNED[:1]))


def test_an_ignored_dataset_has_no_step() -> None:
    ignored = dataset("orders", Field(name="customer_id"), action="ignore")
    assert told(drafts_of(world([CUSTOMER, ignored], OWNED[:1]))) == [
        ("customer", "delete", "deep")
    ]


def test_a_row_kept_by_law_cannot_refer_to_a_row_that_goes() -> None:
    invoice = dataset("orders", Field(name="customer_id"), action="retain")
    with pytest.raises(UsageError, match=r"let shop\.customer be anonymized"):
        drafts_of(world([CUSTOMER, invoice], OWNED[:1]))
    stays = dataset("customer", EMAIL, action="anonymize")
    drafts = drafts_of(world([stays, invoice], OWNED[:1]))
    assert ("orders", "retain", "deep") in told(drafts)
    assert next(d for d in drafts if d.step.action == "retain").step.cut == ()


def test_the_live_foreign_keys_and_after_are_obeyed_too() -> None:
    names = ("a", "b", "c")
    plain = {n: dataset(n) for n in names}
    plain["a"] = dataset("a", after=("shop.c", "shop.nowhere"))
    key = ForeignKey(name="k", columns=("x",), target="public.b", target_columns=("id",))
    table = Table(name="c", columns=(Column(name="x", data_type=""),), foreign_keys=(key,))
    known = world(
        plain.values(), inspections={"db": Inspection(tables={"c": table}, fingerprint="")}
    )
    order = ranks(known)
    assert order["shop.c"] < order["shop.b"]
    assert order["shop.c"] < order["shop.a"]


def test_the_reason_is_the_catalogues_own_where_it_gives_one() -> None:
    invoice = dataset(
        "orders", Field(name="customer_id"), action="retain", legal_reference="tax law"
    )
    customer = dataset("customer", EMAIL, action="anonymize", because="the invoice stays")
    reasons = {
        d.step.dataset.name: d.reason for d in drafts_of(world([customer, invoice], OWNED[:1]))
    }
    assert reasons == {"orders": "tax law", "customer": "the invoice stays"}


@given(st.lists(st.integers(0, 11), min_size=12, max_size=12))
def test_in_any_tree_every_row_goes_before_the_one_it_refers_to(parents: list[int]) -> None:
    names = [f"t{n:02}" for n in range(13)]
    datasets = [dataset(names[0], EMAIL)]
    datasets += [dataset(name, Field(name="up")) for name in names[1:]]
    up = {n + 1: parent % (n + 1) for n, parent in enumerate(parents)}
    references = [refers(names[n], "up", names[parent]) for n, parent in up.items()]
    drafts = drafts_of(world(datasets, references))
    order = {d.step.dataset.name: n for n, d in enumerate(drafts)}
    assert len(order) == 13
    assert all(order[names[n]] < order[names[parent]] for n, parent in up.items())


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["deep", "shallow"])),
        max_size=14,
    )
)
def test_cycles_and_self_references_end_in_a_plan_that_names_every_step_once(
    links: list[tuple[int, int, str]],
) -> None:
    fields = [Field(name=f"f{n}") for n in range(14)]
    datasets = [dataset("t0", EMAIL, *fields)]
    datasets += [dataset(f"t{n}", *fields) for n in range(1, 6)]
    references = [
        refers(f"t{a}", f"f{n}", f"t{b}", on_erase=effect) for n, (a, b, effect) in enumerate(links)
    ]
    drafts = drafts_of(world(datasets, references))
    places = [(d.step.dataset.address, d.step.via, d.step.cut) for d in drafts]
    assert len(places) == len(set(places))
    vias = [{"shallow": 0, "deep": 1}[d.step.via] for d in drafts]
    assert all(a <= b for a, b in pairwise(vias))
    assert draft_steps(reach_of(world(datasets, references)), world(datasets, references)) == drafts
