"""A connection to Postgres that outlives its failures."""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import psycopg

from guildhook.errors import InfrastructureError, RefusedStatementError, TimeLimitError
from guildhook.store.connection import Connection, connect, failed, no_time_left
from guildhook.store.database import Database
from guildhook.store.statements import Statement
from guildhook.store.time_limits import TimeLimits

_UNLIMITED: Final = (
    "SELECT name FROM unnest(%s::text[]) AS name WHERE current_setting(name) = '0' AND name LIKE '%%timeout'"
)
"""The settings of these names that are not set."""
_CHECK_SECONDS: Final = 3

_logger = logging.getLogger(__name__)


class Session:
    """One connection, opened when it is first needed and again when it turns out to be dead."""

    statements: ClassVar[Mapping[str, Statement]]
    """The client's statements by name."""
    limits: ClassVar[TimeLimits]
    """The limits of the server, which the client's role is to have."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._deadline = math.inf
        self._limits_checked = False

    def connect(self) -> None:
        """Open the connection ahead of its first use. Raises InfrastructureError."""
        self._opened()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def within(self, deadline: float) -> Iterator[None]:
        """Let no statement of the block last longer than until `deadline`, a time of time.monotonic().

        A statement that has no answer by then raises TimeLimitError, and the connection is closed. This is done without
        the server, and so also if it has stopped answering.
        """
        before, self._deadline = self._deadline, min(deadline, self._deadline)
        try:
            yield
        finally:
            self._deadline = before

    def repeatable(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute a statement that does no harm a second time, and return its rows. Raises InfrastructureError.

        After a failure on a connection that was open before, the statement is executed again on a new connection: when
        Lambda thaws a process, the other side has often closed the connection. Other statements are not repeated, since
        the server may have executed them before the connection broke, and neither are those that ran out of time or
        were refused.
        """
        reused = self._connection is not None
        try:
            return self.write(statement, parameters)
        except (TimeLimitError, RefusedStatementError):
            raise
        except InfrastructureError:
            if not reused:
                raise
            return self.write(statement, parameters)

    def write(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute a statement in a transaction of its own, and return its rows. Raises InfrastructureError.

        After TimeLimitError, as after a connection that broke, the server may have executed the statement.
        """
        if time.monotonic() >= self._deadline:
            raise no_time_left(self._database, sent=False)
        connection = self._opened()
        connection.deadline = self._deadline
        try:
            with connection.cursor() as cursor:
                cursor.execute(self.statements[statement].query, parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            if connection.overdue:
                raise no_time_left(self._database, sent=True) from None
            raise failed(self._database, error) from None

    def _opened(self) -> Connection:
        """Raises InfrastructureError."""
        if self._connection is None:
            self._connection = connect(self._database, self._deadline)
            if not self._limits_checked:
                self._limits_checked = True
                self._check_limits(self._connection)
        return self._connection

    def _check_limits(self, connection: Connection) -> None:
        """Tell the log, once for each process, if the server sets no time limits for the role."""
        connection.deadline = min(self._deadline, time.monotonic() + _CHECK_SECONDS)
        try:
            found = connection.execute(_UNLIMITED, [list(self.limits.settings())]).fetchall()
        except psycopg.Error as error:
            self.close()
            raise failed(self._database, error) from None
        if found:
            _logger.warning(
                "time limits are missing: the role %s has no %s in the database at %s. Only the function's own "
                "deadline ends its statements; docs/upgrades.md says how to set them",
                connection.info.user,
                ", ".join(name for (name,) in found),
                self._database.address,
            )
