"""Tests the rules for the steps of migrations, which keep the running functions undisturbed."""

import re

import psycopg
import pytest
from yoyo.migrations import read_sql_migration

from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook_local.stack import MIGRATIONS

FILES = sorted(MIGRATIONS.glob("*.sql"))

READS_THROUGH = {
    # These steps are older than the first release, when no deployed table had rows.
    "20260301000000_add_plugin_artifacts": {"plugins"},
    "20261124000000_add_artifact_objects": {"plugin_artifacts"},
    "20261124000001_add_causality": {"plugin_runs", "plugin_usage"},
    # An update locks the rows that it changes, and the function that compiles is the only one to write refusals.
    "20261201000303_tell_refused_starts": {"plugin_refusals"},
}
"""Tables that a step reads from beginning to end while it has them locked, by step."""


@pytest.fixture(params=range(len(FILES)), ids=lambda number: FILES[number].stem)
def step(request, empty_database, tmp_path):
    """A migration's file, and a connection to a database that has the ones before it."""
    for path in FILES[: request.param]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    migrate(Database(empty_database), tmp_path)
    with psycopg.connect(empty_database) as connection:
        yield FILES[request.param], connection


def statements(path):
    """Return the statements of a step, and True if they are one transaction."""
    directives, _, found = read_sql_migration(str(path))
    return found, directives.get("transactional", "true") == "true"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_steps_name_begins_with_its_time(path):
    assert re.fullmatch(r"20\d{12}_[a-z0-9_]+", path.stem)


def test_no_step_keeps_a_table_locked_that_it_reads_through(step):
    """Building an index, rewriting a table or checking a constraint takes longer the larger the table is."""
    path, connection = step
    before = tables(connection)
    found, transactional = statements(path)
    if transactional:
        for statement in found:
            connection.execute(statement)
        assert before & scanned(connection) == READS_THROUGH.get(path.stem, set())
    connection.rollback()


def test_reading_through_is_noticed(empty_database):
    """Postgres' statistics, on which the test above relies, count each kind of full read."""
    for statement in (
        "CREATE INDEX ON plugins (name)",
        "ALTER TABLE plugins ADD COLUMN word TEXT CHECK (word <> '')",
        "ALTER TABLE plugins ADD COLUMN id2 UUID DEFAULT gen_random_uuid()",
        "ALTER TABLE plugins ALTER description SET NOT NULL",
        "ALTER TABLE plugins ALTER name TYPE TEXT USING name || ''",
        "ALTER TABLE plugins ADD CHECK (name <> '')",
        "UPDATE plugins SET name = ''",
    ):
        migrate(Database(empty_database), MIGRATIONS)
        with psycopg.connect(empty_database) as connection:
            connection.execute(statement)
            assert scanned(connection) == {"plugins"}
            connection.rollback()
    with psycopg.connect(empty_database) as connection:
        connection.execute("ALTER TABLE plugins ADD COLUMN word TEXT, ADD COLUMN number INT NOT NULL DEFAULT 1")
        connection.execute("ALTER TABLE plugins ADD CHECK (name <> '') NOT VALID")
        assert scanned(connection) == set()
        connection.rollback()


def tables(connection):
    return {name for (name,) in connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()}


def scanned(connection):
    """The tables that the transaction read from beginning to end."""
    query = "SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0"
    return {name for (name,) in connection.execute(query).fetchall()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_step_without_a_transaction_can_be_repeated(path):
    found, transactional = statements(path)
    assert transactional or list(unrepeatable(found)) == []


def unrepeatable(statements):
    """Statements that may fail when they are repeated after an interruption."""
    dropped = set()
    for statement in statements:
        if drop := re.match(r"DROP INDEX CONCURRENTLY IF EXISTS (\w+)", statement):
            dropped.add(drop[1])
        elif create := re.match(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+) ON", statement):
            if create[1] not in dropped:
                yield statement
        elif not re.match(
            r"ALTER TABLE \w+ VALIDATE CONSTRAINT|INSERT INTO .*ON CONFLICT DO NOTHING;$", statement, re.DOTALL
        ):
            yield statement


def test_statements_that_cannot_be_repeated_are_noticed():
    drop, create = "DROP INDEX CONCURRENTLY IF EXISTS idx_a;", "CREATE INDEX CONCURRENTLY idx_a ON a(b);"
    validate = "ALTER TABLE a VALIDATE CONSTRAINT positive;"
    insert = "INSERT INTO a SELECT * FROM b ON CONFLICT DO NOTHING;"
    assert list(unrepeatable([drop, create, validate, insert])) == []
    assert list(unrepeatable([insert.replace(" ON CONFLICT DO NOTHING", "")])) != []
    assert list(unrepeatable([create])) == [create]
    assert list(unrepeatable([drop, "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_a ON a(b);"])) != []
    assert list(unrepeatable([drop, create, "ALTER TABLE a ADD COLUMN c TEXT;"])) != []
