"""Any columns with any constraints, anonymised: no error, every constraint holds, and what stood
there is gone; a part of sql_common.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasure.domain.values import Scalar
from lineage.graph import Field
from tests.stores.company import Row
from tests.stores.sql_accepted import anonymise, carried_out, masked
from tests.stores.sql_harness import SqlHarness

ROWS = 6
WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", min_size=1)


@dataclass(frozen=True)
class Kind:
    """A column's type, its values, and whether there are so many that an old one cannot come
    back by chance."""

    ddl: str
    values: st.SearchStrategy[Any]
    wide: bool = False
    ordered: bool = True


def words(longest: int) -> st.SearchStrategy[str]:
    """Texts that fit."""
    return st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", min_size=1, max_size=longest)


# What every database has; each adds its own (SqlHarness.kinds).
KINDS = [
    Kind("VARCHAR(40)", words(40), wide=True),
    Kind("VARCHAR(9)", words(9), wide=True),
    Kind("VARCHAR(3)", words(3)),
    Kind("CHAR(6)", words(6)),
    Kind("TEXT", words(60), wide=True, ordered=False),
    Kind("SMALLINT", st.integers(-(2**15), 2**15 - 1)),
    Kind("INTEGER", st.integers(-(2**31), 2**31 - 1)),
    Kind("BIGINT", st.integers(-(2**63), 2**63 - 1)),
    Kind("DECIMAL(3,1)", st.integers(-999, 999).map(lambda n: n / 10)),
    Kind("DECIMAL(12,2)", st.integers(-(10**9), 10**9).map(lambda n: n / 4)),
    Kind("DOUBLE PRECISION", st.integers(-(10**6), 10**6).map(lambda n: n / 8)),
    Kind("BOOLEAN", st.booleans(), ordered=False),
    Kind("DATE", st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(str)),
    Kind("TIMESTAMP", st.datetimes(datetime(1975, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0).isoformat(" ")
    )),
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of the table: values by row, and the rest of its definition."""

    ddl: str
    values: Sequence[Scalar]
    method: str | None
    gone: bool


def literal(value: Scalar) -> str:
    """A value as SQL writes it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"'{value}'" if isinstance(value, str) else str(value)


def folded(value: Any) -> str:
    """What is the same to a database that ignores case."""
    return str(value).casefold()


@st.composite
def columns(draw: st.DrawFn, kind: Kind, number: int) -> Column:
    """Values of a kind, some constraints that they meet, and a method."""
    name, unique = f"c{number}", kind.ordered and draw(st.booleans())
    nullable = draw(st.booleans())
    several = st.lists(kind.values, min_size=ROWS * 3, max_size=ROWS * 3, unique_by=folded)
    many = draw(several) if kind.ordered else [draw(kind.values) for _ in range(ROWS * 3)]
    values: list[Scalar] = many[:ROWS]
    tests = {
        "none": "",
        "list": f"{name} IN ({', '.join(map(literal, many))})",
        "range": f"{name} BETWEEN {literal(min(many))} AND {literal(max(many))}",
        "other": f"{name} <> {literal(many[-1])}",
        "length": f"length({name}) <= {max(len(str(v)) for v in many)}",
    }
    allowed = ["none", *(["list", "range", "other"] if kind.ordered else [])]
    if isinstance(many[0], str) and kind.ordered and "CHAR" in kind.ddl:
        allowed.append("length")
    test = draw(st.sampled_from(allowed))
    if test == "other" and many[-1] in values:
        test = "none"
    if nullable:
        values = [draw(st.sampled_from([v, v, None])) for v in values]
    ddl = f"{name} {kind.ddl}{'' if nullable else ' NOT NULL'}{' UNIQUE' if unique else ''}"
    return Column(
        ddl=f"{ddl} CHECK ({tests[test]})" if tests[test] else ddl,
        values=values,
        method=draw(st.sampled_from([None, "random"])),
        gone=kind.wide and test in ("none", "other") and not unique,
    )


class SqlAcceptedAny:
    """The property."""

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )
    @given(data=st.data())
    def test_any_row_can_be_anonymised_whatever_its_columns_demand(
        self, harness: SqlHarness, data: st.DataObject
    ) -> None:
        kinds = data.draw(
            st.lists(st.sampled_from([*KINDS, *harness.kinds]), min_size=1, max_size=4)
        )
        made = [data.draw(columns(kind, number)) for number, kind in enumerate(kinds)]
        harness.create((), {})
        harness.prepare_kinds()
        definition = ", ".join(column.ddl for column in made)
        harness.execute(f"CREATE TABLE person (id INTEGER PRIMARY KEY, {definition})")
        rows: list[Row] = [
            {"id": i, **{f"c{n}": column.values[i] for n, column in enumerate(made)}}
            for i in range(ROWS)
        ]
        harness.insert("person", *rows)
        before = harness.read("person")
        fields: list[Field] = [masked(f"c{n}", column.method) for n, column in enumerate(made)]
        mine = range(0, ROWS, 2)
        carried_out(harness, anonymise("person", fields, *mine))
        after = harness.read("person")
        assert [r for r in after if r["id"] not in mine] == [
            r for r in before if r["id"] not in mine
        ]
        for then, now in zip(before, after, strict=True):
            for number, column in enumerate(made) if now["id"] in mine else ():
                name = f"c{number}"
                assert (now[name] is None) >= (then[name] is None)
                if column.gone and then[name] is not None:
                    assert now[name] != then[name]
