"""Opens connections to Postgres, and turns errors of psycopg into errors that can be shown."""

import math
import time
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo

from guildhook.errors import InfrastructureError, OverLimitError, RefusedStatementError, TimeLimitError
from guildhook.store.database import Credentials, Database

_OLDEST_VERSION = 160_000
_CONNECT_TIMEOUT_SECONDS = 5
_LEAST_CONNECT_SECONDS = 2
"""libpq takes no shorter timeout for a connection."""
_TCP_TIMEOUT_MS = 10_000
_MIGRATION_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidColumnReference,  # ON CONFLICT names columns that no constraint has.
)
_REFUSALS: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,  # such as the size of a JSON array
    psycopg.errors.OutOfMemory,
)
_KEPT_LIMITS: Final = ("guild_settings_bytes",)
"""The limits that triggers keep, by the names of constraints in their errors. Their messages quote numbers alone."""
_ENDED_BY_TIME: Final = (
    psycopg.errors.QueryCanceled,  # statement_timeout
    psycopg.errors.LockNotAvailable,  # lock_timeout
)

Result = TypeVar("Result")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which no wait goes beyond a deadline, even if the server never answers.

    A wait that is ended by the deadline raises psycopg.OperationalError, and leaves the connection in the middle of a
    statement. It can only be closed then.
    """

    deadline: float = math.inf
    """A time of time.monotonic()."""

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """Wait for the server. psycopg calls it for each statement."""
        left = self.deadline - time.monotonic()
        if math.isfinite(left) and (timeout is None or left < timeout):
            timeout = max(left, 0)
        return super().wait(gen, interval, timeout)

    @property
    def overdue(self) -> bool:
        return time.monotonic() >= self.deadline


def connect(database: Database, deadline: float = math.inf) -> Connection:
    """Open an autocommit connection, whose waits end at `deadline`, a time of time.monotonic().

    Raises InfrastructureError, which names the address and shows no password; TimeLimitError, which is one, if too
    little time is left.
    """
    _timeout_seconds(database, deadline)  # before Secrets Manager is asked, which takes time as well
    credentials = database.credentials.current() if database.credentials else None
    try:
        try:
            connection = _open(database, credentials, deadline)
        except psycopg.OperationalError as error:
            replaced = _replaced(database, credentials, error)
            if replaced is None:
                raise
            connection = _open(database, replaced, deadline)
    except psycopg.OperationalError as error:
        raise failed(database, error) from None
    connection.deadline = deadline
    try:
        _check_version(database, connection)
    except InfrastructureError:
        connection.close()
        raise
    return connection


def failed(database: Database, error: psycopg.Error) -> InfrastructureError:
    if isinstance(error, psycopg.errors.CheckViolation) and error.diag.constraint_name in _KEPT_LIMITS:
        return OverLimitError(error.diag.message_primary)
    kind = InfrastructureError
    if isinstance(error, _REFUSALS):
        kind = RefusedStatementError
    elif isinstance(error, _ENDED_BY_TIME):
        kind = TimeLimitError
    return kind(f"{_name(database)}: {_reason(error)}")


def no_time_left(database: Database, *, sent: bool) -> TimeLimitError:
    """The error of a statement at its deadline. The server may still execute a statement that was sent."""
    reason = "it did not answer in the time that was left; the connection is closed" if sent else "no time is left"
    return TimeLimitError(f"{_name(database)}: {reason}")


def _name(database: Database) -> str:
    return f"database at {database.address} (GUILDHOOK_DATABASE_URL)"


def _timeout_seconds(database: Database, deadline: float) -> int:
    """Return the time for each host of the URL, so that all of them together end by the deadline.

    Raises TimeLimitError if that is too little.
    """
    left, hosts = deadline - time.monotonic(), database.hosts
    if left < _LEAST_CONNECT_SECONDS * hosts:
        raise TimeLimitError(
            f"{_name(database)}: no time is left to connect, which may take {_LEAST_CONNECT_SECONDS * hosts} s or more"
        )
    return int(min(left / hosts, _CONNECT_TIMEOUT_SECONDS))


def _open(database: Database, credentials: Credentials | None, deadline: float) -> Connection:
    """Raises TimeLimitError, and psycopg.OperationalError."""
    timeout = _timeout_seconds(database, deadline)
    login = {"password": credentials.password, "user": credentials.username} if credentials else {}
    return Connection.connect(
        make_conninfo(database.url, **login),
        autocommit=True,
        connect_timeout=timeout,
        # A dead peer is noticed within seconds; the kernel's default is a quarter of an hour.
        tcp_user_timeout=_TCP_TIMEOUT_MS,
        # RDS Proxy pins a connection to its client as soon as a statement is prepared.
        prepare_threshold=None,
        application_name="guildhook",
    )


def _replaced(
    database: Database, credentials: Credentials | None, error: psycopg.OperationalError
) -> Credentials | None:
    """Return the credentials to try next if the server asked for a password and refused it, else None."""
    # libpq does not report the SQLSTATE of a failed start, and the server's text may be in any language.
    asked = error.pgconn is not None and error.pgconn.used_password
    return database.credentials.instead_of(credentials) if database.credentials and asked else None


def _check_version(database: Database, connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < _OLDEST_VERSION:
        try:
            # A pooler may announce an older version than that of the server behind it.
            row = connection.execute("SHOW server_version_num").fetchone()
        except psycopg.Error as error:
            raise failed(database, error) from None
        version = int(row[0]) if row else version
    if version < _OLDEST_VERSION:
        raise InfrastructureError(
            f"{_name(database)}: it is PostgreSQL {version // 10_000}; "
            f"guildhook needs {_OLDEST_VERSION // 10_000} or newer"
        )


def _reason(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    if isinstance(error, psycopg.OperationalError):
        return " ".join(str(error).split())
    if isinstance(error, _MIGRATION_MISSING):
        return f"a migration is missing: {primary}; invoke the migrate function, or run `guildhook migrate`"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{primary}: this role needs the privileges that the migrate function grants to GUILDHOOK_DATABASE_ROLE"
    if isinstance(error, psycopg.ProgrammingError):
        return f"{primary} (are all migrations applied?)"
    # The text of other errors can quote the parameters, and so the content of messages.
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
