"""Applies the files of migrations/ with yoyo: each file once, in its own transaction, under an advisory lock."""

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

# All versions use this number, and no other user of the database is likely to.
_ADVISORY_LOCK = 7_310_589_211
_LOCK_POLL_SECONDS = 0.2

# A step that waits for a lock delays every query that comes after it, so it gives up early.
_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "10min"
# Without this the server continues the statement of a killed migrator, and keeps its lock meanwhile.
_ALIVE_CHECK_INTERVAL = "1s"


def migrate(
    database: Database, directory: Path, roles: Mapping[str, str] | None = None, wait_seconds: float = 60
) -> list[str]:
    """Apply the missing migrations, and grant privileges to `roles`, which are names of roles by function.

    Returns the names of the applied migrations in their order. A second migrator waits for the first one, for up to
    `wait_seconds`. Raises InfrastructureError if the database cannot be reached or the first migrator does not end, and
    MigrationError if a step fails. The steps before it stay applied, and nothing of the failed step remains.
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
        for role, functions in _by_role(roles or {}).items():
            with _explaining(f"role {role} of {', '.join(functions)}"):
                admit(connection, role, functions)
        return [migration.id for migration in pending]


def _by_role(roles: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Return the functions of each role."""
    functions: dict[str, list[str]] = {}
    for function, role in roles.items():
        functions.setdefault(role, []).append(function)
    return functions


def _lock(connection: psycopg.Connection, wait_seconds: float) -> None:
    # The lock is polled. CREATE INDEX CONCURRENTLY of the migrator that holds the lock would wait for a session that
    # waits inside pg_advisory_lock, and neither would end.
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
    # The text of other errors can quote the content of the tables.
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}"


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on the given connection, without its own lock: that is a table row, which a killed process leaves behind."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql:///"), default_migration_table)

    def connect(self, _dburi: object) -> psycopg.Connection:
        return self._given

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        # yoyo runs the steps on a second connection and marks them afterwards. A process that is killed between the two
        # would apply the same file again. Here both are one transaction, unless the file asks for none.
        migration.load()
        with self.transaction() if migration.use_transactions else self._patience():
            migration.process_steps(self, "apply", force=force)
            if mark:
                self.mark_one(migration, log=False)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Let a step without a transaction wait for locks, since it blocks nobody while it waits."""
        self.execute("SET lock_timeout = 0")
        yield
        self.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")

    def lock(self, _timeout: float = 10) -> Any:
        """Do nothing, since the advisory lock is held already."""
        return nullcontext()
