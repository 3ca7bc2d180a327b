"""Tests the trigger that deletes the rows of a guild with its row in `guilds`, whoever deletes that."""

import time
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from artifacts import publish
from guildhook.errors import MigrationError
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook_local.function import LambdaContext
from guildhook_local.stack import MIGRATIONS
from migrations.test_versions import read_rows, read_schema
from project import ROOT
from samples import event, failed_records, sqs_event

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
CONTEXT = LambdaContext("any", "request", deadline=time.monotonic() + 3_600)
SPEND = """
    INSERT INTO guild_budgets (guild_id, minute, fuel_used, sends, log_bytes, delayed) VALUES (%s, now(), 1, 0, 0, 0)
    ON CONFLICT (guild_id) DO UPDATE SET fuel_used = guild_budgets.fuel_used + 1
"""


@pytest.fixture
def database(migrated_database):
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        yield connection


def add_guild(database):
    """A guild with a row in each table that has no reference to it."""
    guild_id = uuid4()
    database.execute("INSERT INTO guilds (id) VALUES (%s)", [guild_id])
    database.execute(SPEND, [guild_id])
    database.execute("INSERT INTO guild_settings (guild_id) VALUES (%s)", [guild_id])
    database.execute("INSERT INTO guild_pauses (guild_id, reason) VALUES (%s, 'a')", [guild_id])
    database.execute("INSERT INTO raised_budgets (guild_id, until, reason) VALUES (%s, now(), 'a')", [guild_id])
    database.execute("INSERT INTO deleted_messages (guild_id, message_id) VALUES (%s, gen_random_uuid())", [guild_id])
    database.execute(
        "INSERT INTO plugin_audit (guild_id, actor_id, actor_name, action, detail) VALUES (%s, 'a', 'A', 'b', '{}')",
        [guild_id],
    )
    return guild_id


def guilds_of(database):
    tables = ("deleted_messages", "guild_budgets", "guild_pauses", "guild_settings", "plugin_audit", "raised_budgets")
    return [
        {guild_id for (guild_id,) in database.execute(f"SELECT guild_id FROM {table}").fetchall()} for table in tables
    ]


def test_a_chat_server_needs_no_privileges_on_the_tables_of_guildhook(role, migrated_database, database):
    deleted, other = add_guild(database), add_guild(database)
    name = sql.Identifier(role)
    database.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    database.execute(sql.SQL("GRANT SELECT, DELETE ON guilds TO {}").format(name))
    with psycopg.connect(make_conninfo(migrated_database, user=role), autocommit=True) as chat_server:
        chat_server.execute("DELETE FROM guilds WHERE id = %s", [deleted])
        chat_server.execute("CREATE TEMPORARY TABLE mine (LIKE guilds)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            chat_server.execute("CREATE TRIGGER t AFTER DELETE ON mine FOR EACH ROW EXECUTE FUNCTION forget_guild()")
    assert guilds_of(database) == [{other}] * 6


def test_a_transaction_that_deletes_a_guild_holds_up_no_batch(migrated_database, database):
    guild_id = add_guild(database)
    database.execute("SET lock_timeout = '1s'")
    with psycopg.connect(migrated_database) as chat_server:
        chat_server.execute("DELETE FROM guilds WHERE id = %s", [guild_id])
        database.execute(SPEND, [guild_id])
    assert guilds_of(database) == [set()] * 6


def test_a_transaction_that_is_rolled_back_deletes_nothing(migrated_database, database):
    guild_id = add_guild(database)
    with psycopg.connect(migrated_database) as chat_server:
        chat_server.execute("DELETE FROM guilds WHERE id = %s", [guild_id])
        chat_server.rollback()
    assert guilds_of(database) == [{guild_id}] * 6


def test_a_role_that_may_not_add_the_trigger_is_told_the_grant_that_it_needs(role, empty_database):
    owner = sql.Identifier(role)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE guilds (id UUID PRIMARY KEY)")
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(owner))
        connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(owner))
        connection.execute(sql.SQL("GRANT SELECT, REFERENCES ON guilds TO {}").format(owner))
        url = make_conninfo(empty_database, user=role)
        with pytest.raises(MigrationError) as raised:
            migrate(Database(url), MIGRATIONS)
        quoted = owner.as_string(connection)
        assert str(raised.value) == (
            f"migration 20261201000102_forget_deleted_guilds failed: the role {quoted} may not add a trigger to the "
            f"table guilds; let its owner GRANT TRIGGER ON guilds TO {quoted}"
        )
        connection.execute(sql.SQL("GRANT TRIGGER ON guilds TO {}").format(owner))
        assert migrate(Database(url), MIGRATIONS)[0] == "20261201000102_forget_deleted_guilds"
        guild_id = add_guild(connection)
        connection.execute("DELETE FROM guilds WHERE id = %s", [guild_id])
        assert guilds_of(connection) == [set()] * 6


def test_a_deleted_guild_leaves_no_row_and_prune_leaves_no_object(system):
    guild = system.add_guild()
    publish(system, PING)
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    assert failed_records(system.handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    system.sweep_handler({}, CONTEXT)
    s3 = system.aws.client("s3")
    assert s3.list_objects_v2(Bucket=system.bucket)["KeyCount"] == 1
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        schema = read_schema(connection)
        connection.execute(
            "INSERT INTO plugin_refusals (wasm_sha256, engine, reason, created_at) "
            "VALUES (%s, 'engine', 'bad', now() - interval '31 days')",
            [sha256(b"bad").digest()],
        )
        connection.execute(
            "INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason, tried_at) "
            "VALUES (%s, 'engine', 1, 'busy', now() - interval '31 days')",
            [sha256(b"slow").digest()],
        )
        connection.execute(
            "INSERT INTO plugin_compile_reservations VALUES (%s, 'engine', now() - interval '1 second')",
            [sha256(b"killed").digest()],
        )
        connection.execute("UPDATE plugin_artifacts SET created_at = now() - interval '31 days'")
        connection.execute("DELETE FROM guilds WHERE id = %s", [guild.id])
        assert system.compile_handler({"action": "prune"}, CONTEXT) == {"pruned": 1}
        assert {table for table, rows in read_rows(connection, schema).items() if rows} == set()
    assert s3.list_objects_v2(Bucket=system.bucket)["KeyCount"] == 0
