from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import psycopg
import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import Delivery, DeliveryState
from guildhook.store import Database
from guildhook.store.admin import AdminStore
from guildhook.store.upkeep import UpkeepStore
from guildhook_local.direct_install import install_plugin
from run_records import record, save, sending
from versions import add_plugin, announce_wasm


def age(database, table, column, interval):
    database.execute(f"UPDATE {table} SET {column} = now() - interval '{interval}'")


def test_a_delivery_that_is_pending_for_long_is_taken_once(database, guild, pending, upkeep):
    assert upkeep.take_due(60, 100) == []
    age(database, "plugin_intents", "updated_at", "2 minutes")
    first, second = upkeep.take_due(60, 2), upkeep.take_due(60, 100)
    assert {due[0] for due in first + second} == {guild}
    assert {message for _, message in first + second} == {run.message.id for run in pending}
    assert upkeep.take_due(60, 100) == []


def test_an_intent_that_is_pending_for_too_long_is_refused_with_the_last_reason(store, database, pending, upkeep):
    key = pending[0].result.intents[0].key
    store.settle([Delivery(key, DeliveryState.PENDING, "HTTP 500")])
    assert upkeep.give_up(24, 100) == []
    age(database, "plugin_runs", "created_at", "25 hours")
    given_up = [upkeep.give_up(24, 4), upkeep.give_up(24, 100)]
    assert [len(some) for some in given_up] == [4, 2]
    assert {(g.key, g.message_id, g.guild_id, g.plugin_id, str(g.run_id)) for some in given_up for g in some} == {
        (intent.key, run.message.id, run.plugin.guild_id, run.plugin.id, run.id)
        for run in pending
        for intent in run.result.intents
    }
    row = database.execute("SELECT state, detail FROM plugin_intents WHERE key = %s", [key]).fetchone()
    assert row == ("refused", "EXPIRED HTTP 500")


def test_old_rows_are_deleted_in_batches_the_oldest_first(database, pending, upkeep):
    assert (upkeep.forget_runs(30, 2), upkeep.forget_usage(90, 2), upkeep.forget_budgets(90, 2)) == (0, 0, 0)
    for table, column in [("plugin_runs", "created_at"), ("plugin_usage", "hour"), ("guild_budgets", "minute")]:
        age(database, table, column, "91 days")
    young = pending[0].message.id
    database.execute("UPDATE plugin_runs SET created_at = now() WHERE message_id = %s", [young])
    assert (upkeep.forget_runs(30, 1), upkeep.forget_runs(30, 100), upkeep.forget_runs(30, 100)) == (1, 1, 0)
    assert (upkeep.forget_usage(90, 100), upkeep.forget_usage(90, 100)) == (1, 0)
    assert (upkeep.forget_budgets(90, 100), upkeep.forget_budgets(90, 100)) == (1, 0)
    assert database.execute("SELECT message_id FROM plugin_runs").fetchall() == [(young,)]
    assert database.execute("SELECT count(*) FROM plugin_intents").fetchone() == (2,)


def note_deletions(store, database, *runs):
    """Note that the messages of runs were deleted, so long ago that no batch is under way that has not read it."""
    store.note_deletions([(run.plugin.guild_id, run.message.id) for run in runs])
    database.execute("UPDATE deleted_messages SET forget_at = now() WHERE forget_at IS NOT NULL")


def test_deleted_messages_are_forgotten_in_batches_and_once(store, database, pending, upkeep):
    store.note_deletions([(run.plugin.guild_id, run.message.id) for run in pending])
    assert upkeep.forget_messages(100) == (0, 0)
    note_deletions(store, database, *pending)
    assert [upkeep.forget_messages(2) for _ in range(3)] == [(2, 2), (1, 1), (0, 0)]
    assert database.execute("SELECT count(*) FROM plugin_intents").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM deleted_messages").fetchone() == (3,)


def test_a_run_that_is_recorded_after_its_message_was_deleted_is_forgotten(store, database, channel, installed, upkeep):
    run = record(installed, channel, sending(installed, message := uuid4(), channel), message)
    note_deletions(store, database, run)
    # A batch that has read before the deletion records after it.
    save(store, run)
    assert upkeep.forget_messages(100) == (1, 1)


def test_a_row_that_another_transaction_holds_is_forgotten_later(store, database, pending, upkeep, migrated_database):
    first, second, _ = pending
    note_deletions(store, database, first, second)
    with psycopg.connect(migrated_database) as other:
        other.execute("SELECT FROM plugin_runs WHERE id = %s FOR UPDATE", [first.id])
        assert [upkeep.forget_messages(100) for _ in range(2)] == [(1, 1), (0, 0)]
    assert upkeep.forget_messages(100) == (1, 1)


def test_a_guild_deletes_no_row_of_another(store, database, guild, channel, pending, upkeep):
    run = pending[0]
    store.settle([Delivery(run.result.intents[0].key, DeliveryState.DELIVERED, reply := str(uuid4()))])
    other = database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]
    install_plugin(database, other, "silent", wat.SILENT, {}, [])
    store.note_deletions([(other, run.message.id), (other, UUID(reply))])
    database.execute("UPDATE deleted_messages SET forget_at = now()")
    assert upkeep.forget_messages(100) == (2, 0)
    assert database.execute("SELECT count(*) FROM plugin_intents").fetchone() == (6,)
    assert store.snapshot([guild, other], [run.message.id], "engine").deleted == {(other, run.message.id)}


def test_messages_are_forgotten_by_indexes(store, database, pending):
    """A table with few rows is scanned whatever its indexes, so that scans are made expensive."""
    database.execute("SET enable_seqscan = off")
    statement = UpkeepStore.statements["forget_messages"].query
    plan = "\n".join(line for (line,) in database.execute(b"EXPLAIN " + statement, {"limit": 1_000}).fetchall())
    assert "Seq Scan" not in plan
    for index in ("idx_deleted_messages_due", "plugin_runs_message_id_plugin_id_key", "idx_plugin_intents_sent"):
        assert index in plan


def test_sweeps_at_the_same_time_adopt_each_plugin_once(system, query):
    guild = system.add_guild()
    for number in range(30):
        system.install(guild, f"plugin {number}", wat.logs(f"number {number}"))

    def adopt_all(_):
        with closing(UpkeepStore(system.database)) as upkeep:
            adopted = []
            while some := upkeep.adopt(limit=4):
                adopted += some
            return adopted

    with ThreadPoolExecutor(3) as pool:
        adopted = [version_id for some in pool.map(adopt_all, range(3)) for version_id in some]
    # A sweep skips rows that another one has locked.
    assert len(set(adopted)) == len(adopted) == 30
    assert query("SELECT count(*), max(number) FROM plugin_versions") == [(30, 1)]
    assert query("SELECT count(DISTINCT live_version_id) FROM plugins") == [(30,)]


def test_a_plugin_of_the_api_is_nothing_to_adopt(system):
    plugin_id = add_plugin(system)
    version_id = announce_wasm(system, wat.SILENT, plugin_id)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("UPDATE plugins SET wasm_blob = %s, live_version_id = %s", [wat.SILENT, version_id])
    with closing(UpkeepStore(system.database)) as upkeep:
        assert upkeep.adopt(limit=10) == []


def test_a_server_that_does_not_answer_is_an_infrastructure_error():
    with closing(UpkeepStore(Database("postgresql://nobody@127.0.0.1:1/chat"))) as upkeep:
        for work in (lambda: upkeep.adopt(1), lambda: upkeep.forget_audit(1, 1)):
            with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:1"):
                work()


def test_request_counts_are_deleted_after_a_day(upkeep, database, migrated_database):
    old, new = uuid4(), uuid4()
    with closing(AdminStore(Database(migrated_database))) as admin:
        admin.charge(old, 1)
        database.execute("UPDATE admin_requests SET minute = minute - interval '25 hours'")
        admin.charge(new, 1)
    assert [upkeep.forget_requests(24, 100), upkeep.forget_requests(24, 100)] == [1, 0]
    assert database.execute("SELECT actor_id FROM admin_requests").fetchall() == [(str(new),)]
