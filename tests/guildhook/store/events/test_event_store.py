import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

import wat
from guildhook.errors import InfrastructureError, RefusedStatementError
from guildhook.model import (
    FUEL_PER_CPU_MICROSECOND,
    Causality,
    Delivery,
    DeliveryState,
    HostFunctionCall,
    Outcome,
    PluginHealth,
    PluginState,
    QuarantineRules,
    SpentBudget,
)
from guildhook.store import Database
from guildhook.store.connection import failed
from guildhook.store.events import BatchRecord, DelayedMessage, EventStore, Judgement, QuarantinedPlugin, RecordedBatch
from guildhook_local.direct_install import install_plugin
from run_records import NOW, OK, record, save, sending
from versions import add_version

RULES = QuarantineRules(most_in_a_row=3, most_in_an_hour=5, pause_seconds=60, longest_pause_seconds=200)


def test_a_snapshot_has_the_enabled_plugins_of_the_guilds_asked_for(store, database, guild):
    other = database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]
    first = install_plugin(database, guild, "first", wat.SILENT, {"a": [1]}, ["SEND_MESSAGES", "KICK"])
    off = install_plugin(database, guild, "off", wat.SILENT, {}, [])
    second = install_plugin(database, guild, "second", wat.TRAPS, {}, [])
    install_plugin(database, other, "other", wat.SILENT, {}, [])
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
    install_plugin(database, guild, "odd", wat.SILENT, {}, [])
    database.execute("UPDATE plugins SET permissions = %s, config = %s", [Jsonb(value), Jsonb([value])])
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    assert (plugin.permissions, plugin.settings) == (frozenset(), {})


def test_a_shadow_has_the_settings_secrets_and_state_of_its_plugin(store, database, guild, shadowed):
    live, _ = shadowed
    database.execute("UPDATE plugins SET config = %s", [Jsonb({"numbers": [1, 2.5]})])
    database.execute("INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES (%s, 'key', 'sealed')", [live.id])
    state = [live.id, Jsonb({"a": "b"})]
    database.execute("INSERT INTO plugin_state (plugin_id, version, entries) VALUES (%s, 3, %s)", state)
    for plugin in store.snapshot([guild], [], "engine").plugins[guild]:
        assert plugin.settings == {"numbers": [1, 2.5]}
        assert plugin.sealed == {"key": b"sealed"}
        assert plugin.state == PluginState(3, {"a": "b"})


def test_a_shadow_of_a_plugin_without_a_live_version_has_its_settings(store, database, guild, shadowed):
    database.execute("UPDATE plugins SET config = %s, wasm_blob = ''", [Jsonb({"a": 1})])
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    assert (plugin.shadow, plugin.settings) == (True, {"a": 1})


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


def test_runs_of_both_kinds_remember_their_author(store, database, channel, installed):
    known = record(installed, channel, sending(installed, uuid4(), channel), author_id="ada")
    unknown = record(installed, channel, sending(installed, uuid4(), channel))
    remembering = record(installed, channel, msgspec.structs.replace(OK, state={"a": "1"}), author_id="bob")
    shadow = replace(known, plugin=replace(installed, shadow=True, version_id=uuid4()))
    save(store, known, unknown, remembering, states={installed.id: PluginState(0, {"a": "1"})}, shadow_runs=[shadow])
    authors = database.execute("SELECT author_id FROM plugin_runs ORDER BY author_id").fetchall()
    assert authors == [("ada",), ("bob",), (None,)]
    assert database.execute("SELECT author_id FROM plugin_shadow_runs").fetchall() == [("ada",)]


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
    assert database.execute("SELECT id::text, logs FROM plugin_runs").fetchall() == [(run.id, [])]


def test_one_of_several_simultaneous_recordings_of_a_run_wins_and_the_others_are_told(
    migrated_database, channel, installed
):
    result = msgspec.structs.replace(OK, logs=("x",))
    batches = [[record(installed, channel, result) for _ in range(5)] for _ in range(100)]
    together = threading.Barrier(4)

    def save_all(_):
        lost = []
        with closing(EventStore(Database(migrated_database))) as mine:
            mine.connect()
            for runs in batches:
                together.wait(timeout=60)
                lost.append(save(mine, *runs).lost)
        return lost

    with ThreadPoolExecutor(4) as pool:
        for runs, lost in zip(batches, zip(*pool.map(save_all, range(4)), strict=True)):
            assert Counter(key for keys in lost for key in keys) == {run.key: 3 for run in runs}


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
    install_plugin(database, guild, "stays", wat.SILENT, {}, [])
    stays = store.snapshot([guild], [], "engine").plugins[guild][1]
    database.execute("DELETE FROM plugins WHERE id = %s", [installed.id])
    message = uuid4()
    gone = record(installed, channel, sending(installed, message, channel), message)
    kept = record(stays, channel, sending(stays, message, channel), message)
    recorded = save(store, gone, kept)
    assert recorded.pending == {kept.result.intents[0].key}
    assert recorded.lost == frozenset()


def test_a_guild_that_is_being_deleted_holds_up_nobody(migrated_database, store, database, guild, channel, installed):
    other = database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]
    install_plugin(database, other, "other", wat.SILENT, {}, [])
    (bystander,) = store.snapshot([other], [], "engine").plugins[other]
    runs = [record(plugin, channel, msgspec.structs.replace(OK, logs=("x",))) for plugin in (installed, bystander)]
    with psycopg.connect(migrated_database) as deleting:
        deleting.execute("DELETE FROM guilds WHERE id = %s", [guild])
        recorded = save(store, *runs, passed_over={installed.id: 1})
        deleting.rollback()
    assert recorded == RecordedBatch(busy=frozenset({installed.id}))
    assert database.execute("SELECT plugin_id FROM plugin_runs").fetchall() == [(bystander.id,)]


def test_deliveries_that_settle_the_same_at_the_same_time_do_not_wait_for_each_other_in_a_circle(
    migrated_database, store, channel, installed
):
    messages = [uuid4() for _ in range(100)]
    runs = [record(installed, channel, sending(installed, m, *[channel] * 5), m) for m in messages]
    save(store, *runs)
    deliveries = [Delivery(i.key, DeliveryState.PENDING, "") for run in runs for i in run.result.intents]
    together = threading.Barrier(2)

    def settle(deliveries):
        with closing(EventStore(Database(migrated_database))) as mine:
            for _ in range(5):
                together.wait(timeout=60)
                # The method `settle` would try a second time, so the statement is called directly.
                columns = zip(*[(d.key, d.state.value, d.detail) for d in deliveries], strict=True)
                mine.write("settle", dict(zip(["keys", "states", "details"], map(list, columns), strict=True)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(settle, [deliveries, deliveries[::-1]]))


def test_pending_intents_are_in_the_order_of_their_messages(store, guild, channel, installed, database):
    install_plugin(database, guild, "second", wat.TRAPS, {}, [])
    plugins = store.snapshot([guild], [], "engine").plugins[guild]
    messages = sorted(uuid4() for _ in range(4))
    runs = [record(plugin, channel, sending(plugin, m, channel), m) for m in messages for plugin in plugins]
    save(store, *runs)
    found = store.snapshot([guild], messages, "engine").runs
    assert list(found) == [run.key for run in runs]


def test_a_statement_beyond_a_limit_of_postgres_is_refused(database):
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as error:
        database.execute("SELECT array_fill(0, ARRAY[2000000000])")
    assert isinstance(failed(Database("postgresql://nobody@nowhere/none"), error.value), RefusedStatementError)


def test_a_run_that_postgres_refuses_is_told_from_a_fault_of_postgres(store, channel, installed):
    odd = record(installed, channel, msgspec.structs.replace(OK, logs=("a\0b",)))
    with pytest.raises(RefusedStatementError, match="UntranslatableCharacter"):
        save(store, odd)


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
    store = EventStore(Database(empty_database))
    with pytest.raises(InfrastructureError, match=r'a migration is missing: relation "plugins" does not exist; invoke'):
        store.snapshot([], [], "engine")


def test_a_run_keeps_the_digest_of_its_message_and_its_causality(store, guild, channel, installed):
    root, message = uuid4(), uuid4()
    run = record(installed, channel, sending(installed, message, channel), message, causality=Causality(root, 2))
    save(store, run)
    recorded = store.snapshot([guild], [message], "engine").runs[message, installed.id]
    assert recorded.message_sha256 == sha256(b"{}").digest()
    assert recorded.pending[0].causality == Causality(root, 3)


def test_intents_that_the_previous_version_recorded_are_still_delivered(store, guild, channel, installed, database):
    # Rows of the previous version have no digest and no causality.
    message, key = uuid4(), uuid4()
    database.execute(
        """WITH run AS (
            INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                     host_calls, logs, seed, message_time)
            VALUES (%s, %s, %s, 'ok', '', 1, 1, 1, '[]', 1, now()) RETURNING id)
        INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state)
        SELECT %s, id, 0, 'send_message', %s, 'hello', 'pending' FROM run""",
        [message, installed.id, guild, key, channel],
    )
    recorded = store.snapshot([guild], [message], "engine").runs[message, installed.id]
    assert recorded.message_sha256 is None
    assert [(out.intent.key, out.causality) for out in recorded.pending] == [(str(key), Causality(message, 1))]


def remembering(plugin, channel, entries, message_id=None):
    return record(plugin, channel, msgspec.structs.replace(OK, state=entries), message_id)


def state_of(store, guild):
    return store.snapshot([guild], [], "engine").plugins[guild][0].state


def test_state_is_written_with_its_run_and_read_with_the_plugin(store, database, guild, channel, installed):
    assert installed.state == PluginState(0, {})
    run = remembering(installed, channel, {"count": "1"})
    save(store, run, states={installed.id: PluginState(0, {"count": "1", "grüße": '\U0001f600 "'})})
    assert state_of(store, guild) == PluginState(1, {"count": "1", "grüße": '\U0001f600 "'})
    # The state must not be written again, so the run is known even if it sent nothing.
    assert database.execute("SELECT message_id FROM plugin_runs").fetchall() == [(run.message.id,)]
    save(store, remembering(installed, channel, {}), states={installed.id: PluginState(1, {})})
    assert state_of(store, guild) == PluginState(2, {})


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_writer_that_read_another_version_of_the_state_writes_nothing_and_is_told(
    store, database, guild, channel, installed, version
):
    for read in (0, 1):
        save(store, remembering(installed, channel, {}), states={installed.id: PluginState(read, {"by": "winner"})})
    before = database.execute("SELECT count(*) FROM plugin_runs").fetchone()
    other_id = install_plugin(database, guild, "other", wat.TRAPS, {}, [])
    other = next(p for p in store.snapshot([guild], [], "engine").plugins[guild] if p.id == other_id)
    message = uuid4()
    loser = record(
        installed,
        channel,
        msgspec.structs.replace(sending(installed, message, channel), state={"by": "loser"}),
        message,
    )
    trap = record(other, channel, msgspec.structs.replace(OK, outcome=Outcome.TRAP))
    recorded = save(
        store,
        loser,
        trap,
        states={installed.id: PluginState(version, {"by": "loser"})},
        judgements=[judgement(installed), judgement(other)],
    )
    assert recorded == RecordedBatch(stale=frozenset({installed.id}))
    # The fuel of the rejected run counts.
    assert database.execute("SELECT fuel_used FROM guild_budgets").fetchone() == (40,)
    assert state_of(store, guild) == PluginState(2, {"by": "winner"})
    # The loser has no run, intent or count. The run of the other plugin is recorded.
    assert database.execute("SELECT count(*) - %s FROM plugin_runs", before).fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM plugin_intents").fetchone() == (0,)
    assert database.execute("SELECT plugin_id FROM plugin_health").fetchall() == [(other_id,)]
    assert database.execute("SELECT sum(runs) FROM plugin_usage WHERE plugin_id = %s", [installed.id]).fetchone() == (
        2,
    )


def test_state_of_a_run_that_is_recorded_already_undoes_the_whole_write(store, database, guild, channel, installed):
    message = uuid4()
    save(store, record(installed, channel, msgspec.structs.replace(OK, logs=("first",)), message))
    again, bystander = remembering(installed, channel, {"a": "1"}, message), record(installed, channel)
    with pytest.raises(RefusedStatementError, match="UniqueViolation"):
        save(store, bystander, again, states={installed.id: PluginState(0, {"a": "1"})})
    assert state_of(store, guild) == PluginState()
    assert database.execute("SELECT sum(runs) FROM plugin_usage").fetchone() == (1,)


def test_state_is_never_lost_between_writers_at_the_same_time(migrated_database, store, guild, channel, installed):
    def count_to(times):
        with closing(EventStore(Database(migrated_database))) as mine:
            done = 0
            while done < times:
                state = state_of(mine, guild)
                entries = {"count": str(int(state.entries.get("count", "0")) + 1)}
                run = remembering(installed, channel, entries)
                done += not save(mine, run, states={installed.id: PluginState(state.version, entries)}).stale
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count_to, [20] * 4)) == 80
    assert state_of(store, guild) == PluginState(80, {"count": "80"})


def judgement(plugin, failures=1, in_a_row=None, recovered=False, error="trap: why"):
    return Judgement(
        plugin=plugin,
        failures=failures,
        failures_in_a_row=failures if in_a_row is None else in_a_row,
        recovered=recovered,
        last_error=error if failures else "",
    )


@pytest.fixture
def judge(store, channel, installed):
    def judge(*arguments, plugin=installed, **fields):
        verdict = judgement(plugin, *arguments, **fields)
        batch = BatchRecord(runs=[record(plugin, channel)], judgements=[verdict])
        return store.record(batch, RULES).quarantined

    return judge


@pytest.fixture
def health(store, guild):
    return lambda: store.snapshot([guild], [], "engine").plugins[guild][0].health


def later(database, seconds):
    """Let the pause of the quarantine end."""
    database.execute("UPDATE plugin_health SET retry_at = retry_at - make_interval(secs => %s)", [seconds])


def test_failures_in_a_row_quarantine_across_batches(judge, health, installed, database):
    assert health() == PluginHealth()
    assert judge(2) == ()
    assert health() == PluginHealth(failing=True)
    (quarantined,) = judge(1, error="trap: the last")
    assert quarantined == QuarantinedPlugin(installed.id, "failed 3 times in a row", "trap: the last", 60, 1)
    assert health().quarantine_seconds == pytest.approx(60, abs=30)
    row = database.execute(
        "SELECT reason, last_error, quarantined_at <= now(), retry_at - quarantined_at FROM plugin_health"
    ).fetchone()
    assert row == ("failed 3 times in a row", "trap: the last", True, timedelta(seconds=60))


def test_the_failures_of_one_batch_can_quarantine(judge):
    assert [quarantined.reason for quarantined in judge(3)] == ["failed 3 times in a row"]


def test_a_good_run_resets_the_failures_in_a_row(judge, health):
    judge(2)
    assert judge(0, recovered=True) == ()
    assert health() == PluginHealth()
    assert judge(2) == ()


def test_failures_within_an_hour_quarantine_however_many_good_runs_are_between(judge):
    for _ in range(4):
        assert judge(1, recovered=True) == ()
    assert [quarantined.reason for quarantined in judge(1, recovered=True)] == ["failed 5 times within an hour"]


def test_failures_of_the_hour_before_do_not_count(judge, database):
    for _ in range(4):
        judge(1, recovered=True)
    database.execute("UPDATE plugin_health SET hour = hour - interval '1 hour'")
    assert judge(1, recovered=True) == ()


def test_each_pause_is_twice_as_long_up_to_the_longest(judge, database):
    pauses = [judge(3)[0].pause_seconds]
    for _ in range(3):
        later(database, 1_000)
        (quarantined,) = judge(1)
        pauses.append(quarantined.pause_seconds)
    assert pauses == [60, 120, 200, 200]
    assert quarantined.pauses == 4
    assert quarantined.reason == "failed 6 times in a row"


def test_a_failed_trial_after_an_hour_of_quarantine_is_quarantined_again(judge, database):
    for _ in range(5):
        judge(1, recovered=True, in_a_row=0)
    database.execute("UPDATE plugin_health SET hour = hour - interval '2 hours', retry_at = now()")
    assert [quarantined.reason for quarantined in judge(1)] == ["failed again when it was tried"]


def test_a_good_trial_ends_the_quarantine_and_resets_the_counts(judge, health, database):
    judge(4)
    later(database, 1_000)
    assert health().quarantine_seconds < 0
    assert judge(0, recovered=True) == ()
    assert health() == PluginHealth()
    assert judge(2) == ()
    assert database.execute("SELECT quarantined_at, reason, retry_at, pauses FROM plugin_health").fetchone() == (
        None, None, None, 0,
    )  # fmt: skip


def test_a_batch_that_was_under_way_does_not_make_the_pause_longer(judge, health):
    judge(3)
    assert judge(1) == ()
    assert health().quarantine_seconds == pytest.approx(60, abs=30)


def test_a_good_run_that_was_under_way_does_not_end_the_quarantine(judge, health):
    judge(3)
    judge(0, recovered=True)
    assert health().quarantine_seconds == pytest.approx(60, abs=30)


def test_failures_from_before_an_update_of_the_plugin_do_not_count(judge, store, database, guild, installed):
    database.execute("UPDATE plugins SET wasm_blob = %s", [wat.TRAPS])
    (updated,) = store.snapshot([guild], [], "engine").plugins[guild]
    judge(2, plugin=updated)
    assert judge(3, plugin=installed) == ()
    assert judge(0, recovered=True, plugin=installed) == ()
    assert [quarantined.reason for quarantined in judge(1, plugin=updated)] == ["failed 3 times in a row"]


def test_another_upload_of_the_plugin_starts_afresh(judge, health, store, database, guild):
    judge(3)
    database.execute("UPDATE plugins SET wasm_blob = %s", [wat.TRAPS])
    assert health() == PluginHealth()
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    assert judge(2, plugin=plugin) == ()


def test_simultaneous_failures_are_all_counted(migrated_database, channel, installed):
    rules = replace(RULES, most_in_a_row=10_000, most_in_an_hour=10_000)
    together = threading.Barrier(4)

    def fail(times):
        together.wait(timeout=60)
        with closing(EventStore(Database(migrated_database))) as mine:
            for _ in range(times):
                mine.record(BatchRecord(runs=[record(installed, channel)], judgements=[judgement(installed)]), rules)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, [20] * 4))
    with psycopg.connect(migrated_database) as connection:
        counts = connection.execute("SELECT failures_in_a_row, failures_in_hour FROM plugin_health").fetchone()
    assert counts[0] == 80
    assert counts[1] <= 80  # less if the hour ends meanwhile


def test_an_enabled_quarantined_plugin_differs_from_a_disabled_one(judge, store, database, guild):
    judge(3)
    database.execute("UPDATE plugins SET enabled = FALSE")
    later(database, 1_000)
    judge(0, recovered=True)
    assert store.snapshot([guild], [], "engine").plugins == {}
    assert database.execute("SELECT enabled FROM plugins").fetchone() == (False,)


def test_messages_that_a_quarantined_plugin_was_not_given_are_counted(store, database, installed):
    save(store, passed_over={installed.id: 3, uuid4(): 1})
    assert database.execute("SELECT plugin_id, outcome, runs FROM plugin_usage").fetchall() == [
        (installed.id, "quarantined", 3)
    ]


def test_fuel_sends_and_log_are_counted_by_guild_in_this_minute(store, database, guild, channel, installed):
    def minute():
        return database.execute("SELECT date_trunc('minute', now())").fetchone()

    def spend():
        database.execute("DELETE FROM guild_budgets")
        message = uuid4()
        sent = record(installed, channel, sending(installed, message, channel), message)
        save(store, record(installed, channel), sent)
        save(store, record(installed, channel))
        save(store, record(installed, channel, msgspec.structs.replace(OK, logs=("\u00fc", "abc"))))
        return store.snapshot([guild], [], "engine")

    began = None
    while began != minute():  # a minute may have ended meanwhile
        began, snapshot = minute(), spend()
    assert snapshot.spent == {guild: SpentBudget(fuel=40, sends=1, log_bytes=5)}
    assert 0 < snapshot.minute_seconds_left <= 60


def test_cpu_time_is_recorded_and_charged_where_it_is_worth_more_than_the_fuel(store, database, channel, shadowed):
    live, shadow = shadowed
    dear = msgspec.structs.replace(OK, logs=("line",), cpu_us=2_000)
    save(store, record(live, channel, dear), record(live, channel), shadow_runs=[record(shadow, channel, dear)])
    assert database.execute("SELECT fuel_used, cpu_us FROM plugin_runs").fetchall() == [(10, 2_000)]
    assert database.execute("SELECT fuel_used, cpu_us FROM plugin_shadow_runs").fetchall() == [(10, 2_000)]
    assert database.execute("SELECT runs, fuel_used, cpu_us FROM plugin_usage").fetchall() == [(2, 20, 2_000)]
    charged = 2 * 2_000 * FUEL_PER_CPU_MICROSECOND + 10
    assert database.execute("SELECT fuel_used FROM guild_budgets").fetchall() == [(charged,)]


def test_the_use_of_an_earlier_minute_does_not_count(store, database, guild, channel, installed):
    save(store, record(installed, channel))
    database.execute("UPDATE guild_budgets SET minute = minute - interval '1 minute'")
    assert store.snapshot([guild], [], "engine").spent == {}
    save(store, record(installed, channel))
    assert database.execute("SELECT fuel_used FROM guild_budgets").fetchone() == (10,)


def test_a_guild_that_is_over_its_budget_can_see_it(store, database, guild, channel, installed):
    save(
        store,
        delayed=[DelayedMessage(uuid4(), guild, "too many sends"), DelayedMessage(uuid4(), guild, "too many sends")],
    )
    save(store, record(installed, channel))
    assert database.execute(
        "SELECT guild_id, delayed, over_at <= now(), over_reason, fuel_used FROM guild_budgets"
    ).fetchall() == [(guild, 2, True, "too many sends", 10)]


def test_a_plugin_deleted_before_its_message_was_settled_is_named(store, database, pending):
    keys = [intent.key for intent in pending[0].result.intents]
    deliveries = [Delivery(key, DeliveryState.DELIVERED, "id") for key in keys]
    assert store.settle(deliveries) == frozenset()
    assert store.settle(deliveries) == frozenset()
    database.execute("DELETE FROM plugins")
    assert store.settle(deliveries) == frozenset(keys)


def test_settling_survives_a_connection_that_died(store, database, pending):
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guildhook'")
    store.settle([Delivery(pending[0].result.intents[0].key, DeliveryState.DELIVERED, "id")])
    assert database.execute("SELECT count(*) FROM plugin_intents WHERE state = 'delivered'").fetchone() == (1,)


def shadow_runs(database):
    return database.execute("SELECT message_id, version_id, outcome FROM plugin_shadow_runs").fetchall()


def test_a_shadow_is_there_beside_the_live_version_with_the_same_settings_and_state(
    store, database, guild, channel, installed, shadowed
):
    save(store, remembering(installed, channel, {}), states={installed.id: PluginState(0, {"key": "value"})})
    other = install_plugin(database, guild, "other", wat.SILENT, {}, [])
    live, beside, shadow = store.snapshot([guild], [], "engine").plugins[guild]
    assert [plugin.id for plugin in (live, beside, shadow)] == [installed.id, other, installed.id]
    assert [plugin.shadow for plugin in (live, beside, shadow)] == [False, False, True]
    assert (live.wasm_sha256, shadow.wasm_sha256) == (sha256(wat.SILENT).digest(), sha256(wat.TRAPS).digest())
    assert beside.version_id is None
    assert live.version_id != shadow.version_id
    same = {"wasm_sha256": b"", "version_id": None, "shadow": False}
    assert replace(live, **same) == replace(shadow, **same)
    assert shadow.state == PluginState(1, {"key": "value"})


def test_quarantine_is_of_the_live_version_alone(judge, store, guild, installed, database):
    add_version(database, installed.id, wat.SILENT, shadow=True)
    judge(10)
    live, shadow = store.snapshot([guild], [], "engine").plugins[guild]
    assert (live.health.failing, shadow.health) == (True, PluginHealth())


@pytest.mark.parametrize("state", ["expected", "compiling", "refused"])
def test_a_version_that_is_not_ready_shadows_nothing(store, database, guild, installed, state, compiles):
    add_version(database, installed.id, wat.TRAPS, state, shadow=True)
    assert [plugin.shadow for plugin in store.snapshot([guild], [], "engine").plugins[guild]] == [False]
    assert compiles.uncompiled("engine", bytes(32)) == [installed.wasm_sha256]


def test_a_version_of_another_plugin_shadows_nothing(store, database, guild, installed):
    other = install_plugin(database, guild, "other", wat.SILENT, {}, [])
    version_id = add_version(database, other, wat.TRAPS)
    database.execute("UPDATE plugins SET shadow_version_id = %s WHERE id = %s", [version_id, installed.id])
    assert not any(plugin.shadow for plugin in store.snapshot([guild], [], "engine").plugins[guild])


def test_wasm_that_was_written_into_plugins_directly_is_no_version(store, database, guild, installed):
    add_version(database, installed.id, wat.SILENT, live=True)
    database.execute("UPDATE plugins SET wasm_blob = %s", [wat.TRAPS])
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    assert (plugin.wasm_sha256, plugin.version_id) == (sha256(wat.TRAPS).digest(), None)


def test_a_plugin_without_a_live_version_is_neither_run_nor_compiled(store, database, guild, compiles):
    plugin_id = install_plugin(database, guild, "new", b"", {}, [])
    add_version(database, plugin_id, wat.SILENT)
    assert store.snapshot([guild], [], "engine").plugins == {}
    assert compiles.uncompiled("engine", bytes(32)) == []
    assert store.wasm([sha256(b"").digest()]) == {}


def test_secrets_are_read_as_they_are_sealed_with_their_plugin_alone(store, database, guild, installed):
    other = install_plugin(database, guild, "other", wat.SILENT, {}, [])
    for name, sealed in [("api_key", b"\0sealed\xff"), ("token", b"")]:
        database.execute("INSERT INTO plugin_secrets VALUES (%s, %s, %s)", [installed.id, name, sealed])
    found = {plugin.id: plugin.sealed for plugin in store.snapshot([guild], [], "engine").plugins[guild]}
    assert found == {installed.id: {"api_key": b"\0sealed\xff", "token": b""}, other: {}}


def test_a_run_is_recorded_with_its_version_fuel_limit_and_calls(store, database, guild, channel, installed):
    version_id = add_version(database, installed.id, wat.SILENT, live=True)
    (plugin,) = store.snapshot([guild], [], "engine").plugins[guild]
    calls = (HostFunctionCall("get-settings", None), HostFunctionCall("send-message", "the content is empty"))
    save(store, record(plugin, channel, msgspec.structs.replace(OK, logs=("line",), calls=calls)))
    assert database.execute("SELECT version_id, fuel_limit, calls, message FROM plugin_runs").fetchall() == [
        (version_id, 1_000, [["get-settings", None], ["send-message", "the content is empty"]], None)
    ]


@pytest.mark.parametrize(("keeps", "kept"), [(True, "{}"), (False, None), (None, None)])
def test_messages_are_kept_where_the_guild_wants_that(
    store, database, guild, channel, installed, shadowed, keeps, kept
):
    if keeps is not None:
        database.execute("INSERT INTO guild_settings (guild_id, keep_content) VALUES (%s, %s)", [guild, keeps])
    live, shadow = store.snapshot([guild], [], "engine").plugins[guild]
    logged = msgspec.structs.replace(OK, logs=("line",))
    save(store, record(live, channel, logged), shadow_runs=[record(shadow, channel, logged)])
    assert database.execute("SELECT message FROM plugin_runs").fetchall() == [(kept,)]
    assert database.execute("SELECT message FROM plugin_shadow_runs").fetchall() == [(kept,)]


def test_a_shadow_run_is_recorded_with_its_intents_and_sends_nothing(store, database, channel, shadowed):
    _, shadow = shadowed
    run = record(shadow, channel, sending(shadow, message := uuid4(), channel), message)
    assert save(store, shadow_runs=[run]) == RecordedBatch()
    assert shadow_runs(database) == [(message, shadow.version_id, "ok")]
    assert database.execute("SELECT intents, fuel_used, fuel_limit, seed FROM plugin_shadow_runs").fetchone() == (
        [{"kind": "send_message", "channel_id": str(channel), "content": "hello 0"}],
        10,
        1_000,
        7,
    )
    for table in ("plugin_runs", "plugin_intents", "plugin_usage", "plugin_health", "plugin_state"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    # The intents of the shadow are recorded, as its log is.
    assert database.execute("SELECT fuel_used, sends, log_bytes FROM guild_budgets").fetchall() == [(10, 0, 7)]


def test_a_shadows_run_with_nothing_to_say_leaves_no_row(store, database, channel, shadowed):
    save(store, shadow_runs=[record(shadowed[1], channel)])
    assert shadow_runs(database) == []
    assert database.execute("SELECT fuel_used FROM guild_budgets").fetchall() == [(10,)]


def test_a_shadows_run_is_recorded_once_and_the_next_delivery_knows_it(store, database, guild, channel, shadowed):
    _, shadow = shadowed
    run = record(shadow, channel, msgspec.structs.replace(OK, outcome=Outcome.TRAP))
    for _ in range(2):
        assert save(store, shadow_runs=[run]) == RecordedBatch()
    assert len(shadow_runs(database)) == 1
    found = store.snapshot([guild], [run.message.id], "engine").shadow_runs
    assert found == {(run.message.id, shadow.version_id)}


def test_a_shadow_run_is_not_recorded_if_its_plugin_lost_the_race_for_the_state(store, database, channel, shadowed):
    live, shadow = shadowed
    save(store, remembering(live, channel, {}), states={live.id: PluginState(0, {"by": "winner"})})
    trap = msgspec.structs.replace(OK, outcome=Outcome.TRAP)
    states = {live.id: PluginState(0, {"by": "loser"})}
    recorded = save(store, remembering(live, channel, {}), states=states, shadow_runs=[record(shadow, channel, trap)])
    assert recorded.stale == {live.id}
    assert shadow_runs(database) == []


def test_a_shadow_of_a_plugin_that_is_deleted_meanwhile_disturbs_nobody(store, database, guild, channel, shadowed):
    other_id = install_plugin(database, guild, "other", wat.SILENT, {}, [])
    other = next(p for p in store.snapshot([guild], [], "engine").plugins[guild] if p.id == other_id)
    database.execute("DELETE FROM plugins WHERE id = %s", [shadowed[1].id])
    trap = msgspec.structs.replace(OK, outcome=Outcome.TRAP)
    assert (
        save(store, record(other, channel, trap), shadow_runs=[record(shadowed[1], channel, trap)]) == RecordedBatch()
    )
    assert database.execute("SELECT plugin_id FROM plugin_runs").fetchall() == [(other_id,)]
    assert shadow_runs(database) == []
