"""A connection to Postgres that outlives its failures."""

from collections.abc import Mapping
from typing import Any

import psycopg

from guildhook.errors import InfrastructureError
from guildhook.store.connection import connect, failed
from guildhook.store.database import Database


class Session:
    """One connection, opened when it is first needed and again when it turns out to be dead."""

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

    def repeatable(self, query: Any, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Of a statement that does no harm a second time: all rows. Raises InfrastructureError."""
        # A frozen Lambda wakes up with a socket that the other side has closed long ago: what does no harm a second
        # time is repeated on a fresh connection. Another write may have been carried out.
        reused = self._connection is not None
        try:
            return self.write(query, parameters)
        except InfrastructureError:
            if not reused:
                raise
            return self.write(query, parameters)

    def write(self, query: Any, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement, a transaction of its own. Raises InfrastructureError."""
        if self._connection is None:
            self._connection = connect(self._database)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            raise failed(self._database, error) from None
