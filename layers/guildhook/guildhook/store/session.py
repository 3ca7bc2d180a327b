"""A connection to Postgres that outlives its failures."""

from collections.abc import Mapping
from typing import Any, ClassVar

import psycopg

from guildhook.errors import InfrastructureError
from guildhook.store.connection import connect, failed
from guildhook.store.database import Database
from guildhook.store.statements import Statement


class Session:
    """One connection, opened when it is first needed and again when it turns out to be dead."""

    statements: ClassVar[Mapping[str, Statement]]
    """The client's statements by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def connect(self) -> None:
        """Open the connection ahead of its first use. Raises InfrastructureError."""
        if self._connection is None:
            self._connection = connect(self._database)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def repeatable(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute a statement that does no harm a second time, and return its rows. Raises InfrastructureError.

        After a failure on a connection that was open before, the statement is executed again on a new connection: when
        Lambda thaws a process, the other side has often closed the connection. Other statements are not repeated, since
        the server may have executed them before the connection broke.
        """
        reused = self._connection is not None
        try:
            return self.write(statement, parameters)
        except InfrastructureError:
            if not reused:
                raise
            return self.write(statement, parameters)

    def write(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute a statement in a transaction of its own, and return its rows. Raises InfrastructureError."""
        if self._connection is None:
            self._connection = connect(self._database)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(self.statements[statement].query, parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            raise failed(self._database, error) from None
