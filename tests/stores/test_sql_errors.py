"""What the SQL store makes of a driver's error: words with a remedy, and never a value."""

from __future__ import annotations

import pymysql
import pytest
import sqlalchemy.exc as sa_exc

from erasure.domain.errors import LateRows, StoreError, StoreUnreachable
from erasure.stores.sql.errors import diagnose, translate, translated
from tests.stores.conformance import told

MAIL = "mira.quell@example.com"
AGAIN, NEVER = False, True


def of_mysql(code: object, message: str = f"of {MAIL}") -> sa_exc.DBAPIError:
    """An error of MariaDB or MySQL as SQLAlchemy passes it on."""
    original = pymysql.err.OperationalError(code, message)
    return sa_exc.OperationalError("UPDATE person", {"mail": MAIL}, original)


@pytest.mark.parametrize(
    ("codes", "words", "permanent"),
    [
        ((1205, 1213), "another transaction holds these rows; try again", AGAIN),
        ((1969, 3024), "cancelled after statement_timeout", AGAIN),
        ((2003, 2006, 2013, 1053, 1927, 4031), "no connection", AGAIN),
        ((1040, 1203, 1226), "takes no more connections; close some", AGAIN),
        ((3, 14, 20, 1021, 1114, 1041), "no room or memory left; make room", AGAIN),
        ((1044, 1045, 1698), "login refused; check the user", NEVER),
        ((1142, 1143, 1227), "permission denied; grant", NEVER),
        ((1290, 1792, 1836, 1036), "read-only", NEVER),
        ((1146, 1054), "plan again", NEVER),
        ((1049, 1194), "not a usable database", NEVER),
        ((1062, 1586), "would not be unique", NEVER),
        ((1048, 1364), "refuses NULL", NEVER),
        ((1451, 1452, 1216, 1217), "a foreign key forbids it", NEVER),
        ((3819, 4025, 1366, 1265), "a check constraint refuses", NEVER),
        ((1406, 1264), "does not fit its column", NEVER),
        ((1665,), "set it to MIXED or ROW", NEVER),
        ((1644, 9999), "the store refused", NEVER),
    ],
)
def test_a_code_of_mariadb_says_what_to_do_and_whether_again(
    codes: tuple[int, ...], words: str, permanent: bool
) -> None:
    for code in codes:
        error = translate(of_mysql(code), "shop.person")
        assert words in str(error)
        assert f"({code})" in str(error)
        assert error.permanent is permanent
        assert isinstance(error, StoreUnreachable) is (words == "no connection")
        assert MAIL not in str(error)


@pytest.mark.parametrize(
    ("code", "message", "subject"),
    [
        (1062, f"Duplicate entry '{MAIL}' for key 'one'", "one"),
        (1062, f"Duplicate entry '{MAIL}' for key 'x' y' for key 'one'", "one"),
        (1062, f"Doppelter Eintrag '{MAIL}' für Schlüssel 'one'", ""),
        (1062, f"Duplicate entry 'x' for key '{MAIL}", ""),
        (1048, "Column 'name' cannot be null", "name"),
        (1406, "Data too long for column 'name' at row 1", "name"),
        (1406, f"Data too long for column 'name' at row 1: {MAIL}", ""),
        (4025, "CONSTRAINT `full` failed for `db`.`per``son`", "per`son.full"),
        (3819, "Check constraint 'full' is violated.", "full"),
        (1451, "Cannot delete or update a parent row: a foreign key constraint fails "
               "(`db`.`post`, CONSTRAINT `by` FOREIGN KEY (`a`) REFERENCES `person` (`id`))",
         "post.by"),
        (1451, "Cannot delete or update a parent row: a foreign key constraint fails", ""),
        (1142, "SELECT command denied to user 'a'@'b' for table `db`.`post`", "post"),
        (1142, "SELECT, UPDATE command denied to user 'a'@'b' for table 'post'", "post"),
        (1142, f"SELECT verboten für {MAIL} `post`", ""),
        (1205, f"Lock wait timeout exceeded for {MAIL}", ""),
    ],
)  # fmt: skip
def test_of_a_message_of_mariadb_names_are_taken_and_values_never(
    code: int, message: str, subject: str
) -> None:
    assert diagnose(of_mysql(code, message)).subject == subject


def test_the_drivers_own_words_mean_that_the_connection_has_gone() -> None:
    assert isinstance(translate(of_mysql(0, ""), "shop"), StoreUnreachable)
    assert isinstance(translate(of_mysql("Packet sequence"), "shop"), StoreUnreachable)
    strange = sa_exc.ProgrammingError("x", {}, pymysql.err.ProgrammingError(f"no {MAIL}"))
    assert str(translate(strange, "shop")) == "shop: the store refused"


def test_a_forbidden_deletion_means_late_rows_in_the_table_that_is_named() -> None:
    message = (
        "Cannot delete or update a parent row: a foreign key constraint fails "
        "(`db`.`post`, CONSTRAINT `by` FOREIGN KEY (`a`) REFERENCES `person` (`id`))"
    )
    with pytest.raises(LateRows) as late, translated("shop.person", late=True):
        raise of_mysql(1451, message)
    assert late.value.place == "shop.post"
    with pytest.raises(StoreError) as forbidden, translated("shop.person"):
        raise of_mysql(1451, message)
    assert "a foreign key forbids it" in str(forbidden.value)
    assert not isinstance(forbidden.value, LateRows)


def test_nothing_of_the_drivers_error_is_chained() -> None:
    with pytest.raises(StoreError) as caught, translated("shop"):
        raise of_mysql(1406)
    assert MAIL not in told(caught.value)
