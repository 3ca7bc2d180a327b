"""Applies the files of migrations/ with yoyo: each once, in a transaction of its own, under an advisory lock."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, default_migration_table

from guildhook.errors import InfrastructureError, MigrationError
from guildhook.store.connection import connect
from guildhook.store.database import Database
from guildhook.store.role import admit

# The same number everywhere, and one that no other user of the database takes.
_ADVISORY_LOCK = 7_310_589_211
_LOCK_POLL_SECONDS = 0.2

# A step that waits for a lock makes every query behind it wait as well: give up early.
_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "10min"
# Else the server works on for a migrator that was killed, and keeps the lock for as long.
_ALIVE_CHECK_INTERVAL = "1s"


def migrate(
    database: Database, directory: Path, roles: Mapping[str, str] | None = None, wait_seconds: float = 60
) -> list[str]:
    """Bring the database up to date, and let `roles` use it: names, by function. Returns what was applied, in order.

    A second migrator waits for the first, for `wait_seconds`. Raises InfrastructureError if that or the database is
    out of reach, MigrationError if a step fails: the steps before it stay applied, and nothing of it remains.
    """
    with connect(database) as connection, _explaining("the database refuses to be migrated"):
        _lock(connection, wait_seconds)
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'")
        connection.execute(f"SET client_connection_check_interval = '{_ALIVE_CHECK_INTERVAL}'")
        backend = _Backend(connection)
        pending = list(backend.to_apply(read_migrations(str(directory))))
        for migration in pending:
            with _explaining(f"migration {migration.id} failed"):
                backend.apply_one(migration)
        for function, role in (roles or {}).items():
            with _explaining(f"role {role} of {function}"):
                admit(connection, role, function)
        return [migration.id for migration in pending]


def _lock(connection: psycopg.Connection, wait_seconds: float) -> None:
    # Asked for again and again: a session that waits inside pg_advisory_lock is what CREATE INDEX CONCURRENTLY of
    # the one that has the lock waits for.
    deadline = time.monotonic() + wait_seconds
    while connection.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]).fetchone() != (True,):
        if time.monotonic() >= deadline:
            raise InfrastructureError(f"another migrator was still at work after {wait_seconds:g} s; try again later")
        time.sleep(_LOCK_POLL_SECONDS)


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise MigrationError(f"{what}: {_reason(error)}") from None


def _reason(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    if isinstance(error, psycopg.ProgrammingError | psycopg.OperationalError):
        return " ".join((primary or str(error)).split())
    # The text of other errors can quote what the tables hold.
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}"


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on a connection of ours. Its own lock is a table row, which a killed process leaves behind."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql:///"), default_migration_table)

    def connect(self, _dburi: object) -> psycopg.Connection:
        return self._given

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        # yoyo runs the steps on a second connection and marks them afterwards: a process killed between the
        # two would apply the same file again. Here both are one transaction, unless the file says that it takes none.
        migration.load()
        with self.transaction() if migration.use_transactions else self._patience():
            migration.process_steps(self, "apply", force=force)
            if mark:
                self.mark_one(migration, log=False)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """What needs no transaction blocks nobody while it waits for those of others, so it may."""
        self.execute("SET lock_timeout = 0")
        yield
        self.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")

    def lock(self, _timeout: float = 10) -> Any:
        """Only called inside the advisory lock."""
        return nullcontext()
