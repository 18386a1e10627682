"""Made-up values of people who do not exist, and four companies without a foreign key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from stdnum import iban, luhn
from stdnum.iso7064 import mod_11_10

FIRST = ("Anna", "Jürgen", "Zoé", "Piotr", "Inês", "Marco", "Sanne", "Lucía", "Tom", "Ayşe")
LAST = ("Brandt", "O'Neill", "Müller", "Nowak", "da Silva", "Rossi", "de Vries", "García", "Lee")
TOWNS = ("Kassel", "Nantes", "Utrecht", "Łódź", "Porto", "Bari", "Vigo", "Leeds")
STREETS = ("Am Markt", "Rue Haute", "Long Lane", "Calle Mayor", "Via Roma")
TEXT = "please call back after the delivery because a box was open and one part is missing"


def some_iban(random: Random) -> str:
    """A German account number whose check digits hold."""
    account = f"{random.randrange(10**17, 10**18)}"
    return f"DE{iban.calc_check_digits(f'DE00{account}')}{account}"


def some_card(random: Random) -> str:
    """A Visa number that passes Luhn."""
    start = f"4{random.randrange(10**14):014d}"
    return start + luhn.calc_check_digit(start)


def some_tax_id(random: Random) -> str:
    """A German tax number: ten digits of which one stands there twice, and a check digit."""
    digits = random.sample("123456789", 9)
    digits.insert(random.randrange(1, 9), digits[-1])
    start = "".join(digits)
    return start + mod_11_10.calc_check_digit(start)


def some_phone(random: Random) -> str:
    """A number in Berlin, written for abroad."""
    return f"+49 30 {random.randrange(10**6, 10**7)}"


def some_date(random: Random, first: int, last: int) -> str:
    """An ISO date."""
    month, day = random.randrange(1, 13), random.randrange(1, 28)
    return f"{random.randrange(first, last)}-{month:02d}-{day:02d}"


def some_text(random: Random) -> str:
    """A dozen words."""
    return " ".join(random.choices(TEXT.split(), k=12))


@dataclass(frozen=True)
class Company:
    """Statements that make the tables, and their rows."""

    tables: Mapping[str, str]
    rows: Mapping[str, Sequence[Sequence[Any]]]


def german_customers(random: Random) -> list[tuple[Any, ...]]:
    """Sixty Kunden."""
    return [
        (
            10_000 + 7 * i,
            random.choice(("Herr", "Frau")),
            random.choice(FIRST),
            random.choice(LAST),
            some_date(random, 1940, 2004),
            f"{random.choice(STREETS)} {i}",
            f"{random.randrange(10**4, 10**5)}",
            random.choice(TOWNS),
            some_phone(random),
            f"person{i}@example.org",
            some_tax_id(random),
            some_iban(random),
            some_text(random),
        )
        for i in range(60)
    ]


def german(random: Random) -> Company:
    """Kunden, Aufträge, Artikel, Mitarbeiter."""
    customers = german_customers(random)
    orders = [
        (
            f"A-2024-{i:05d}",
            random.choice(customers)[0],
            some_date(random, 2022, 2025),
            f"{random.choice(STREETS)} {1_000 + i}",
            random.choice(TOWNS),
            random.randrange(1, 9),
        )
        for i in range(150)
    ]
    articles = [(f"ART-{i:03d}", f"Ding {i}", i * 1.5) for i in range(30)]
    lines = [
        (i, random.choice(orders)[0], random.choice(articles)[0], random.randrange(1, 5))
        for i in range(300)
    ]
    staff = [
        (i, random.choice(FIRST), random.choice(LAST), f"staff{i}@example.com") for i in range(1, 9)
    ]
    return Company(
        tables={
            "kunde": "kundennr integer primary key, anrede varchar(10), vorname varchar(40), "
            "nachname varchar(40), geburtsdatum date, strasse varchar(60), plz varchar(5), "
            "ort varchar(40), telefon varchar(30), e_mail varchar(80), steuer_id varchar(11), "
            "kontoverbindung varchar(34), bemerkung text",
            "auftrag": "auftragsnr varchar(20) primary key, kundennr integer not null, "
            "auftragsdatum date, lieferanschrift varchar(60), lieferort varchar(40), "
            "sachbearbeiter integer",
            "auftragsposition": "id integer primary key, auftragsnr varchar(20) not null, "
            "artikel_nr varchar(10) not null, menge integer",
            "artikel": "artikelnr varchar(10) primary key, bezeichnung varchar(60), "
            "preis decimal(10,2)",
            "mitarbeiter": "personalnr integer primary key, vorname varchar(40), "
            "nachname varchar(40), email varchar(80)",
        },
        rows={
            "kunde": customers,
            "auftrag": orders,
            "auftragsposition": lines,
            "artikel": articles,
            "mitarbeiter": staff,
        },
    )


def french(random: Random) -> Company:
    """Clients, commandes, produits."""
    clients = [
        (
            i,
            random.choice(("M.", "Mme")),
            random.choice(LAST),
            random.choice(FIRST),
            some_date(random, 1940, 2004),
            f"{i} {random.choice(STREETS)}",
            f"{random.randrange(10**4, 10**5)}",
            random.choice(TOWNS),
            f"01 {random.randrange(10, 99)} 55 {random.randrange(10, 99)} 12",
            f"personne{i}@example.fr",
        )
        for i in range(1, 61)
    ]
    orders = [
        (i, random.randrange(1, 61), some_date(random, 2022, 2025), 9.5, some_text(random))
        for i in range(1, 121)
    ]
    lines = [(i, random.randrange(1, 121), random.randrange(1, 21), 2) for i in range(1, 201)]
    return Company(
        tables={
            "clients": "id integer primary key, civilite varchar(5), nom varchar(40), "
            "prenom varchar(40), date_de_naissance date, adresse varchar(60), "
            "code_postal varchar(5), ville varchar(40), tel varchar(20), courriel varchar(80)",
            "commandes": "id integer primary key, id_client integer, date_commande date, "
            "montant decimal(10,2), remarques text",
            "lignes_commande": "id integer primary key, commande_id integer, "
            "produit_id integer, quantite integer",
            "produits": "id integer primary key, nom varchar(40), prix decimal(10,2)",
        },
        rows={
            "clients": clients,
            "commandes": orders,
            "lignes_commande": lines,
            "produits": [(i, f"Objet {i}", 3.5) for i in range(1, 21)],
        },
    )


def english(random: Random) -> Company:
    """Users, orders, payments, events, with values in columns whose names say little."""
    users = [
        (
            f"{random.getrandbits(128):032x}",
            f"user{i}@example.net",
            random.choice(FIRST),
            random.choice(LAST),
            some_date(random, 1940, 2004),
        )
        for i in range(60)
    ]
    orders = [
        (
            i,
            random.choice(users)[0],
            random.choice(users)[0],
            random.choice(TOWNS),
            10**9 + i * 7919,
        )
        for i in range(1, 121)
    ]
    payments = [(i, i, some_card(random), f"{i % 4}.{i % 9}.{i % 30}.1") for i in range(1, 121)]
    events = [
        (
            i,
            random.choice(users)[0],
            f"203.0.113.{i % 250}",
            f"Mozilla/5.0 (X11; Linux x86_64; rv:{100 + i % 20}.0) Gecko/20100101",
            json.dumps(
                {
                    "contact": {"email": f"user{i}@example.net", "zip": f"{10_000 + i}"},
                    "cart": {"total": i},
                    f"user{i}@example.net": {"phone": some_phone(random)},
                }
            ),
        )
        for i in range(1, 121)
    ]
    return Company(
        tables={
            "users": "id char(32) primary key, email varchar(80) not null unique, "
            "first_name varchar(40), last_name varchar(40), dob date",
            "orders": "id integer primary key, user_id char(32) not null, gifted_to char(32), "
            "ship_city varchar(40), order_number bigint",
            "payments": "id integer primary key, order_id integer, x1 varchar(20), "
            "app_version varchar(20)",
            "events": "id integer primary key, actor varchar(32), origin varchar(40), "
            "client varchar(200), payload text",
        },
        rows={"users": users, "orders": orders, "payments": payments, "events": events},
    )


def shipping(random: Random) -> Company:
    """The tables of TPC-H (tpc.org), which have a prefix and neither keys nor names of people."""
    customers = [
        (
            i,
            f"Customer#{i:09d}",
            f"{random.getrandbits(60):x} street",
            f"{random.randrange(10, 35)}-{random.randrange(100, 999)}-555-{1000 + i}",
            random.randrange(-999, 9_999),
            some_text(random),
        )
        for i in range(1, 101)
    ]
    suppliers = [
        (i, f"Supplier#{i:09d}", f"{random.getrandbits(60):x} lane", f"1{i % 9}-{100 + i}-555-0000")
        for i in range(1, 21)
    ]
    orders = [
        (8 * i, random.randrange(1, 101), 9, f"Clerk#{i % 50:09d}", some_text(random))
        for i in range(1, 151)
    ]
    lines = [
        (random.choice(orders)[0], random.randrange(1, 21), i % 7, "TRUCK") for i in range(400)
    ]
    return Company(
        tables={
            "customer": "c_custkey integer, c_name varchar(25), c_address varchar(40), "
            "c_phone varchar(15), c_acctbal decimal(15,2), c_comment varchar(160)",
            "supplier": "s_suppkey integer, s_name varchar(25), s_address varchar(40), "
            "s_phone varchar(15)",
            "orders": "o_orderkey bigint, o_custkey integer, o_totalprice decimal(15,2), "
            "o_clerk varchar(15), o_comment varchar(160)",
            "lineitem": "l_orderkey bigint, l_suppkey integer, l_linenumber integer, "
            "l_shipmode varchar(10)",
        },
        rows={"customer": customers, "supplier": suppliers, "orders": orders, "lineitem": lines},
    )
