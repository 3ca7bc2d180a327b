"""Opens connections to Postgres, and turns errors of psycopg into errors that can be shown."""

import psycopg
from psycopg.conninfo import make_conninfo

from guildhook.errors import InfrastructureError, UnwritableError
from guildhook.store.database import Credentials, Database

_OLDEST_VERSION = 160_000
_CONNECT_TIMEOUT_SECONDS = 5
_TCP_TIMEOUT_MS = 10_000
_MIGRATION_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidColumnReference,  # ON CONFLICT names columns that no constraint has.
)


def connect(database: Database) -> psycopg.Connection:
    """Open an autocommit connection. Raises InfrastructureError, which names the address and shows no password."""
    credentials = database.credentials.current() if database.credentials else None
    try:
        try:
            connection = _open(database.url, credentials)
        except psycopg.OperationalError as error:
            replaced = _replaced(database, credentials, error)
            if replaced is None:
                raise
            connection = _open(database.url, replaced)
    except psycopg.OperationalError as error:
        raise failed(database, error) from None
    try:
        _check_version(database, connection)
    except InfrastructureError:
        connection.close()
        raise
    return connection


def failed(database: Database, error: psycopg.Error) -> InfrastructureError:
    kind = UnwritableError if isinstance(error, psycopg.DataError | psycopg.IntegrityError) else InfrastructureError
    return kind(f"database at {database.address} (GUILDHOOK_DATABASE_URL): {_reason(error)}")


def _open(url: str, credentials: Credentials | None) -> psycopg.Connection:
    login = {"password": credentials.password, "user": credentials.username} if credentials else {}
    return psycopg.connect(
        make_conninfo(url, **login),
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
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
            f"database at {database.address} (GUILDHOOK_DATABASE_URL): it is PostgreSQL {version // 10_000}; "
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
