"""The demo company's database: an SQLite web shop with customers, orders, tickets and reviews."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from erasure.demo.people import LEAVER, NEIGHBOUR, Dice, Person, Population

DAYS = 60
QUIET_DAYS = 20
PRODUCTS = 40
_TABLES = """
CREATE TABLE address (
  id INTEGER PRIMARY KEY, street TEXT NOT NULL, postal_code TEXT NOT NULL, city TEXT NOT NULL
);
CREATE TABLE customer (
  id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE, phone TEXT, birth_date TEXT,
  address_id INTEGER REFERENCES address (id), marketing_note TEXT,
  last_order_on TEXT
);
CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price_cents INTEGER NOT NULL);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id),
  delivery_address_id INTEGER REFERENCES address (id), placed_at TEXT NOT NULL,
  total_cents INTEGER NOT NULL, gift_message TEXT
);
CREATE TABLE order_line (
  order_id INTEGER NOT NULL REFERENCES orders (id), line_no INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES product (id), price_cents INTEGER NOT NULL,
  PRIMARY KEY (order_id, line_no)
);
CREATE TABLE invoice (
  id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id),
  issued_on TEXT NOT NULL, total_cents INTEGER NOT NULL, billing_name TEXT NOT NULL,
  billing_email TEXT NOT NULL, billing_street TEXT NOT NULL, billing_city TEXT NOT NULL
);
CREATE TABLE ticket (
  id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id), subject TEXT NOT NULL,
  opened_on TEXT NOT NULL
);
CREATE TABLE ticket_message (
  id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL REFERENCES ticket (id),
  author_id INTEGER REFERENCES customer (id), sent_at TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE review (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id),
  product_id INTEGER NOT NULL REFERENCES product (id), reply_to INTEGER REFERENCES review (id),
  stars INTEGER, body TEXT NOT NULL, posted_on TEXT NOT NULL
);
CREATE INDEX customer_address ON customer (address_id);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_address ON orders (delivery_address_id);
CREATE INDEX invoice_order ON invoice (order_id);
CREATE INDEX ticket_customer ON ticket (customer_id);
CREATE INDEX message_ticket ON ticket_message (ticket_id);
CREATE INDEX message_author ON ticket_message (author_id);
CREATE INDEX review_customer ON review (customer_id);
CREATE INDEX review_reply ON review (reply_to);
"""
Row = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order as every copy of it is written; ``products`` are its lines, in order."""

    id: int
    person: Person
    day: date
    placed_at: str
    products: tuple[int, ...]
    total_cents: int


def price(product: int) -> int:
    """Cents."""
    return 350 + product * 137


def make_orders(population: Population, dice: Dice, last_day: date) -> list[Order]:
    """Every order of the last :data:`DAYS` days, by day; about three per person. A third of the
    people stop ordering in the first half: what the model learns to foresee."""
    placed: list[tuple[int, Person, int]] = []
    for person in population.people:
        known = person.id in (LEAVER, NEIGHBOUR)
        stops = not known and dice.below(100, "stops", person.id) < 35
        count = 5 if known else dice.below(4 if stops else 7, "orders", person.id)
        for n in range(count):
            span = DAYS // 2 if stops else DAYS
            placed.append((dice.below(span, f"day{n}", person.id), person, n))
    placed.sort(key=lambda p: (p[0], p[1].id, p[2]))
    first = last_day - timedelta(days=DAYS - 1)
    return [
        _order(number, person, first + timedelta(days=day), dice)
        for number, (day, person, _) in enumerate(placed, start=1)
    ]


def _order(number: int, person: Person, day: date, dice: Dice) -> Order:
    lines = 1 + dice.below(3, "lines", number)
    products = tuple(1 + dice.below(PRODUCTS, f"product{n}", number) for n in range(lines))
    second = dice.below(86_400, "second", number)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return Order(
        id=number,
        person=person,
        day=day,
        placed_at=f"{day.isoformat()} {clock}",
        products=products,
        total_cents=sum(price(p) for p in products),
    )


def write(path: Path, population: Population, orders: list[Order], dice: Dice) -> None:
    """The database at ``path``, which must not be there yet."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode=MEMORY;" + _TABLES)
        for table, rows in _rows(population, orders, dice):
            _insert(connection, table, rows)
        connection.commit()


def copy(path: Path, target: Path) -> None:
    """A backup of the database, taken through SQLite as a nightly job would."""
    with (
        closing(sqlite3.connect(path)) as live,
        closing(sqlite3.connect(target)) as backup,
    ):
        live.backup(backup)


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    first = next(rows)
    marks = ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - our own table names
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _rows(
    population: Population, orders: list[Order], dice: Dice
) -> Iterator[tuple[str, Iterator[Row]]]:
    """Parents before children, so that the foreign keys hold at every moment."""
    last_day = orders[-1].day.isoformat()
    yield "address", _addresses(population)
    yield "customer", _customers(population, orders, dice)
    yield "product", ((n, f"Garden tool no. {n}", price(n)) for n in range(1, PRODUCTS + 1))
    yield "orders", _orders(population, orders)
    yield "order_line", _lines(orders)
    yield "invoice", _invoices(orders)
    yield "ticket", _tickets(population, dice, last_day)
    yield "ticket_message", _messages(population, dice, last_day)
    yield "review", _reviews(population, dice, last_day)


def _addresses(population: Population) -> Iterator[Row]:
    for person in population.people:
        if person.id != NEIGHBOUR:
            yield person.address_id, person.street, person.postal_code, person.city
    # Where only the leaver had parcels sent: it goes with the last reference to it.
    leaver = population.leaver
    yield population.size + 1, "3 Saltmarsh Cottages", leaver.postal_code, leaver.city


def _customers(population: Population, orders: list[Order], dice: Dice) -> Iterator[Row]:
    leaver, last = population.leaver, {o.person.id: o.day.isoformat() for o in orders}
    for p in population.people:
        note = None
        if p.id == NEIGHBOUR:
            note = f"Shares the house with {leaver.name}; send one catalogue for both."
        elif dice.below(10, "note", p.id) == 0 or p.id == LEAVER:
            note = f"{p.first_name} asked for the spring catalogue."
        yield (
            *(p.id, p.first_name, p.last_name, p.email, p.phone, p.birth_date, p.address_id),
            *(note, last.get(p.id)),
        )


def _orders(population: Population, orders: list[Order]) -> Iterator[Row]:
    gifts = 0
    for order in orders:
        where, gift = order.person.address_id, None
        if order.person.id == LEAVER:
            gifts += 1
            if gifts == 1:
                where, gift = population.size + 1, "Happy birthday, from Mara"
        yield order.id, order.person.id, where, order.placed_at, order.total_cents, gift


def _lines(orders: list[Order]) -> Iterator[Row]:
    for order in orders:
        for number, product in enumerate(order.products, start=1):
            yield order.id, number, product, price(product)


def _invoices(orders: list[Order]) -> Iterator[Row]:
    for o in orders:
        p = o.person
        yield (
            *(o.id, o.id, o.day.isoformat(), o.total_cents),
            *(p.name, p.email, p.street, p.city),
        )


def _writers(population: Population, dice: Dice) -> Iterator[Person]:
    """Who wrote to the shop, apart from the two."""
    for person in population.people:
        if person.id not in (LEAVER, NEIGHBOUR) and dice.below(6, "ticket", person.id) == 0:
            yield person


def _tickets(population: Population, dice: Dice, day: str) -> Iterator[Row]:
    """Ticket 1 is the leaver's, 2 the neighbour's; both wrote in both."""
    yield 1, LEAVER, f"Parcel for {population.leaver.name}", day
    yield 2, NEIGHBOUR, "Delivery to the wrong door", day
    for number, person in enumerate(_writers(population, dice), start=3):
        yield number, person.id, "Where is my parcel?", day


def _messages(population: Population, dice: Dice, day: str) -> Iterator[Row]:
    for number, (ticket, author, body) in enumerate(_bodies(population, dice), start=1):
        clock = f"08:{number // 60 % 60:02d}:{number % 60:02d}"
        yield number, ticket, author, f"{day} {clock}", body


def _bodies(population: Population, dice: Dice) -> Iterator[tuple[int, int | None, str]]:
    leaver, neighbour = population.leaver, population.neighbour
    yield 1, LEAVER, f"My parcel has not come. {leaver.name}, {leaver.phone}"
    yield 1, None, f"Dear {leaver.name}, we have written to {leaver.email}."
    yield 1, NEIGHBOUR, f"{neighbour.name} here: I took the parcel in for {leaver.name}."
    yield 2, NEIGHBOUR, f"I am {neighbour.name}; {leaver.last_name}, {leaver.first_name} can sign."
    yield 2, LEAVER, f"Yes, I can sign for {neighbour.name}."
    yield 2, None, f"Dear {neighbour.name}, dear {leaver.name}, it is on its way to {leaver.email}."
    for ticket, person in enumerate(_writers(population, dice), start=3):
        yield ticket, person.id, f"Where is my parcel? {person.name}"
        yield ticket, None, f"Dear {person.name}, it is on its way."


def _reviews(population: Population, dice: Dice, day: str) -> Iterator[Row]:
    """1 and 2: the leaver's, and the neighbour's reply to it; 3 and 4 the other way round."""
    leaver = population.leaver
    yield 1, LEAVER, 7, None, 5, "Sturdy, and it came in time.", day
    yield 2, NEIGHBOUR, 7, 1, None, f"I can only agree with {leaver.name}.", day
    yield 3, NEIGHBOUR, 9, None, 2, "The handle broke.", day
    yield 4, LEAVER, 9, 3, None, "Mine did not.", day
    number = 4
    for person in population.people:
        if person.id not in (LEAVER, NEIGHBOUR) and dice.below(4, "review", person.id) == 0:
            number += 1
            product = 1 + dice.below(PRODUCTS, "reviewed", person.id)
            yield number, person.id, product, None, 1 + number % 5, "As described.", day
