"""Databases of rows: SQLite and PostgreSQL, and whatever else SQLAlchemy speaks."""

from erasure.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
