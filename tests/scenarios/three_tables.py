"""Customers, their purchases and the items of each: three tables, each row reached by a key."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE customer (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE purchase (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customer);
CREATE TABLE item (
    purchase_id bigint REFERENCES purchase, no int, title text, PRIMARY KEY (purchase_id, no)
);
CREATE INDEX ON purchase (customer_id);
"""
CATALOGUE = """
store:
  - {name: shop, kind: sql, url: "URL"}
dataset:
  - fides_key: shop
    erasure: {store: shop}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: purchase
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
      - name: item
        erasure: {action: delete}
        fields:
          - {name: no, fides_meta: {primary_key: true}}
          - name: purchase_id
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: purchase.id, direction: from}]
"""
