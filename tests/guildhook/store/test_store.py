from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import (
    Artifact,
    Delivery,
    DeliveryState,
    MemoryType,
    Message,
    Outcome,
    QuarantineRules,
    Refusal,
    RunResult,
    SendMessage,
    idempotency_key,
)
from guildhook.store import BatchRecord, RunRecord, Store
from guildhook.store.migrations import migrate
from guildhook_local.stack import MIGRATIONS

NOW = datetime(2026, 1, 25, 12, 0, tzinfo=UTC)
OK = RunResult(Outcome.OK, "", fuel_used=10, duration_us=20, host_calls=0, logs=(), intents=())


@pytest.fixture
def database(empty_database):
    migrate(empty_database, MIGRATIONS)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(empty_database, database):
    store = Store(empty_database)
    yield store
    store.close()


@pytest.fixture
def guild(database) -> UUID:
    return database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]


@pytest.fixture
def channel(database, guild) -> UUID:
    return database.execute("INSERT INTO channels (guild_id) VALUES (%s) RETURNING id", [guild]).fetchone()[0]


@pytest.fixture
def installed(store, guild):
    store.add_plugin(guild, "silent", wat.SILENT, {"a": 1}, ["SEND_MESSAGES"])
    return store.snapshot([guild], [], "engine").plugins[guild][0]


def record(plugin, channel, result=OK, message_id=None, **fields):
    message = Message(message_id or uuid4(), plugin.guild_id, channel, NOW, payload="{}", **fields)
    return RunRecord(plugin, message, seed=7, result=result)


def save(store, *runs, **more):
    return store.record(BatchRecord(runs=runs, **more), QuarantineRules())


def sending(plugin, message_id, *channels):
    intents = tuple(
        SendMessage(idempotency_key(message_id, plugin.id, i), i, str(channel), f"hello {i}")
        for i, channel in enumerate(channels)
    )
    return msgspec.structs.replace(OK, intents=intents)


def test_a_snapshot_has_the_enabled_plugins_of_the_guilds_asked_for(store, database, guild):
    other = database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]
    first = store.add_plugin(guild, "first", wat.SILENT, {"a": [1]}, ["SEND_MESSAGES", "KICK"])
    off = store.add_plugin(guild, "off", wat.SILENT, {}, [])
    second = store.add_plugin(guild, "second", wat.TRAPS, {}, [])
    store.add_plugin(other, "other", wat.SILENT, {}, [])
    database.execute("UPDATE plugins SET enabled = false WHERE id = %s", [off])
    snapshot = store.snapshot([guild], [], "engine")
    assert list(snapshot.plugins) == [guild]
    plugins = snapshot.plugins[guild]
    assert [plugin.id for plugin in plugins] == [first, second]
    assert plugins[0].settings == {"a": [1]}
    assert plugins[0].permissions == {"SEND_MESSAGES", "KICK"}
    assert plugins[0].compiled is None
    assert store.wasm([plugin.wasm_sha256 for plugin in plugins]) == {
        plugins[0].wasm_sha256: wat.SILENT,
        plugins[1].wasm_sha256: wat.TRAPS,
    }


@pytest.mark.parametrize("value", [[], "text", 7, None, {"SEND_MESSAGES": True}, [1, None]])
def test_columns_of_any_json_grant_nothing_by_accident(store, database, guild, value):
    store.add_plugin(guild, "odd", wat.SILENT, {}, [])
    database.execute("UPDATE plugins SET permissions = %s, config = %s", [Jsonb(value), Jsonb([value])])
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    assert (plugin.permissions, plugin.settings) == (frozenset(), {})


def artifact(wasm_sha256, engine="engine", **fields):
    return replace(
        Artifact(
            wasm_sha256=wasm_sha256,
            engine=engine,
            sha256=b"n" * 32,
            size=20,
            object_sha256=b"o" * 32,
            object_size=10,
            memories=(MemoryType(1, None), MemoryType(2, 3)),
        ),
        **fields,
    )


def test_an_artifact_is_found_for_its_engine_alone(store, guild, installed):
    ours = artifact(installed.wasm_sha256)
    store.add_artifact(replace(ours, size=10))
    store.add_artifact(ours)
    assert store.snapshot([guild], [], "engine").plugins[guild][0].compiled == ours
    assert store.snapshot([guild], [], "another").plugins[guild][0].compiled is None
    assert store.artifact(installed.wasm_sha256, "engine") == ours
    assert store.artifact(installed.wasm_sha256, "another") is None


def test_what_the_version_before_compiled_counts_as_not_compiled(store, guild, installed, database):
    # Its statement, word for word: it may still be running.
    database.execute(
        """INSERT INTO plugin_artifacts (wasm_sha256, engine, artifact_sha256, artifact_bytes, memories)
           VALUES (%s, 'engine', %s, 10, '[]')
           ON CONFLICT (wasm_sha256, engine) DO UPDATE SET
               artifact_sha256 = excluded.artifact_sha256,
               artifact_bytes = excluded.artifact_bytes,
               memories = excluded.memories""",
        [installed.wasm_sha256, bytes(32)],
    )
    assert store.snapshot([guild], [], "engine").plugins[guild][0].compiled is None
    assert store.artifact(installed.wasm_sha256, "engine") is None
    assert store.uncompiled("engine") == [installed.wasm_sha256]


def test_a_refusal_is_found_for_its_engine_until_there_is_an_artifact(store, guild, installed):
    def compiled(engine):
        return store.snapshot([guild], [], engine).plugins[guild][0].compiled

    store.add_refusal(installed.wasm_sha256, "engine", Refusal("too slow"))
    store.add_refusal(installed.wasm_sha256, "engine", Refusal("too\0 large"))
    assert compiled("engine") == Refusal("too large")
    assert compiled("another") is None
    assert store.uncompiled("engine") == []
    ours = artifact(installed.wasm_sha256)
    store.add_artifact(ours)
    assert compiled("engine") == ours


def test_uncompiled_is_what_enabled_plugins_need_and_each_wasm_once(store, guild, installed, database):
    for name, wasm in [("again", wat.SILENT), ("bad", wat.TRAPS), ("off", wat.logs("off"))]:
        store.add_plugin(guild, name, wasm, {}, [])
    database.execute("UPDATE plugins SET enabled = FALSE WHERE name = 'off'")
    assert store.uncompiled("engine") == sorted(sha256(wasm).digest() for wasm in (wat.SILENT, wat.TRAPS))
    store.add_artifact(artifact(installed.wasm_sha256))
    assert store.uncompiled("engine") == [sha256(wat.TRAPS).digest()]


def test_stale_is_what_is_old_and_of_another_engine_or_of_no_plugin(store, installed, database):
    gone = bytes(32)
    for digest in (installed.wasm_sha256, gone):
        for engine in ("engine", "before"):
            store.add_artifact(artifact(digest, engine))
            store.add_refusal(digest, engine, Refusal("no"))
    store.add_artifact(artifact(installed.wasm_sha256, "long before"))
    for table in ("plugin_artifacts", "plugin_refusals"):
        database.execute(f"UPDATE {table} SET created_at = now() - interval '31 days' WHERE engine <> 'long before'")

    stale = {(gone, "engine"), (gone, "before"), (installed.wasm_sha256, "before")}
    assert set(store.stale_artifacts("engine", days=30, limit=10)) == stale
    assert len(store.stale_artifacts("engine", days=30, limit=2)) == 2
    assert store.stale_artifacts("engine", days=32, limit=10) == []
    store.forget_artifacts(sorted(stale))
    store.forget_stale_refusals("engine", days=30)
    kept = {(installed.wasm_sha256, "engine"), (installed.wasm_sha256, "long before")}
    assert set(database.execute("SELECT wasm_sha256, engine FROM plugin_artifacts")) == kept
    assert list(database.execute("SELECT wasm_sha256, engine FROM plugin_refusals")) == [
        (installed.wasm_sha256, "engine")
    ]


def test_a_run_with_nothing_to_say_is_only_counted(store, database, channel, installed):
    save(store, record(installed, channel), record(installed, channel))
    save(store, record(installed, channel))
    assert database.execute("SELECT count(*) FROM plugin_runs").fetchone() == (0,)
    assert database.execute("SELECT plugin_id, outcome, runs, fuel_used, duration_us FROM plugin_usage").fetchall() == [
        (installed.id, "ok", 3, 30, 60)
    ]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_a_run_that_failed_is_recorded(store, database, channel, installed, outcome):
    result = msgspec.structs.replace(OK, outcome=outcome, detail="why", logs=("line 1", "line 2"))
    run = record(installed, channel, result)
    assert save(store, run).lost == frozenset()
    row = database.execute(
        "SELECT message_id, outcome, detail, fuel_used, duration_us, logs, seed, message_time FROM plugin_runs"
    ).fetchone()
    assert row == (run.message.id, outcome, "why", 10, 20, ["line 1", "line 2"], 7, NOW)


def test_an_intent_is_pending_until_it_is_settled(store, guild, channel, installed):
    message = uuid4()
    result = sending(installed, message, channel, channel)
    first, second = result.intents
    run = record(installed, channel, result, message)
    assert save(store, run).pending == {first.key, second.key}
    assert store.snapshot([guild], [message], "engine").runs[message, installed.id].pending == tuple(run.outgoing())
    store.settle(
        [
            Delivery(first.key, DeliveryState.DELIVERED, "id"),
            Delivery(second.key, DeliveryState.PENDING, "HTTP 500"),
        ]
    )
    assert store.snapshot([guild], [message], "engine").runs[message, installed.id].pending == tuple(run.outgoing())[1:]


def test_a_final_state_is_never_changed(store, database, channel, installed):
    message = uuid4()
    result = sending(installed, message, channel)
    save(store, record(installed, channel, result, message))
    for state in (DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.PENDING):
        store.settle([Delivery(result.intents[0].key, state, state)])
    assert database.execute("SELECT state, detail FROM plugin_intents").fetchall() == [("delivered", "delivered")]


def test_a_run_is_recorded_once_and_the_second_is_told(store, database, channel, installed):
    message = uuid4()
    run = record(installed, channel, sending(installed, message, channel), message)
    assert save(store, run).lost == frozenset()
    again = save(store, replace(run, result=msgspec.structs.replace(run.result, logs=("changed",))))
    assert again.lost == {run.key}
    assert again.pending == frozenset()
    assert database.execute("SELECT logs FROM plugin_runs").fetchall() == [([],)]


def test_a_channel_of_another_guild_is_refused(store, database, guild, channel, installed):
    other = database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]
    foreign = database.execute("INSERT INTO channels (guild_id) VALUES (%s) RETURNING id", [other]).fetchone()[0]
    own = database.execute("INSERT INTO channels (guild_id) VALUES (%s) RETURNING id", [guild]).fetchone()[0]
    message = uuid4()
    result = sending(installed, message, channel, foreign, own, uuid4())
    recorded = save(store, record(installed, channel, result, message))
    assert recorded.pending == {result.intents[0].key, result.intents[2].key}
    assert database.execute("SELECT state, detail FROM plugin_intents ORDER BY position").fetchall() == [
        ("pending", ""),
        ("refused", "CHANNEL_NOT_IN_GUILD"),
        ("pending", ""),
        ("refused", "CHANNEL_NOT_IN_GUILD"),
    ]


def test_a_plugin_deleted_during_its_run_does_not_stop_the_others(store, database, guild, channel, installed):
    store.add_plugin(guild, "stays", wat.SILENT, {}, [])
    stays = store.snapshot([guild], [], "engine").plugins[guild][1]
    database.execute("DELETE FROM plugins WHERE id = %s", [installed.id])
    message = uuid4()
    gone = record(installed, channel, sending(installed, message, channel), message)
    kept = record(stays, channel, sending(stays, message, channel), message)
    recorded = save(store, gone, kept)
    assert recorded.pending == {kept.result.intents[0].key}
    assert recorded.lost == frozenset()


def test_a_deleted_guild_takes_everything_with_it(store, database, guild, channel, installed):
    message = uuid4()
    save(store, record(installed, channel, sending(installed, message, channel), message))
    database.execute("DELETE FROM guilds WHERE id = %s", [guild])
    for table in ("plugins", "plugin_runs", "plugin_intents", "plugin_usage"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_read_survives_a_connection_that_died(store, database, guild):
    store.snapshot([guild], [], "engine")
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guildhook'")
    assert store.snapshot([guild], [], "engine").plugins == {}


def test_a_write_on_a_dead_connection_fails_and_the_next_one_works(store, database, channel, installed):
    store.snapshot([], [], "engine")
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guildhook'")
    with pytest.raises(InfrastructureError, match="GUILDHOOK_DATABASE_URL"):
        save(store, record(installed, channel))
    save(store, record(installed, channel))


def test_a_missing_migration_is_named(empty_database):
    store = Store(empty_database)
    with pytest.raises(InfrastructureError, match=r'relation "plugins" does not exist \(are all'):
        store.snapshot([], [], "engine")
