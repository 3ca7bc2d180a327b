"""The database roles that the functions connect as, with the privileges and the time limits of each.

The privileges of a role are those that stand beside its statements, so a new statement and its grant are one edit.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from guildhook.errors import MigrationError
from guildhook.store.admin import AdminStore
from guildhook.store.compiling import CompileStore
from guildhook.store.erasure import ErasureStore
from guildhook.store.events import EventStore
from guildhook.store.operator import OperatorStore
from guildhook.store.session import Session
from guildhook.store.time_limits import TimeLimits, widest
from guildhook.store.upkeep import UpkeepStore

_CLIENTS: Final[Mapping[str, tuple[type[Session], ...]]] = {
    # It runs plugins, and can change none of them: neither their wasm, their permissions nor their native code.
    "on_message": (EventStore,),
    # It accepts or refuses uploads, and vouches for native code; it makes no version live.
    "compile_plugin": (CompileStore,),
    # It adopts wasm that was written into plugins directly, and deletes old rows.
    "sweep": (UpkeepStore,),
    # It makes the changes that admins and operators ask for, and can hide none of them: the audit log is only added to.
    "admin_api": (AdminStore, OperatorStore),
    # It deletes rows of persons and guilds, and replaces names of persons. It reads neither wasm nor sealed secrets.
    "erase": (ErasureStore,),
}
"""The clients by function. test_run has no database."""

_NO_LONGER_NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "on_message": {"plugin_runs": "UPDATE (created_at)"},
    "sweep": {"plugin_shadow_runs": "UPDATE (created_at)"},
}
"""Privileges that no statement needs. They are granted nevertheless, since privileges are only ever added: the version
that is still running during an upgrade keeps the privileges that it was given.
"""

_PRIVILEGE: Final = re.compile(r"(SELECT|INSERT|UPDATE|DELETE)(?: \(([^)]+)\))?")


def union(grants: Iterable[str]) -> str:
    """Return all privileges of some lists as one list. A privilege on a table includes that on its columns."""
    columns: dict[str, set[str]] = {}
    whole: set[str] = set()
    for privilege, names in (found for grant in grants for found in _PRIVILEGE.findall(grant)):
        columns.setdefault(privilege, set()).update(names.split(", "))
        if not names:
            whole.add(privilege)
    order = [privilege for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE") if privilege in columns]
    return ", ".join(each if each in whole else f"{each} ({', '.join(sorted(columns[each]))})" for each in order)


def _privileges(function: str, clients: Iterable[type[Session]]) -> Mapping[str, str]:
    grants: dict[str, list[str]] = {}
    needed = (statement.privileges for client in clients for statement in client.statements.values())
    for privileges in (*needed, _NO_LONGER_NEEDED.get(function, {})):
        for table, granted in privileges.items():
            grants.setdefault(table, []).append(granted)
    return {table: union(granted) for table, granted in grants.items()}


PRIVILEGES: Final[Mapping[str, Mapping[str, str]]] = {
    function: _privileges(function, clients) for function, clients in _CLIENTS.items()
}
"""Privileges by function and table."""

TIME_LIMITS: Final[Mapping[str, TimeLimits]] = {
    function: widest(client.limits for client in clients) for function, clients in _CLIENTS.items()
}
"""Time limits by function."""

_logger = logging.getLogger(__name__)

_IAM: Final = "rds_iam"
"""The role of RDS whose members, direct or indirect, log in with a token of IAM, and no longer with a password."""

_SETTINGS: Final = """
SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
WHERE rolname = %s AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""The settings of a role in this database, as name=value."""


def admit(connection: psycopg.Connection, role: str, functions: Collection[str]) -> None:
    """Create the role if there is none, and give it the privileges and the time limits of these functions.

    A second call changes nothing. A log line names a role whose time limits cannot be set. Raises MigrationError if the
    role is the migrating one or a superuser, or if a privilege cannot be granted, and psycopg.Error.
    """
    limits = widest(TIME_LIMITS[function] for function in functions)
    _create(connection, role, limits)
    name = sql.Identifier(role)
    with connection.transaction():
        for kind, current in (("CONNECT ON DATABASE", "current_database()"), ("USAGE ON SCHEMA", "current_schema()")):
            ((place,),) = connection.execute(f"SELECT {current}").fetchall()
            _grant(connection, sql.SQL(f"GRANT {kind} {{}} TO {{}}").format(sql.Identifier(place), name))
        for function in functions:
            for table, privileges in PRIVILEGES[function].items():
                statement = sql.SQL("GRANT {} ON {} TO {}")
                _grant(connection, statement.format(sql.SQL(privileges), sql.Identifier(table), name))
    _limit(connection, role, limits)


def _limit(connection: psycopg.Connection, role: str, limits: TimeLimits) -> None:
    """Set the role's time limits in this database, unless it has them."""
    has = {setting for (setting,) in connection.execute(_SETTINGS, [role])}
    if has >= {f"{name}={value}" for name, value in limits.settings().items()}:
        return
    try:
        with connection.transaction():
            _set_limits(connection, role, limits, _row(connection, "SELECT current_database()"))
    except psycopg.errors.InsufficientPrivilege:
        _logger.warning("time limits are not set: the migrating role may not alter the role %s", role)


def _set_limits(
    connection: psycopg.Connection, role: str, limits: TimeLimits, database: tuple[object, ...] | None = None
) -> None:
    """Set limits in one database, or in all."""
    where = sql.SQL("IN DATABASE {}").format(sql.Identifier(str(database[0]))) if database else sql.SQL("")
    for name, value in limits.settings().items():
        statement = sql.SQL("ALTER ROLE {} {} SET {} = {}")
        connection.execute(statement.format(sql.Identifier(role), where, sql.Identifier(name), sql.Literal(value)))


def _create(connection: psycopg.Connection, role: str, limits: TimeLimits) -> None:
    privileged = _row(connection, "SELECT rolname = current_user OR rolsuper FROM pg_roles WHERE rolname = %s", role)
    if privileged == (True,):
        raise MigrationError(
            f"role {role} is the one that migrates, or a superuser; name one that the functions have for themselves"
        )
    if privileged:
        return  # The operator may have created it, with a password.
    try:
        with connection.transaction():
            if _row(connection, "SELECT rolname FROM pg_roles WHERE rolname = %s", _IAM):
                _create_apart(connection, role, limits)
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(_IAM), sql.Identifier(role)))
            else:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        """A migrator of another database on the same server created it at the same time."""


def _create_apart(connection: psycopg.Connection, role: str, limits: TimeLimits) -> None:
    """Create the role, with its time limits, by a temporary role.

    The creator of a role stays a member of it. The migrating role would become a member of rds_iam in this way, and its
    own password would be refused. For the same reason the migrating role cannot alter the role later.
    """
    creator = sql.Identifier(f"guildhook_{uuid4().hex}")
    connection.execute("SET LOCAL createrole_self_grant = 'set'")
    connection.execute(sql.SQL("CREATE ROLE {} CREATEROLE").format(creator))
    connection.execute("SET LOCAL createrole_self_grant = ''")
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(creator))
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    _set_limits(connection, role, limits)
    connection.execute("SET LOCAL ROLE NONE")
    connection.execute(sql.SQL("DROP ROLE {}").format(creator))


def _grant(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """Execute a GRANT. Raises MigrationError where Postgres only warns that the migrating role may not grant this."""
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
