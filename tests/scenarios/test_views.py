"""A shop with views: drafted with what they are made of, one person forgotten through them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.scenarios.conftest import Installation

SHOP = """
create table customer (id integer primary key, email text not null, name text);
create table orders (id integer primary key, customer_id integer references customer (id), total);
create view person as select id, email, upper(name) as loud from customer;
create view spent as
  select p.id, p.email, sum(o.total) as total
  from person p join orders o on o.customer_id = p.id group by p.id, p.email;
insert into customer values (1, 'mira.quell@example.com', 'Mira Quell');
insert into customer values (2, 'noah.bright@example.com', 'Noah Bright');
insert into orders values (1, 1, 20), (2, 2, 30);
create table best (number integer primary key, total);
insert into best select id, total from spent;
"""
# Somebody's job fills it out of a view; the schema cannot say so.
BEST = """
      - name: best
        erasure:
          action: delete
          derived_from: [{dataset: shop.spent, columns: {number: id}}]
        fields:
          - {name: number, fides_meta: {primary_key: true}}
          - {name: total}
"""


def test_what_is_made_from_a_view_of_a_view_is_found_by_the_keys_of_the_table(
    installation: Installation, tmp_path: Path
) -> None:
    path, draft = tmp_path / "shop.sqlite", tmp_path / "shop.yml"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SHOP)
    installation.must("discover_lineage", f"sqlite:///{path}", "--out", str(draft))
    text = draft.read_text()
    assert "- {dataset: shop.person, kind: derived, columns: {id: id, email: email}}" in text
    begin, end = text.index("      - name: best"), text.index("      - name: customer")
    draft.write_text(text[:begin] + BEST.lstrip("\n") + text[end:])
    installation.must("import_lineage", str(draft))
    assert installation.must("import_lineage", str(draft)).count("nothing") == 3
    done = installation.erase("email=mira.quell@example.com")
    assert done["outcome"] == "completed"
    # nothing is done to a view, everything to what it was a way to
    assert {step["dataset"] for step in done["steps"]} == {
        "shop.customer", "shop.orders", "shop.best"
    }  # fmt: skip
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("select number from best").fetchall() == [(2,)]
        assert database.execute("select email from spent").fetchall() == [
            ("noah.bright@example.com",)
        ]
