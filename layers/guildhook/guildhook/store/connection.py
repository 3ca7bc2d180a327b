"""Connections to Postgres, and errors about them that can be shown."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from guildhook.errors import ConfigurationError, InfrastructureError, UnwritableError

_CONNECT_TIMEOUT_SECONDS = 5
_TCP_TIMEOUT_MS = 10_000


def connect(database_url: str) -> psycopg.Connection:
    """An autocommit connection.

    Raises ConfigurationError for what is no URL, and InfrastructureError that names the address; neither shows
    the password.
    """
    try:
        address(database_url)
    except ValueError as error:
        raise ConfigurationError(f"GUILDHOOK_DATABASE_URL: {error}") from None
    try:
        return psycopg.connect(
            database_url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            # A peer that is gone is noticed in seconds instead of the kernel's quarter of an hour.
            tcp_user_timeout=_TCP_TIMEOUT_MS,
            # RDS Proxy pins a connection to its client as soon as a statement is prepared.
            prepare_threshold=None,
            application_name="guildhook",
        )
    except psycopg.OperationalError as error:
        raise failed(database_url, error) from None


def address(database_url: str) -> str:
    """Host, port and database of a URL, and nothing else of it. Raises ValueError for what is no URL."""
    try:
        parts: dict[str, Any] = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        # The parser's own message quotes the URL, and the password with it.
        raise ValueError("not a PostgreSQL URL (postgresql://user:password@host:5432/database)") from None
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"


def failed(database_url: str, error: psycopg.Error) -> InfrastructureError:
    if isinstance(error, psycopg.OperationalError):
        reason = " ".join(str(error).split())
    elif isinstance(error, psycopg.ProgrammingError):
        reason = f"{error.diag.message_primary} (are all migrations applied?)"
    else:
        # The text of other errors can quote what was written, a message's content included.
        reason = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
    kind = UnwritableError if isinstance(error, psycopg.DataError | psycopg.IntegrityError) else InfrastructureError
    return kind(f"database at {address(database_url)} (GUILDHOOK_DATABASE_URL): {reason}")
