"""Tests migrations from every earlier version with rows in every table, while the earlier version still runs."""

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from guildhook.events.queue_events import DeliveryDue
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook.store.needed_migrations import MIGRATIONS as NEEDED
from guildhook_local.direct_install import install_plugin
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import COMPILE_PLUGIN, MIGRATIONS, ON_MESSAGE, SWEEP
from project import ROOT
from samples import FixedKeys, event, failed_records, sqs_event

FILES = sorted(MIGRATIONS.glob("*.sql"))
ALL = [path.stem for path in FILES]
CONTEXT = LambdaContext("any", "request", deadline=time.monotonic() + 3_600)
PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()

GUILD, CHANNEL, MESSAGE, PLUGIN, RUN, KEY, VERSION, SHADOW_RUN = (
    UUID(f"6a1d0000-0000-4000-8000-00000000000{n}") for n in range(1, 9)
)
IDS = {
    "guilds": GUILD,
    "channels": CHANNEL,
    "plugins": PLUGIN,
    "plugin_runs": RUN,
    "plugin_versions": VERSION,
    "plugin_shadow_runs": SHADOW_RUN,
}
"""By table."""
VALUES: dict[str, Any] = {
    "guild_id": GUILD,
    "channel_id": CHANNEL,
    "message_id": MESSAGE,
    "root_message_id": MESSAGE,
    "plugin_id": PLUGIN,
    "run_id": RUN,
    # One version is both live and the shadow, which sends nothing.
    "version_id": VERSION,
    "live_version_id": VERSION,
    "shadow_version_id": VERSION,
    "key": KEY,
    "wasm_blob": PING,
    "wasm_sha256": sha256(PING).digest(),
    "permissions": Jsonb(["SEND_MESSAGES"]),
    "outcome": "ok",
    "kind": "send_message",
    "state": "pending",
    "content": "from before",
    "actor_kind": "admin",
    "disabled_by_operator": None,
    "logs": Jsonb(["a line"]),
    "memories": Jsonb([[1, None]]),
    "entries": Jsonb({"key": "value"}),
    # The plugin is not quarantined.
    "quarantined_at": None,
    "reason": None,
    "retry_at": None,
}
"""The value of a column of this name, in every table; other columns get a value of their type."""
BY_TABLE = {
    # Another message was deleted in the chat.
    ("deleted_messages", "message_id"): RUN,
    ("guild_pauses", "reason"): "it floods",
    ("raised_budgets", "reason"): "an event",
    ("plugin_refusals", "reason"): "it is bad",
    ("plugin_compile_failures", "reason"): "the machine is busy",
    ("plugin_refusals", "wasm_sha256"): b"\2" * 32,
    ("plugin_versions", "state"): "ready",
    # A trigger has made the first from the row of the plugin.
    ("plugin_settings_versions", "number"): 2,
}
BY_TYPE: dict[str, Any] = {
    "uuid": GUILD,
    "text": "text",
    "character varying(64)": "name",
    "bytea": b"\1" * 32,
    "json": Jsonb({}),
    "jsonb": Jsonb({}),
    "text[]": [],
    "boolean": True,
    "integer": 1,
    "bigint": 1,
    "timestamp with time zone": datetime.now(UTC),
}


@dataclass(frozen=True, slots=True)
class Column:
    type: str
    required: bool
    default: str | None
    generated: bool


@dataclass(frozen=True, slots=True)
class Schema:
    columns: dict[str, dict[str, Column]]
    """By table, in the order in which the tables were made."""
    constraints: dict[str, tuple[str, frozenset[str]]]
    """Their table and the columns in them, by table, name and definition."""
    unique_indexes: dict[str, tuple[str, frozenset[str]]]
    """The same of unique indexes, which ON CONFLICT relies on."""


COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
       attgenerated <> '' OR attidentity = 'a'
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = pg_class.oid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname !~ '^_?yoyo'
ORDER BY pg_class.oid, attnum
"""
CONSTRAINTS = """
SELECT relname || '.' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid), relname,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey))
FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid
WHERE connamespace = 'public'::regnamespace AND relname !~ '^_?yoyo' AND contype NOT IN ('n', 't')
"""
"""The table's own constraints. NOT NULL is in COLUMNS, and a deferred trigger constrains nothing."""
UNIQUE_INDEXES = """
SELECT pg_get_indexdef(indexrelid), relname,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey::int2[]))
FROM pg_index
JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = 'public'::regnamespace AND relname !~ '^_?yoyo' AND indisunique
"""


def read_schema(connection) -> Schema:
    columns: dict[str, dict[str, Column]] = {}
    for table, column, *properties in connection.execute(COLUMNS).fetchall():
        columns.setdefault(table, {})[column] = Column(*properties)
    constraints, unique_indexes = (
        {definition: (table, frozenset(names)) for definition, table, names in connection.execute(query).fetchall()}
        for query in (CONSTRAINTS, UNIQUE_INDEXES)
    )
    return Schema(columns, constraints, unique_indexes)


def fill(connection, schema: Schema) -> None:
    """Insert a row into every table. The statements name every column of `schema`, as those of its version do."""
    for table, columns in schema.columns.items():
        row = {name: value(table, name, column) for name, column in columns.items() if not column.generated}
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table), names(row), sql.SQL(", ").join(sql.Placeholder() * len(row))
        )
        connection.execute(insert, list(row.values()))


def value(table: str, name: str, column: Column) -> Any:
    if name == "id":
        return IDS[table]
    return BY_TABLE.get((table, name), VALUES.get(name, BY_TYPE[column.type]))


def names(columns) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def read_rows(connection, schema: Schema) -> dict[str, list[tuple[Any, ...]]]:
    """Return the columns that a version reads, by table."""
    return {
        table: connection.execute(sql.SQL("SELECT {} FROM {}").format(names(columns), sql.Identifier(table))).fetchall()
        for table, columns in schema.columns.items()
    }


@pytest.fixture(params=range(1, len(ALL) + 1), ids=lambda number: ALL[number - 1])
def version(request):
    """The number of migrations that a version of guildhook had."""
    return request.param


@pytest.fixture
def at_version(version, empty_database, tmp_path):
    """The URL of a database with the migrations of this version."""
    for path in FILES[:version]:
        shutil.copy(path, tmp_path)
    assert migrate(Database(empty_database), tmp_path) == ALL[:version]
    return empty_database


def test_the_library_knows_which_migrations_it_needs():
    assert list(NEEDED) == ALL


def test_no_row_is_lost_and_the_current_code_goes_on_with_them(version, at_version, system):
    with psycopg.connect(at_version, autocommit=True) as connection:
        schema = read_schema(connection)
        fill(connection, schema)
        if "plugin_secrets" in schema.columns:
            sealed = sealer(system).seal(PLUGIN, "text", "of before")
            connection.execute("UPDATE plugin_secrets SET sealed = %s", [sealed])
        before = read_rows(connection, schema)
        assert migrate(Database(at_version), MIGRATIONS) == ALL[version:]
        assert read_rows(connection, schema) == before
    assert all(before.values())
    if "plugins" not in before:
        with psycopg.connect(at_version) as connection:
            install_plugin(connection, GUILD, "ping", PING, {}, ["SEND_MESSAGES"])
    handles_messages(system, at_version)
    pending = ["from before"] if "plugin_intents" in before else []
    assert sorted(reply["content"] for reply in system.chat.replies()) == [*pending, "pong"]


def sealer(system) -> Sealer:
    """Return a sealer with the key of the functions."""
    name = system.environment["GUILDHOOK_SETTINGS_SECRET"]
    text = system.aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return Sealer(FixedKeys(msgspec.json.decode(text, type=SettingsKeys)))


def handles_messages(system, url):
    """Check that the current functions handle a message and a pending send in this database."""
    system.chat.add_channel(GUILD, CHANNEL)
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM guild_pauses")  # messages of a paused guild wait
    environment = {**system.environment, "GUILDHOOK_DATABASE_URL": url}
    with (
        loaded_function(COMPILE_PLUGIN, environment) as compile_plugin,
        loaded_function(ON_MESSAGE, environment) as on_message,
        loaded_function(SWEEP, environment) as sweep,
    ):
        compile_plugin({"action": "recompile"}, CONTEXT)
        due = DeliveryDue(GUILD, MESSAGE).to_json()
        assert failed_records(on_message(sqs_event(due, event(GUILD, CHANNEL)), CONTEXT)) == []
        assert sweep({}, CONTEXT)["given_up"] == 0
        assert compile_plugin({"action": "prune"}, CONTEXT) == {"pruned": 0}


MADE_NULLABLE = {("plugin_audit", "guild_id")}
"""Columns that newer versions leave empty, in rows that earlier versions select by that column, and so never read."""


def test_a_version_that_is_still_running_reads_and_writes_as_before(at_version):
    with psycopg.connect(at_version, autocommit=True) as connection:
        schema = read_schema(connection)
        migrate(Database(at_version), MIGRATIONS)
        fill(connection, schema)
        assert all(read_rows(connection, schema).values())
        newest = read_schema(connection)
    for table, columns in schema.columns.items():
        added = {name: column for name, column in newest.columns[table].items() if name not in columns}
        # No type, default or NOT NULL of an earlier column changed.
        kept = {
            name: replace(column, required=False) if (table, name) in MADE_NULLABLE else column
            for name, column in columns.items()
        }
        assert kept.items() <= newest.columns[table].items()
        # Earlier statements do not name new columns, so these need defaults.
        assert [n for n, c in added.items() if c.required and c.default is None and not c.generated] == []
    for old, new in ((schema.constraints, newest.constraints), (schema.unique_indexes, newest.unique_indexes)):
        # Earlier statements rely on these: for ON CONFLICT, and for deleting dependent rows.
        assert old.items() <= new.items()
        # No new constraint concerns only columns that the earlier version writes.
        rules = {definition: new[definition] for definition in new.keys() - old.keys()}
        assert [
            definition
            for definition, (table, speaks_of) in rules.items()
            if table in schema.columns and speaks_of <= schema.columns[table].keys()
        ] == []


def test_a_guild_that_the_chat_server_deletes_takes_everything_along(migrated_database):
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        schema = read_schema(connection)
        fill(connection, schema)
        connection.execute("DELETE FROM guilds")
        left = {table for table, rows in read_rows(connection, schema).items() if rows}
    # These rows remain: those of wasm, which other guilds may have and prune deletes, and the last minute of a person.
    assert left == {
        "plugin_artifacts",
        "plugin_refusals",
        "plugin_compile_failures",
        "plugin_compile_reservations",
        "admin_requests",
    }


CHAT_SERVER = """
CREATE TYPE channel_type AS ENUM ('text', 'voice');
CREATE TABLE users (id UUID PRIMARY KEY, email TEXT NOT NULL UNIQUE);
CREATE TABLE guilds (
    id UUID PRIMARY KEY,
    name VARCHAR(100) NOT NULL CHECK (name <> ''),
    owner_id UUID NOT NULL REFERENCES users(id),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE channels (
    id UUID PRIMARY KEY,
    guild_id UUID REFERENCES guilds(id), -- NULL: between two users
    name VARCHAR(64) NOT NULL,
    channel_type channel_type NOT NULL,
    topic TEXT,
    UNIQUE (guild_id, name)
);
CREATE TABLE messages (id UUID PRIMARY KEY, channel_id UUID NOT NULL REFERENCES channels(id), content TEXT NOT NULL);
INSERT INTO users VALUES ('6a1d0000-0000-4000-8000-00000000000a', 'ada@example.org');
INSERT INTO guilds VALUES ('6a1d0000-0000-4000-8000-000000000001', 'home', '6a1d0000-0000-4000-8000-00000000000a');
INSERT INTO channels VALUES
    ('6a1d0000-0000-4000-8000-000000000002', '6a1d0000-0000-4000-8000-000000000001', 'general', 'text', 'anything'),
    ('6a1d0000-0000-4000-8000-00000000000b', NULL, 'ada and bob', 'voice', NULL);
INSERT INTO messages VALUES
    ('6a1d0000-0000-4000-8000-000000000003', '6a1d0000-0000-4000-8000-000000000002', '!ping');
"""


def test_the_chat_servers_own_tables_stay_as_they_are_and_guildhook_works_beside_them(empty_database, system):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(CHAT_SERVER)
        schema = read_schema(connection)
        before = read_rows(connection, schema)
        assert migrate(Database(empty_database), MIGRATIONS) == ALL
        newest = read_schema(connection)
        assert {table: newest.columns[table] for table in schema.columns} == schema.columns
        for old, new in ((schema.constraints, newest.constraints), (schema.unique_indexes, newest.unique_indexes)):
            assert {definition: of for definition, of in new.items() if of[0] in schema.columns} == old
    with psycopg.connect(empty_database) as connection:
        install_plugin(connection, GUILD, "ping", PING, {}, ["SEND_MESSAGES"])
    handles_messages(system, empty_database)
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]
    with psycopg.connect(empty_database, autocommit=True) as connection:
        assert read_rows(connection, schema) == before
