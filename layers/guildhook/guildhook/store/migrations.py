"""Applies the files of migrations/ with yoyo: each once, in a transaction of its own, under an advisory lock."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, default_migration_table

from guildhook.store.connection import connect
from guildhook.store.database import Database

# The same number everywhere, and one that no other user of the database takes.
_ADVISORY_LOCK = 7_310_589_211


def migrate(database: Database, directory: Path) -> list[str]:
    """Bring the database up to date; a second migrator waits for the first. Returns what was applied, in order.

    Raises InfrastructureError if the database cannot be reached, psycopg.Error if a step fails: the steps
    before it stay applied, and nothing of it remains.
    """
    with connect(database) as connection:
        connection.execute("SET lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        # A step that waits for a lock makes every query behind it wait as well: give up early.
        connection.execute("SET lock_timeout = '5s'")
        connection.execute("SET statement_timeout = '10min'")
        backend = _Backend(connection)
        pending = list(backend.to_apply(read_migrations(str(directory))))
        for migration in pending:
            backend.apply_one(migration)
        return [migration.id for migration in pending]


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on a connection of ours. Its own lock is a table row, which a killed process leaves behind."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql:///"), default_migration_table)

    def connect(self, _dburi: object) -> psycopg.Connection:
        return self._given

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        # yoyo runs the steps on a second connection and marks them afterwards: a process killed between the
        # two would apply the same file again. Here both are one transaction.
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            if mark:
                self.mark_one(migration, log=False)

    def lock(self, _timeout: float = 10) -> Any:
        """Only called inside the advisory lock."""
        return nullcontext()
