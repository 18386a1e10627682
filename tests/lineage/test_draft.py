"""A draft from a live schema: what it takes for granted and what it asks."""

from __future__ import annotations

import difflib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from erasure.management.commands.discover_lineage import find
from erasure.stores import registry
from lineage import catalog, gate, selectors
from lineage.graph import Dataset, Reach, StoreEntry, walk
from lineage.importers import fideslang, sql_schema
from lineage.importers.discovery import Discovery
from lineage.importers.guesses import guess, names_actor
from lineage.importers.words import words
from lineage.schema import Column, ForeignKey, Inspection, Table

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
CHINOOK = SHARED / "chinook" / "Chinook_Sqlite.sqlite"
MOST_EDITS = 10
# The edits a person makes to the Chinook draft, as (line as drafted, line instead).
EDITS = [
    (
        "    erasure: {store: chinook}",
        "    erasure: {store: chinook, purpose: sale of music, legal_basis: contract, "
        "retention: {period: 3y, starts: last invoice}}",
    )
]
STORE = StoreEntry(name="shop", kind="sql", url="${SHOP_URL}")


def table(name: str, *columns: str, **keys: str) -> tuple[str, Table]:
    """Columns are text; ``name!`` is not null; ``key=target`` is a foreign key to its id."""
    made = [Column(name="id", data_type="INTEGER", nullable=False, primary_key=True)]
    for text in (*columns, *keys):
        plain = text.rstrip("!")
        made.append(Column(name=plain, data_type="VARCHAR(40)", nullable=text == plain))
    foreign = [
        ForeignKey(name=f"fk_{column}", columns=(column,), target=target, target_columns=("id",))
        for column, target in keys.items()
    ]
    return name, Table(name=name, columns=tuple(made), foreign_keys=tuple(foreign))


def drafted(*tables: tuple[str, Table]) -> str:
    return written(Inspection(tables=dict(tables), fingerprint="x"), STORE)


def written(inspection: Inspection, entry: StoreEntry) -> str:
    """The draft of a schema of which no row was seen."""
    return sql_schema.draft(Discovery(inspection).findings(), entry)


def read(text: str) -> dict[str, Dataset]:
    found = fideslang.read_text(text, "draft.yml")
    assert found.warnings == ()
    return {p.value.name: p.value for p in found.datasets}


def effects(text: str) -> dict[str, str | None]:
    """``holder.field`` to direction and effect."""
    found = fideslang.read_text(text, "draft.yml").references
    return {
        f"{p.value.holder.partition('.')[2]}.{p.value.holder_field}": (
            f"{p.value.direction} {p.value.on_erase or 'default'}"
            f"{' ghost' if p.value.ghost else ''}"
        )
        for p in found
    }


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Email", "user.contact.email"),
        ("e_mail", "user.contact.email"),
        ("BillingPostalCode", "user.contact.address.postal_code"),
        ("address_line_1", "user.contact.address.street"),
        ("FirstName", "user.name.first"),
        ("lastname", "user.name.last"),
        ("ship_name", "user.name"),
        ("HomePhone", "user.contact.phone_number"),
        ("Fax", "user.contact.fax_number"),
        ("date_of_birth", "user.demographic.date_of_birth"),
        ("IPAddress", "user.device.ip_address"),
        ("iban", "user.financial.bank_account"),
        ("card_number", "user.financial.credit_card"),
        ("ssn", "user.government_id.national_identification_number"),
        ("gender", "user.demographic.gender"),
        ("Notes", "user.content"),
        ("company_name", "user.workplace"),
        ("email_verified_at", None),
        ("phone_id", None),
        ("UnitPrice", None),
        ("Milliseconds", None),
        ("description", None),
        ("zipper", None),
        ("shipping", None),
    ],
)
def test_a_category_is_guessed_from_a_name(name: str, category: str | None) -> None:
    found = guess(Column(name=name, data_type="VARCHAR(20)"))
    assert (found.category if found else None) == category


def test_numbers_are_not_taken_for_texts() -> None:
    assert guess(Column(name="email", data_type="INTEGER")) is None
    assert guess(Column(name="phone", data_type="BIGINT")) is not None


def test_words_of_a_name() -> None:
    assert words("BillingPostalCode") == words("billing_postal_code") == "billing postal code"
    assert words("IPAddress") == "ip address"
    assert names_actor("created_by")
    assert names_actor("SupportRepId")
    assert not names_actor("customer_id")


def test_a_person_goes_with_children_and_their_children_and_lookups_are_ignored() -> None:
    text = drafted(
        table("customer", "email!", "city", country="country"),
        table("country", "name"),
        table("invoice", "total", customer="customer"),
        table("line", invoice="invoice", product="product"),
        table("product", "name"),
    )
    actions = {name: dataset.action for name, dataset in read(text).items()}
    assert actions == {
        "country": "ignore",
        "customer": "delete",
        "invoice": "delete",
        "line": "delete",
        "product": "ignore",
    }
    assert effects(text)["customer.country"] == "from default"
    customer = read(text)["customer"]
    assert [f.identity for f in customer.identities] == ["email"]


def test_who_handled_a_row_does_not_own_it() -> None:
    text = drafted(
        table("user", "email"),
        table("product", "title", created_by="user", approved_by="user"),
    )
    assert effects(text) == {
        "product.created_by": "from shallow",
        "product.approved_by": "from shallow",
    }
    assert read(text)["product"].action is None
    assert "# decide: does the row belong to its user? then on_erase: deep" in text


@pytest.mark.parametrize("given_by", ["kursleiter", "person"])
def test_a_course_does_not_go_with_whoever_gives_it_nor_take_those_along_who_attend(
    given_by: str,
) -> None:
    """It would delete other people's pairs."""
    name, made = table("attends", course="course", member="member")
    columns = tuple(replace(c, primary_key=c.name != "id") for c in made.columns)
    text = drafted(
        table("member", "email"),
        table("course", "title", **{given_by: "member"}),
        (name, replace(made, columns=columns)),
    )
    assert effects(text) == {
        f"course.{given_by}": "from shallow",
        "attends.course": "from default",
        "attends.member": "from default",
    }
    actions = {name: dataset.action for name, dataset in read(text).items()}
    assert actions == {"member": "delete", "course": None, "attends": "delete"}
    assert "# decide: whose rows are these?" in text


def test_a_reference_that_cannot_be_empty_gets_a_ghost() -> None:
    name, made = table("product", "title", created_by="user")
    columns = tuple(
        Column(name=c.name, data_type=c.data_type, nullable=False, primary_key=c.primary_key)
        for c in made.columns
    )
    strict = Table(name=name, columns=columns, foreign_keys=made.foreign_keys)
    text = drafted(table("user", "email"), (name, strict))
    assert effects(text) == {"product.created_by": "from shallow ghost"}


def test_an_order_belongs_to_the_customer_and_not_to_the_staff() -> None:
    text = drafted(
        table("employee", "email", boss="employee"),
        table("customer", "email", rep="employee"),
        table("sale", customer="customer", employee="employee"),
    )
    assert effects(text) == {
        "employee.boss": "from default",
        "customer.rep": "from default",
        "sale.customer": "from default",
        "sale.employee": "from shallow",
    }


def test_a_row_between_two_people_is_deleted_for_neither_on_a_guess() -> None:
    text = drafted(
        table("user", "email"), table("message", "body", sender="user", recipient="user")
    )
    assert set(effects(text).values()) == {"from shallow"}
    message = read(text)["message"]
    assert (message.action, message.free_text) == (None, ("body",))


def test_an_address_that_people_share_goes_when_the_last_has_gone() -> None:
    text = drafted(
        table("address", "street", "city"),
        table("customer", "email", address="address"),
    )
    assert effects(text) == {"customer.address": "to default"}
    assert read(text)["address"].action == "delete"
    assert "# decide: goes when nobody refers to it any more" in text


def test_a_firm_that_people_refer_to_is_asked_about_and_not_deleted() -> None:
    text = drafted(
        table("shipper", "phone", "fax"),
        table("customer", "email", shipper="shipper"),
    )
    assert read(text)["shipper"].action is None
    assert "# decide: whose rows are these?" in text


def test_people_without_an_email_are_asked_about_and_nothing_is_deleted() -> None:
    text = drafted(
        table("patient", "first_name", "last_name"),
        table("visit", "reason", patient="patient"),
    )
    assert {name: d.action for name, d in read(text).items()} == {"patient": None, "visit": None}
    assert text.count("# decide: are these people?") == 1
    assert text.count("# decide: whose rows are these?") == 1


def test_names_that_yaml_would_misread_come_back_as_they_are() -> None:
    odd = ["on", "a b", "x: y", "#", "ü", "'", '"', "1e3", "null", "a\nb", "[x]", "-"]
    found = read(drafted(table("no", *odd)))
    assert [f.name for f in found["no"].fields] == ["id", *odd]


def test_other_schemas_and_references_between_them() -> None:
    customer = table("customer", "email")[1]
    ticket = table("desk.ticket", "subject", customer="customer")[1]
    ticket = Table(
        name="ticket", schema="desk", columns=ticket.columns, foreign_keys=ticket.foreign_keys
    )
    text = drafted(("customer", customer), ("desk.ticket", ticket))
    found = fideslang.read_text(text, "draft.yml")
    assert [(p.value.address, p.value.schema) for p in found.datasets] == [
        ("shop.customer", None),
        ("shop_desk.ticket", "desk"),
    ]
    assert found.references[0].value.target == "shop"


def test_keys_of_several_columns_and_tables_without_any_are_asked_about() -> None:
    composite = ForeignKey(name="f", columns=("a", "b"), target="t", target_columns=("a", "b"))
    loose = Table(name="t", columns=(Column(name="a", data_type="INT"),), foreign_keys=(composite,))
    text = drafted(("t", loose))
    assert "# decide: no primary key" in text
    assert "# decide: reference of several columns (a, b) to t" in text
    assert effects(text) == {}


def test_facts_of_a_column_are_noted_and_every_line_is_yaml() -> None:
    column = Column(name="c", data_type="ENUM('a\n', '#')", nullable=False, unique=True)
    made = Table(name="t", columns=(column,), rows=5)
    text = written(
        Inspection(tables={"t": made}, fingerprint="x"),
        StoreEntry(name="s p", kind="sql", url="u: #", options={"purge": "none"}),
    )
    assert "# ENUM('a ', '#'), not null, unique" in text
    assert "- name: t  # about 5 rows" in text
    (store,) = yaml.safe_load(text)["store"]
    assert store == {"name": "s p", "kind": "sql", "url": "u: #", "options": {"purge": "none"}}


def edited(draft: str) -> str:
    """The draft as a person finishes it."""
    for old, new in EDITS:
        assert draft.count(old) == 1, old
        draft = draft.replace(old, new)
    return draft


def edited_lines(before: str, after: str) -> int:
    """Lines added or changed."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return sum(line.startswith("+ ") for line in lines)


def _erased(database: sqlite3.Connection, reach: Reach, email: str) -> dict[str, int]:
    """Rows deleted per table, by reading the reach as the format says: deep edges carry on, rows
    of datasets with action delete go, children first."""
    datasets = selectors.datasets()
    names = {a: d.name for a, d in datasets.items()}
    rows: dict[str, set[int]] = {}
    for stop in reach.stops:
        for seed in stop.seeds:
            sql = f"select rowid from {names[stop.address]} where lower({seed}) = ?"
            rows[stop.address] = {row for (row,) in database.execute(sql, [email])}
    grown = True
    while grown:
        grown = False
        for edge in (e for e in reach.edges if e.effect == "deep"):
            sql = (
                f"select d.rowid from {names[edge.destination]} d join {names[edge.origin]} o "
                f"on d.{edge.destination_field} = o.{edge.origin_field} where o.rowid in "
                f"({','.join(map(str, rows.get(edge.origin, ())))})"
            )
            found = {row for (row,) in database.execute(sql)}
            grown |= not found <= rows.get(edge.destination, set())
            rows.setdefault(edge.destination, set()).update(found)
    for stop in reversed(reach.stops):
        assert datasets[stop.address].action == "delete"
        marks = ",".join(map(str, rows.get(stop.address, ())))
        database.execute(f"delete from {names[stop.address]} where rowid in ({marks})")
    return {names[address]: len(found) for address, found in rows.items() if found}


@pytest.fixture
def chinook(tmp_path: Path) -> Path:
    if not CHINOOK.exists():
        pytest.skip("the Chinook database is not at ../shared/data/chinook beside the checkout")
    return Path(shutil.copy(CHINOOK, tmp_path / "chinook.sqlite"))


@pytest.mark.shared
@pytest.mark.django_db
def test_the_chinook_draft_becomes_usable_with_at_most_ten_edited_lines(chinook: Path) -> None:
    entry = StoreEntry(name="chinook", kind="sql", url=f"sqlite:///{chinook}")
    store = registry.get("sql")(name=entry.name, url=entry.url, options={})
    found = find(store, 200, lambda _: None)
    store.close()
    draft = sql_schema.draft(found, entry)
    final = edited(draft)
    assert edited_lines(draft, final) <= MOST_EDITS
    catalogue = fideslang.read_text(final, "chinook.yml")
    assert catalogue.warnings == ()
    catalog.upsert(catalogue)
    left = gate.findings(selectors.snapshot(), {"chinook": found.inspection})
    assert [one for one in left if one.code not in gate.NOTES] == []
    reach = walk(selectors.identity_start(["email"]), selectors.snapshot().neighbours)
    with closing(sqlite3.connect(chinook)) as database:
        database.execute("pragma foreign_keys = on")
        employees = database.execute("select * from Employee").fetchall()
        others = database.execute("select * from Customer where CustomerId <> 1").fetchall()
        gone = _erased(database, reach, "luisg@embraer.com.br")
        assert gone == {"Customer": 1, "Invoice": 7, "InvoiceLine": 38}
        assert database.execute("select * from Employee").fetchall() == employees
        assert database.execute("select * from Customer").fetchall() == others
        assert database.execute("pragma foreign_key_check").fetchall() == []


@pytest.mark.shared
@pytest.mark.django_db
def test_erasing_a_chinook_employee_leaves_the_customers_they_served(chinook: Path) -> None:
    entry = StoreEntry(name="chinook", kind="sql", url=f"sqlite:///{chinook}")
    store = registry.get("sql")(name=entry.name, url=entry.url, options={})
    catalog.upsert(
        fideslang.read_text(
            edited(sql_schema.draft(find(store, 200, lambda _: None), entry)), "c.yml"
        )
    )
    store.close()
    reach = walk({"chinook.Employee": ["Email"]}, selectors.snapshot().neighbours)
    assert {s.address: s.effect for s in reach.stops} == {
        "chinook.Employee": "deep",
        "chinook.Customer": "shallow",
    }
