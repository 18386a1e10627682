"""A materialised view keeps a copy that only the database itself can make anew."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from erasure import inline
from erasure.domain.errors import UsageError
from erasure.flow import decide
from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE
from tests.stores.postgresql import scratch_database

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]

SCHEMA = """
CREATE TABLE customer (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);
INSERT INTO customer VALUES (1, 'mira.quell@example.com'), (2, 'noah.bright@example.com');
CREATE MATERIALIZED VIEW contact AS SELECT id AS who, email FROM customer;
"""
CATALOGUE = """
store:
  - {name: shop, kind: sql, url: "URL"OPTIONS}
dataset:
  - fides_key: shop
    erasure: {store: shop}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: contact
        erasure:
          action: ACTION
          because: the nightly job refreshes it
          derived_from: [{dataset: shop.customer, columns: {who: id, email: email}}]
        fields: [{name: who}, {name: email, data_categories: [user.contact.email]}]
"""


@pytest.fixture
def url() -> Iterator[str]:
    for url in scratch_database("copies_of_views"):
        with psycopg.connect(url) as target:
            target.execute(SCHEMA)
        yield url


def declare(url: str, action: str, refresh: str = "") -> None:
    options = f", options: {{refresh: [{refresh}]}}" if refresh else ""
    text = CATALOGUE.replace("URL", url).replace("ACTION", action).replace("OPTIONS", options)
    catalog.upsert(fideslang.read_text(text, "copies.yml"))


def opened() -> ErasureRequest:
    given = [("email", "mira.quell@example.com")]
    return inline.open_case(given, by=CONSOLE, method="console")


def contacts(url: str) -> list[int]:
    with psycopg.connect(url) as target:
        return [row[0] for row in target.execute("SELECT who FROM contact ORDER BY who")]


def test_a_promise_to_build_it_anew_that_nobody_keeps_is_refused_while_planning(url: str) -> None:
    declare(url, "rebuild")
    with pytest.raises(UsageError) as caught:
        opened()
    assert "shop.contact: 'rebuild' cannot be carried out, it is a materialized view" in str(
        caught.value
    )
    assert contacts(url) == [1, 2]


def test_a_case_is_not_finished_before_the_copy_was_refreshed(url: str) -> None:
    declare(url, "ignore")
    request = opened()
    inline.approve(request, by=CONSOLE, because="asked")
    request = inline.run_inline(ErasureRequest.objects.get(pk=request.pk))
    assert request.state == "blocked"
    assert contacts(url) == [1, 2]
    with psycopg.connect(url) as target:
        target.execute("REFRESH MATERIALIZED VIEW contact")
    decide.retry_blocked(request, by=CONSOLE)
    request = inline.run_inline(ErasureRequest.objects.get(pk=request.pk))
    assert request.state == "completed"
    assert contacts(url) == [2]


def carried_out(url: str, refresh: str) -> ErasureRequest:
    declare(url, "ignore", refresh)
    request = opened()
    inline.approve(request, by=CONSOLE, because="asked")
    return inline.run_inline(ErasureRequest.objects.get(pk=request.pk))


@pytest.mark.parametrize("name", ["contact", "public.contact"])
def test_a_copy_that_the_store_may_refresh_is_built_anew_after_the_deletes(
    url: str, name: str
) -> None:
    request = carried_out(url, name)
    assert request.state == "completed", request.blocked_because
    assert contacts(url) == [2]


@pytest.mark.parametrize("name", ["contacts", "customer"])
def test_what_cannot_be_refreshed_stops_the_case_and_is_named(url: str, name: str) -> None:
    request = carried_out(url, name)
    assert request.state == "blocked"
    assert f"shop.{name}" in request.blocked_because
    assert contacts(url) == [1, 2]
