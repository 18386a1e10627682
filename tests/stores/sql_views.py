"""What the SQL store knows of its views; see sql_common.py."""

from __future__ import annotations

from lineage.importers.views import read_views
from tests.stores.company import ROWS, TABLES
from tests.stores.sql_harness import SqlHarness


class SqlViews:
    """Views of any database."""

    def test_views_are_read_with_their_queries_and_lead_back_to_tables(
        self, harness: SqlHarness
    ) -> None:
        harness.create(TABLES, ROWS)
        harness.execute("CREATE VIEW people AS SELECT id, lower(email) AS mail FROM person")
        harness.execute("CREATE VIEW mails (who, mail) AS SELECT id, mail FROM people")
        store = harness.store()
        views = store.views()
        assert {name: [c.name for c in v.columns] for name, v in views.items()} == {
            "mails": ["who", "mail"],
            "people": ["id", "mail"],
        }
        read = read_views(store.inspect().tables, views)
        assert read.unread == {}
        assert read.sources == {"people": ("person",), "mails": ("people", "person")}
        assert read.copies("mails", "person") == {"who": "id"}
        assert read.worked_out("mails", "person") == {"mail": "email"}
        assert store.inspect() is store.inspect() or not harness.versioned
        store.close()
