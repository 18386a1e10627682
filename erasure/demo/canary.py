"""The sandbox company's canaries: LETHE_CANARY_PLANT of the demo. Somebody who does not exist signs
up, orders, is logged, exported to the lake and learnt from, and is to be gone from all of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from erasure.canaries import Canary
from erasure.connect import derived_key
from erasure.demo import company, lake, logs, shop
from erasure.demo.people import Person
from erasure.domain.errors import UsageError

PLACES = ("shop.customer", "shop.address", "shop.orders", "lake.orders", "access.access",
          "models.churn")  # fmt: skip


def plant(people: Sequence[Canary]) -> Sequence[str]:
    """Where the company's own customers are, but for what the law has it keep. Returns the
    addresses of the datasets they are in."""
    folder = Path(os.environ.get(company.DEMO_DIR, ""))
    built = company.load(folder, hash_key=derived_key(company.MODEL_STORE))
    if built is None:
        raise UsageError("the sandbox company is not there; run the demo first")
    day = built.today
    with closing(sqlite3.connect(built.database)) as connection, connection:
        orders = [_signed_up(connection, person, day) for person in people]
    lake.write(built.lake, orders, lambda: None)
    with (built.logs / "access" / "access.log").open("a") as log:
        for number, order in enumerate(orders):
            who = order.person
            log.write(logs.line(day, number, who.id, who.email, who.ip, "/orders") + "\n")
    company.train(built)
    return PLACES


def _signed_up(connection: sqlite3.Connection, canary: Canary, day: date) -> shop.Order:
    """With an address and one order; numbers go on from the company's own."""
    customer, address, order = (
        1 + connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
        for table in ("customer", "address", "orders")
    )
    placed = shop.Order(
        id=order,
        person=Person(
            id=customer, first_name=canary.first_name, last_name=canary.last_name,
            email=canary.email, phone=canary.phone, birth_date="1990-01-01", address_id=address,
            street=canary.street, postal_code="LS1 1AA", city=canary.city, ip="192.0.2.1",
        ),
        day=day,
        placed_at=f"{day.isoformat()} 12:00:00",
        products=(1,),
        total_cents=shop.price(1),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO address VALUES (?, ?, ?, ?)",
        (address, canary.street, placed.person.postal_code, canary.city),
    )
    connection.execute(
        "INSERT INTO customer (id, first_name, last_name, email, phone, address_id, last_order_on)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            customer,
            canary.first_name,
            canary.last_name,
            canary.email,
            canary.phone,
            address,
            day.isoformat(),
        ),
    )
    connection.execute(
        "INSERT INTO orders (id, customer_id, delivery_address_id, placed_at, total_cents)"
        " VALUES (?, ?, ?, ?, ?)",
        (order, customer, address, placed.placed_at, placed.total_cents),
    )
    return placed
