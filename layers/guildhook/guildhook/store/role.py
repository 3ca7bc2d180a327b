"""The database roles that the functions connect as, and what each may do: what its statements need, and no more."""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from guildhook.errors import MigrationError

# Privileges are only ever added: the version that is still running needs what it was given.
# A row that is locked, FOR KEY SHARE included, needs UPDATE on one of its columns.
_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
PRIVILEGES: Final[Mapping[str, Mapping[str, LiteralString]]] = {
    # It runs plugins, and can change none of them: neither their wasm nor what they are granted, nor its native code.
    "on_message": {
        "channels": "SELECT (id, guild_id)",
        "guild_settings": "SELECT",
        "plugins": "SELECT, UPDATE (updated_at)",
        "plugin_versions": "SELECT",
        "plugin_secrets": "SELECT",
        "plugin_artifacts": "SELECT",
        "plugin_refusals": "SELECT",
        "plugin_runs": "SELECT, INSERT, UPDATE (created_at)",
        "plugin_shadow_runs": "SELECT, INSERT",
        "plugin_intents": "SELECT, INSERT, UPDATE (state, detail, updated_at)",
        "plugin_state": "SELECT, INSERT, UPDATE",
        "plugin_health": "SELECT, INSERT, UPDATE",
        "plugin_usage": "SELECT, INSERT, UPDATE",
        "guild_budgets": "SELECT, INSERT, UPDATE",
    },
    # It says what of an upload is good, and of which native code; it makes nothing live.
    "compile_plugin": {
        "plugins": "SELECT",
        "plugin_versions": "SELECT, UPDATE (state, reasons, wasm_blob, imports, unavailable, needs, settings_schema, "
        "updated_at)",
        "plugin_artifacts": _ALL,
        "plugin_refusals": _ALL,
    },
    # It adopts wasm that was written into plugins directly, and forgets what is old.
    "sweep": {
        "plugins": "SELECT, UPDATE (live_version_id, previous_version_id, revision)",
        "plugin_versions": "SELECT, INSERT, UPDATE (state, reasons, wasm_blob, updated_at), DELETE",
        "plugin_audit": "SELECT, DELETE",
        "plugin_runs": "SELECT, UPDATE (created_at), DELETE",
        "plugin_shadow_runs": "SELECT, UPDATE (created_at), DELETE",
        "plugin_intents": "SELECT, UPDATE (state, detail, updated_at)",
        "plugin_usage": "SELECT, UPDATE (hour), DELETE",
        "guild_budgets": "SELECT, UPDATE (minute), DELETE",
        "admin_requests": "SELECT, DELETE",
    },
    # It does what admins ask for, and cannot take back that they did: the audit is only added to.
    "admin_api": {
        "guilds": "SELECT (id), INSERT (id)",
        "guild_settings": "SELECT, INSERT, UPDATE",
        "plugins": _ALL,
        "plugin_versions": "SELECT, INSERT, UPDATE (state, updated_at), DELETE",
        "plugin_secrets": _ALL,
        "plugin_audit": "SELECT, INSERT",
        "plugin_artifacts": "SELECT",
        "plugin_refusals": "SELECT",
        "plugin_runs": "SELECT",
        "plugin_shadow_runs": "SELECT",
        "plugin_intents": "SELECT",
        "plugin_state": "SELECT",
        "plugin_health": "SELECT, DELETE",
        "plugin_usage": "SELECT",
        "guild_budgets": "SELECT",
        "admin_requests": "SELECT, INSERT, UPDATE",
        "_yoyo_migration": "SELECT (migration_id)",
    },
}
"""By function and table. test_run has no database."""

# Whoever is in it, be it by way of others, logs in with a token of IAM, and with no password any more.
_IAM: Final = "rds_iam"


def admit(connection: psycopg.Connection, role: str, function: str) -> None:
    """Create the role if there is none, and grant it what the function needs; as often as you like.

    Raises MigrationError for a role that has more than that, or cannot be given it, and psycopg.Error.
    """
    _create(connection, role)
    name = sql.Identifier(role)
    with connection.transaction():
        for kind, current in (("CONNECT ON DATABASE", "current_database()"), ("USAGE ON SCHEMA", "current_schema()")):
            ((place,),) = connection.execute(f"SELECT {current}").fetchall()
            _grant(connection, sql.SQL(f"GRANT {kind} {{}} TO {{}}").format(sql.Identifier(place), name))
        for table, privileges in PRIVILEGES[function].items():
            statement = sql.SQL("GRANT {} ON {} TO {}")
            _grant(connection, statement.format(sql.SQL(privileges), sql.Identifier(table), name))


def _create(connection: psycopg.Connection, role: str) -> None:
    privileged = _row(connection, "SELECT rolname = current_user OR rolsuper FROM pg_roles WHERE rolname = %s", role)
    if privileged == (True,):
        raise MigrationError(
            f"role {role} is the one that migrates, or a superuser; name one that the functions have for themselves"
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
