"""The little company that stores of rows are tested on: its tables, rows, datasets and steps.

The subject has the key 0. A neighbour shares the address, was recruited by the subject, stands in
the same order, and names the subject in a post.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Referrer, Step
from erasure.domain.values import Scalar
from erasure.stores.base import Declared, Found, Key, Secrets, Selector, Store, Work
from lineage.graph import Dataset, Field
from lineage.schema import Column, ForeignKey, Table
from tests.stores.conformance import SEED, Planted

Row = Mapping[str, Scalar]


class RowHarness(ABC):
    """Makes tables and rows, and looks at them past the store."""

    name = "shop"
    durable = True

    @abstractmethod
    def create(self, tables: Sequence[Table], rows: Mapping[str, Sequence[Row]]) -> None:
        """Make the tables, in the order given, and fill them."""

    @abstractmethod
    def store(self) -> Store:
        """A new adapter on these data."""

    @abstractmethod
    def read(self, table: str) -> list[dict[str, Scalar]]:
        """All rows, in a stable order, byte for byte as the store's own reader gives them."""

    @abstractmethod
    def insert(self, table: str, row: Row) -> None:
        """Somebody else adds a row, and commits."""

    @abstractmethod
    def delete(self, table: str, **where: Scalar) -> None:
        """Somebody else removes rows, and commits."""


def _column(name: str, data_type: str, **more: Any) -> Column:
    length = int(data_type[8:-1]) if data_type.startswith("VARCHAR(") else None
    return Column(name=name, data_type=data_type, length=length, **more)


def _refers(column: str, target: str, target_column: str) -> ForeignKey:
    return ForeignKey(
        name="",
        columns=(column,),
        target=target,
        target_columns=(target_column,),
    )


ADDRESS = Table(
    name="address",
    columns=(
        _column("id", "INTEGER", primary_key=True, nullable=False),
        _column("street", "VARCHAR(40)"),
    ),
)
PERSON = Table(
    name="person",
    columns=(
        _column("id", "INTEGER", primary_key=True, nullable=False),
        _column("email", "VARCHAR(60)", nullable=False, unique=True),
        _column("name", "VARCHAR(60)"),
        _column("notes", "TEXT"),
        _column("address_id", "INTEGER"),
        _column("recruited_by", "INTEGER"),
    ),
    foreign_keys=(_refers("address_id", "address", "id"), _refers("recruited_by", "person", "id")),
)
POST = Table(
    name="post",
    columns=(
        _column("id", "INTEGER", primary_key=True, nullable=False),
        _column("author_id", "INTEGER", nullable=False),
        _column("body", "TEXT"),
    ),
    foreign_keys=(_refers("author_id", "person", "id"),),
)
LINE = Table(
    name="Order Line",
    columns=(
        _column("orderNo", "INTEGER", primary_key=True, nullable=False),
        _column("Line", "INTEGER", primary_key=True, nullable=False),
        _column("buyer", "INTEGER"),
    ),
    foreign_keys=(_refers("buyer", "person", "id"),),
)
CARD = Table(
    name="card",
    columns=(
        _column("code", "VARCHAR(12)", primary_key=True, nullable=False),
        _column("holder", "INTEGER"),
    ),
    foreign_keys=(_refers("holder", "person", "id"),),
)
TRAIL = Table(
    name="trail",
    columns=(_column("at", "INTEGER"), _column("what", "TEXT")),
)
TABLES = (ADDRESS, PERSON, POST, LINE, CARD, TRAIL)

SUBJECT, NEIGHBOUR, FRIEND = 0, 1, 2  # a key of 0 is a key
ROWS: Mapping[str, Sequence[Row]] = {
    "address": [{"id": 10, "street": "1 Shared Lane"}, {"id": 11, "street": "2 Own Road"}],
    "person": [
        {
            "id": SUBJECT,
            "email": "Mira.Quell@example.com",
            "name": "Mira Quell",
            "notes": "called Mira Quell back",
            "address_id": 10,
            "recruited_by": None,
        },
        {
            "id": NEIGHBOUR,
            "email": "tom@example.com",
            "name": "Tom Ort",
            "notes": "likes tea",
            "address_id": 10,
            "recruited_by": SUBJECT,
        },
        {
            "id": FRIEND,
            "email": "uma@example.org",
            "name": "Uma Orr",
            "notes": None,
            "address_id": 11,
            "recruited_by": None,
        },
    ],
    "post": [
        {"id": 100, "author_id": SUBJECT, "body": "my own words"},
        {"id": 101, "author_id": NEIGHBOUR, "body": "As Mira  Quell? No: MIRA QUELL said."},
        {"id": 102, "author_id": FRIEND, "body": None},
    ],
    "Order Line": [
        {"orderNo": 7, "Line": 1, "buyer": SUBJECT},
        {"orderNo": 7, "Line": 2, "buyer": NEIGHBOUR},
        {"orderNo": 8, "Line": 1, "buyer": NEIGHBOUR},
        {"orderNo": 8, "Line": 2, "buyer": SUBJECT},
    ],
    "card": [{"code": "A-01", "holder": SUBJECT}, {"code": "B-02", "holder": NEIGHBOUR}],
    "trail": [{"at": 1, "what": "a row of a table without a key"}],
}
NEEDLES = Matcher(
    [
        Needle(text="mira.quell@example.com", category="email"),
        Needle(text="Mira Quell", category="user.name"),
    ]
)
SECRETS = Secrets(seed=SEED, needles=NEEDLES)


def dataset(name: str, *fields: Field, **more: Any) -> Dataset:
    """A dataset of the harness's store."""
    return Dataset(address=f"shop.{name}", store="shop", name=name, fields=fields, **more)


PERSON_SET = dataset(
    "person",
    Field(name="id", primary_key=True),
    Field(name="email", identity="email", categories=("user.contact.email",)),
    Field(name="name", categories=("user.name",)),
    Field(name="notes", free_text=True),
    Field(name="address_id"),
    Field(name="recruited_by"),
)
POST_SET = dataset(
    "post",
    Field(name="id", primary_key=True),
    Field(name="author_id"),
    Field(name="body", free_text=True),
)
LINE_SET = dataset("Order Line")
CARD_SET = dataset("card")
ADDRESS_SET = dataset("address", Field(name="id", primary_key=True), Field(name="street"))

EMAIL = Selector(
    dataset=PERSON_SET,
    mode="email",
    fields=("email",),
    carry=("id", "address_id"),
    guard=("email",),
)
DELETE_PERSON = Step(dataset=PERSON_SET, action="delete", guard=("email",))
DELETE_POST = Step(dataset=POST_SET, action="delete", guard=("author_id",))
DELETE_LINE = Step(dataset=LINE_SET, action="delete", guard=("buyer",))
DELETE_CARD = Step(dataset=CARD_SET, action="delete", guard=("holder",))
CUT_RECRUITED = Step(
    dataset=PERSON_SET,
    action="redact",
    via="shallow",
    guard=("email", "recruited_by"),
    cut=("recruited_by",),
    redact=("notes",),
)
MENTION_POST = Step(dataset=POST_SET, action="redact", via="mention", redact=("body",))
SHARED_ADDRESS = Step(
    dataset=ADDRESS_SET,
    action="delete",
    via="refcount",
    referrers=(Referrer(collection="person", field="address_id", target_field="id"),),
)


def by(name: Dataset, column: str, *guard: str) -> Selector:
    """Rows of a table whose column equals a value, guarded by that column or others."""
    return Selector(dataset=name, fields=(column,), guard=guard or (column,))


def keys_of(store: Store, selector: Selector, *values: Scalar) -> tuple[Key, ...]:
    """The keys that a search finds, in key order."""
    return tuple(
        sorted((f.key for f in store.find(selector, values)), key=lambda k: repr(k.values))
    )


def whole_case(store: Store, subject: Scalar = SUBJECT) -> list[Work]:
    """Everything about one person of ``ROWS``, children first, as a plan would have it."""
    mentions = Selector(dataset=POST_SET, mode="text", fields=("body",))
    own = keys_of(store, by(POST_SET, "author_id"), subject)
    found = [f.key for f in store.find(mentions, [n.text for n in NEEDLES.needles])]
    others = tuple(k for k in found if k.values not in {o.values for o in own})
    person = Selector(dataset=PERSON_SET, fields=("id",), carry=("address_id",), guard=("email",))
    people = list(store.find(person, [subject]))
    addresses = [f.carry["address_id"] for f in people]
    return [
        Work(step=MENTION_POST, keys=others),
        Work(
            step=CUT_RECRUITED,
            keys=keys_of(store, by(PERSON_SET, "recruited_by", "email", "recruited_by"), subject),
        ),
        Work(step=DELETE_LINE, keys=keys_of(store, by(LINE_SET, "buyer"), subject)),
        Work(step=DELETE_CARD, keys=keys_of(store, by(CARD_SET, "holder"), subject)),
        Work(step=DELETE_POST, keys=own),
        Work(step=DELETE_PERSON, keys=tuple(f.key for f in people)),
        Work(
            step=SHARED_ADDRESS,
            keys=keys_of(store, Selector(dataset=ADDRESS_SET, fields=("id",)), *addresses),
        ),
    ]


class PlantedRows(Planted):
    """The little company in a store of rows; the subject is deleted with all that is theirs."""

    selector = EMAIL
    values = ("Mira.Quell@example.com",)
    spellings = ("mira.quell@EXAMPLE.com", " MIRA.QUELL@EXAMPLE.COM ")
    declared = (
        Declared(dataset=PERSON_SET, owners=("id", "email")),
        Declared(dataset=POST_SET, owners=("author_id",)),
    )
    needles = NEEDLES

    def __init__(self, harness: RowHarness) -> None:
        self.harness = harness
        self.durable = harness.durable

    def store(self) -> Store:
        return self.harness.store()

    def works(self, found: Sequence[Found]) -> list[Work]:
        store = self.store()
        works = whole_case(store)
        store.close()
        # The shared address stays, and so it counts as kept, not as done.
        return [w for w in works if w.step.via != "refcount"]

    def neighbours(self) -> Any:
        """Rows of others; what points at the subject in them is theirs to lose."""
        return {
            "person": [r for r in self.harness.read("person") if r["id"] == FRIEND],
            "neighbour": [
                {k: v for k, v in r.items() if k != "recruited_by"}
                for r in self.harness.read("person")
                if r["id"] == NEIGHBOUR
            ],
            "post": [r for r in self.harness.read("post") if r["id"] == 102],
            "line": [r for r in self.harness.read("Order Line") if r["buyer"] == NEIGHBOUR],
            "card": [r for r in self.harness.read("card") if r["holder"] == NEIGHBOUR],
            "address": self.harness.read("address"),
            "trail": self.harness.read("trail"),
        }

    def everything(self) -> Any:
        return {t.name: self.harness.read(t.name) for t in TABLES}
