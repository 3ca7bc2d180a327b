"""Applies the files of migrations/ with yoyo: each file once, in its own transaction, under an advisory lock."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import psycopg
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, default_migration_table

from guildhook.errors import InfrastructureError, MigrationError
from guildhook.store.connection import Connection, connect
from guildhook.store.database import Database
from guildhook.store.role import admit

# All versions use this number, and no other user of the database is likely to.
_ADVISORY_LOCK = 7_310_589_211
_LOCK_POLL_SECONDS = 0.2

# A step that waits for a lock delays every query that comes after it, so it gives up early and tries again later.
_LOCK_TIMEOUT = "2s"
_LOCK_PAUSES_SECONDS = (1, 2, 4, 8, 16, 32, 60)
# Limits of the role or the database are those of the functions, and do not hold for a step.
_SETTINGS: Final[Mapping[str, str]] = {
    "lock_timeout": _LOCK_TIMEOUT,
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "1min",
    # Without this the server continues the statement of a killed migrator, and keeps its lock meanwhile.
    "client_connection_check_interval": "1s",
}


def migrate(
    database: Database,
    directory: Path,
    roles: Mapping[str, str] | None = None,
    wait_seconds: float = 60,
    deadline: float = math.inf,
    pause: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Apply the missing migrations, and grant privileges to `roles`, which are names of roles by function.

    Returns the names of the applied migrations in their order. A second migrator waits for the first one, for up to
    `wait_seconds`. A step that gets no lock is tried again, after growing pauses. At `deadline`, a time of
    time.monotonic(), the connection is closed. Raises InfrastructureError if the database cannot be reached or the
    first migrator does not end, and MigrationError if a step fails. The steps before it stay applied, and nothing of
    the failed step remains.
    """
    with connect(database, deadline) as connection, _explaining("the database refuses to be migrated", connection):
        for name, value in _SETTINGS.items():
            connection.execute(f"SET {name} = '{value}'")
        _lock(connection, wait_seconds)
        backend = _Backend(connection)
        pending = list(backend.to_apply(read_migrations(str(directory))))
        for migration in pending:
            with _explaining(f"migration {migration.id} failed", connection):
                _apply(backend, migration, deadline, pause)
        for role, functions in _by_role(roles or {}).items():
            with _explaining(f"role {role} of {', '.join(functions)}", connection):
                admit(connection, role, functions)
        return [migration.id for migration in pending]


def _apply(backend: "_Backend", migration: Migration, deadline: float, pause: Callable[[float], None]) -> None:
    """Apply a step. If another transaction holds one of its locks, try again while there are pauses and time left.

    Raises MigrationError after the last attempt.
    """
    for attempt, seconds in enumerate((*_LOCK_PAUSES_SECONDS, math.inf), 1):
        try:
            backend.apply_one(migration)
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() + seconds >= deadline:
                raise MigrationError(
                    f"migration {migration.id} failed: it got no lock within {_LOCK_TIMEOUT}, in {attempt} attempts; "
                    "end the transactions that use its tables (pg_stat_activity shows them), and migrate again"
                ) from None
            pause(seconds)
        else:
            return


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
def _explaining(what: str, connection: Connection) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        reason = "it did not end in the time that was left; migrate again" if connection.overdue else _reason(error)
        raise MigrationError(f"{what}: {reason}") from None


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
