"""The database role that the other functions connect as, and what it may do: what queries.py needs, and no more."""

from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from guildhook.errors import MigrationError

# Privileges are only ever added: the version that is still running needs what it was given.
# A row that is locked, FOR KEY SHARE included, needs UPDATE on one of its columns.
_PRIVILEGES: Final[dict[str, LiteralString]] = {
    "channels": "SELECT (id, guild_id)",
    "plugins": "SELECT, UPDATE (updated_at)",
    "plugin_artifacts": "SELECT, INSERT, UPDATE, DELETE",
    "plugin_refusals": "SELECT, INSERT, UPDATE, DELETE",
    "plugin_runs": "SELECT, INSERT, UPDATE (created_at), DELETE",
    "plugin_intents": "SELECT, INSERT, UPDATE (state, detail, updated_at)",
    "plugin_state": "SELECT, INSERT, UPDATE",
    "plugin_health": "SELECT, INSERT, UPDATE",
    "plugin_usage": "SELECT, INSERT, UPDATE, DELETE",
    "guild_budgets": "SELECT, INSERT, UPDATE, DELETE",
    "_yoyo_migration": "SELECT (migration_id)",
}

# Whoever is in it, be it by way of others, logs in with a token of IAM, and with no password any more.
_IAM: Final = "rds_iam"


def admit(connection: psycopg.Connection, role: str) -> None:
    """Create the role if there is none, and grant it what it needs; as often as you like.

    Raises MigrationError for a role that has more than that, or cannot be given it, and psycopg.Error.
    """
    _create(connection, role)
    name = sql.Identifier(role)
    with connection.transaction():
        for kind, current in (("CONNECT ON DATABASE", "current_database()"), ("USAGE ON SCHEMA", "current_schema()")):
            ((place,),) = connection.execute(f"SELECT {current}").fetchall()
            _grant(connection, sql.SQL(f"GRANT {kind} {{}} TO {{}}").format(sql.Identifier(place), name))
        for table, privileges in _PRIVILEGES.items():
            statement = sql.SQL("GRANT {} ON {} TO {}")
            _grant(connection, statement.format(sql.SQL(privileges), sql.Identifier(table), name))


def _create(connection: psycopg.Connection, role: str) -> None:
    privileged = _row(connection, "SELECT rolname = current_user OR rolsuper FROM pg_roles WHERE rolname = %s", role)
    if privileged == (True,):
        raise MigrationError(
            f"role {role} (GUILDHOOK_DATABASE_ROLE) is the one that migrates, or a superuser; "
            "name one that the other functions have for themselves"
        )
    if privileged:
        return  # with a password, perhaps
    try:
        with connection.transaction():
            if _row(connection, "SELECT rolname FROM pg_roles WHERE rolname = %s", _IAM):
                _create_apart(connection, role)
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(_IAM), sql.Identifier(role)))
            else:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        """A migrator of another database on the same server was first."""


def _create_apart(connection: psycopg.Connection, role: str) -> None:
    """Create it by one who is gone afterwards.

    Who creates a role is a member of it for good. Migrate would be one of rds_iam then, and its own password refused.
    """
    creator = sql.Identifier(f"guildhook_{uuid4().hex}")
    connection.execute("SET LOCAL createrole_self_grant = 'set'")
    connection.execute(sql.SQL("CREATE ROLE {} CREATEROLE").format(creator))
    connection.execute("SET LOCAL createrole_self_grant = ''")
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(creator))
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    connection.execute("SET LOCAL ROLE NONE")
    connection.execute(sql.SQL("DROP ROLE {}").format(creator))


def _grant(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """A GRANT by one who may not is no more than a warning to Postgres. Raises MigrationError."""
    warnings: list[str] = []

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.message_primary or "")

    connection.add_notice_handler(notice)
    try:
        connection.execute(statement)
    finally:
        connection.remove_notice_handler(notice)
    if warnings:
        raise MigrationError(f"{statement.as_string(connection)}: {'; '.join(warnings)}")


def _row(connection: psycopg.Connection, query: LiteralString, *parameters: str) -> tuple[object, ...] | None:
    return connection.execute(query, parameters).fetchone()
