import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

import wat
from guildhook.store import Database
from guildhook.store.admin import AdminStore, AuditedChange, PluginKey, RunFilter, VersionLimits

CHANGE = AuditedChange("actor", "Ada\0", "did", {"what": 1})
LIMITS = VersionLimits(plugin_versions=20, guild_wasm_bytes=1024**3)


@pytest.fixture
def store(migrated_database, database):
    with closing(AdminStore(Database(migrated_database))) as store:
        yield store


@pytest.fixture
def key(store):
    key = PluginKey(uuid4(), uuid4())
    assert store.create_plugin(key, "Greeter", "", 50, CHANGE)
    return key


def add_version(database, key, wasm=wat.SILENT, state="ready"):
    return database.execute(
        """INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by)
           SELECT %s, 1 + coalesce(max(number), 0), %s, sha256(%s), 1, %s, '' FROM plugin_versions WHERE plugin_id = %s
           RETURNING id""",
        [key.plugin_id, state, wasm, wasm, key.plugin_id],
    ).fetchone()[0]


def changes(key, version_id):
    """Return every change of a plugin, as a function of the store, on top of revision 1."""
    return [
        lambda store: store.change_plugin(key, 1, {"name": "Renamed"}, CHANGE),
        lambda store: store.go_live(key, 1, version_id, [], {}, CHANGE),
        lambda store: store.set_shadow(key, 1, version_id, CHANGE),
        lambda store: store.end_quarantine(key, 1, CHANGE),
        lambda store: store.set_sealed_value(key, 1, "name", b"sealed", CHANGE),
        lambda store: store.delete_sealed_value(key, 1, "name", CHANGE),
        lambda store: store.delete_plugin(key, 1, CHANGE),
    ]


@pytest.mark.parametrize("which", range(7))
def test_one_of_several_simultaneous_changes_wins(migrated_database, database, key, which):
    change = changes(key, add_version(database, key))[which]
    together = threading.Barrier(4)

    def attempt(_):
        with closing(AdminStore(Database(migrated_database))) as store:
            store.connect()
            together.wait(timeout=60)
            return change(store)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    assert database.execute("SELECT count(*) FROM plugin_audit WHERE action = 'did'").fetchone() == (2,)


@pytest.mark.parametrize("which", range(7))
def test_a_change_that_waited_for_another_does_not_win_after_it(migrated_database, database, key, which):
    change = changes(key, add_version(database, key))[which]

    def attempt():
        with closing(AdminStore(Database(migrated_database))) as store:
            return change(store)

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    with psycopg.connect(migrated_database) as other, ThreadPoolExecutor(1) as pool:
        other.execute("UPDATE plugins SET revision = 2")
        future = pool.submit(attempt)
        while not future.done() and database.execute(waiting).fetchone() == (0,):
            pass
        other.commit()
        assert future.result(timeout=60) is False
    assert database.execute("SELECT revision FROM plugins").fetchone() == (2,)
    assert database.execute("SELECT count(*) FROM plugin_audit").fetchone() == (1,)


@pytest.mark.parametrize("which", range(7))
def test_a_plugin_of_another_guild_is_not_there(store, database, key, which):
    other = PluginKey(uuid4(), key.plugin_id)
    assert changes(other, add_version(database, key))[which](store) is False
    assert database.execute("SELECT revision FROM plugins").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM plugin_audit").fetchone() == (1,)


def test_nothing_of_another_guild_is_read_or_written(store, database, key):
    version_id = add_version(database, key)
    store.set_sealed_value(key, 1, "name", b"sealed", CHANGE)
    run_id, message_id = uuid4(), uuid4()
    for table, more, values in [
        ("plugin_runs", "", ""),
        ("plugin_shadow_runs", ", version_id, fuel_limit, calls, intents", ", gen_random_uuid(), 1, '[]', '[]'"),
    ]:
        database.execute(
            f"""INSERT INTO {table} (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                     host_calls, logs, seed, message_time{more})
                VALUES (%s, %s, %s, %s, 'ok', '', 1, 1, 0, '[]', 1, now(){values})""",
            [run_id, message_id, key.plugin_id, key.guild_id],
        )
    database.execute(
        """INSERT INTO plugin_usage (plugin_id, hour, outcome, runs, fuel_used, duration_us)
           VALUES (%s, now(), 'ok', 1, 1, 1)""",
        [key.plugin_id],
    )

    def everything(key):
        return [
            store.plugin(key),
            store.plugins(key.guild_id, None, 10),
            store.has_plugin(key),
            store.creation(key, "did"),
            store.sealed_values(key),
            store.version(key, 1),
            store.version_by_id(key, version_id),
            store.versions(key, None, 10),
            store.audit(key.guild_id, key.plugin_id, None, 10),
            store.runs(key, RunFilter(), None, 10),
            store.runs(key, RunFilter(shadow=True), None, 10),
            store.run(key, run_id),
            store.run_on(key, message_id),
            store.usage(key, 10),
            store.trial_inputs(key, version_id),
            store.message_traces(key, message_id),
        ]

    assert all(everything(key))
    other = PluginKey(uuid4(), key.plugin_id)
    assert not any(everything(other))
    assert not store.create_version(other, uuid4(), "0" * 64, 1, LIMITS, CHANGE)
    assert not store.delete_version(other, 1, CHANGE)
    store.confirm_upload(other, 1)
    assert database.execute("SELECT count(*) FROM plugin_versions WHERE state = 'ready'").fetchone() == (1,)


def test_versions_that_are_made_at_once_have_numbers_of_their_own(migrated_database, database, key):
    together = threading.Barrier(4)

    def make(_):
        with closing(AdminStore(Database(migrated_database))) as store:
            store.connect()
            together.wait(timeout=60)
            return store.create_version(key, uuid4(), "0" * 64, 1, LIMITS, CHANGE)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [True] * 4
    numbers = database.execute("SELECT array_agg(number ORDER BY number) FROM plugin_versions").fetchone()
    assert numbers == ([1, 2, 3, 4],)


def test_a_version_that_is_being_deleted_does_not_go_live(migrated_database, database, key):
    version_id = add_version(database, key)

    def go_live():
        with closing(AdminStore(Database(migrated_database))) as store:
            return store.go_live(key, 1, version_id, [], None, CHANGE)

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    with psycopg.connect(migrated_database) as other, ThreadPoolExecutor(1) as pool:
        parameters = {**key.parameters(), **CHANGE.parameters(), "number": 1}
        assert other.execute(AdminStore.statements["delete_version"].query, parameters).fetchall()
        future = pool.submit(go_live)
        while not future.done() and database.execute(waiting).fetchone() == (0,):
            pass
        other.commit()
        assert future.result(timeout=60) is False
    assert database.execute("SELECT live_version_id, octet_length(wasm_blob) FROM plugins").fetchone() == (None, 0)


def test_a_version_that_goes_live_is_not_deleted(migrated_database, database, key):
    version_id = add_version(database, key)

    def delete():
        with closing(AdminStore(Database(migrated_database))) as store:
            return store.delete_version(key, 1, CHANGE)

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    with psycopg.connect(migrated_database) as other, ThreadPoolExecutor(1) as pool:
        parameters = {**key.parameters(), **CHANGE.parameters(), "revision": 1, "version_id": version_id}
        more = {"permissions": psycopg.types.json.Jsonb([]), "settings": None, "settings_number": None}
        assert other.execute(AdminStore.statements["go_live"].query, {**parameters, **more}).fetchall()
        future = pool.submit(delete)
        while not future.done() and database.execute(waiting).fetchone() == (0,):
            pass
        other.commit()
        assert future.result(timeout=60) is False
    found = database.execute("SELECT live_version_id, wasm_sha256 FROM plugins").fetchone()
    assert found == (version_id, sha256(wat.SILENT).digest())


def test_lists_for_admins_are_read_by_an_index(store, database, key):
    """There are so many rows that Postgres prefers an index, and newer ones of another plugin."""
    other = PluginKey(key.guild_id, uuid4())
    store.create_plugin(other, "Other", "", 50, CHANGE)
    for each, hours in ((key, 10), (other, 0)):
        database.execute(
            """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                        host_calls, logs, seed, message_time, created_at)
               SELECT gen_random_uuid(), %s, %s, 'ok', '', 1, 1, 0, '[]', 1, now(),
                      now() - make_interval(hours => %s, secs => i)
               FROM generate_series(1, 10000) AS i""",
            [each.plugin_id, each.guild_id, hours],
        )
        database.execute(
            """INSERT INTO plugin_shadow_runs (message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used,
                                               fuel_limit, duration_us, host_calls, calls, logs, intents, seed,
                                               message_time, created_at)
               SELECT gen_random_uuid(), %s, %s, gen_random_uuid(), 'ok', '', 1, 1, 1, 0, '[]', '[]', '[]', 1, now(),
                      now() - make_interval(hours => %s, secs => i)
               FROM generate_series(1, 10000) AS i""",
            [each.plugin_id, each.guild_id, hours],
        )
    database.execute(
        """INSERT INTO plugin_audit (guild_id, actor_id, actor_name, action, detail)
           SELECT CASE WHEN i %% 100 = 0 THEN %(guild_id)s ELSE gen_random_uuid() END, 'a', 'a', 'a', '{}'
           FROM generate_series(1, 20000) AS i""",
        {"guild_id": key.guild_id},
    )
    for table in ("plugin_runs", "plugin_shadow_runs", "plugin_audit"):
        database.execute(f"ANALYZE {table}")
    for statement, given, index in [
        ("runs", {**key.parameters(), "shadow": False}, "idx_plugin_runs_plugin"),
        ("runs", {**key.parameters(), "shadow": True}, "idx_plugin_shadow_runs_plugin"),
        ("audit", {"guild_id": key.guild_id}, "idx_plugin_audit_guild"),
    ]:
        query = AdminStore.statements[statement].query
        filters = dict.fromkeys(re.findall(r"%\((\w+)\)s", query.decode()))
        parameters = {**filters, "limit": 51, "detailed": False, **given}
        plan = "\n".join(line for (line,) in database.execute(b"EXPLAIN " + query, parameters))
        assert f"using {index}" in plan
        # Rows of the other table do not matter.
        assert len(re.findall(r"idx_plugin_(?:shadow_)?runs_plugin", plan)) == (statement == "runs")


def test_no_statement_reads_a_blob_but_the_one_that_copies_it():
    statements = AdminStore.statements
    assert [name for name in statements if b"wasm_blob" in statements[name].query] == [
        "create_plugin",
        "go_live",
        "set_shadow",
    ]


def test_a_charge_that_began_in_the_minute_before_counts_in_the_one_that_is_written_down(store, database):
    actor = uuid4()
    assert store.charge(actor, 3)[0] == 3
    database.execute("UPDATE admin_requests SET minute = minute + interval '1 hour'")
    used, seconds_left = store.charge(actor, 4)
    assert used == 7
    assert 3_500 < seconds_left <= 3_660
