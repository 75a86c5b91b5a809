"""SQLite stores: one machine, local disk. The record, and apart from it the key store."""

from troth.adapters.sqlite.record import SqliteStore

__all__ = ["SqliteStore"]
