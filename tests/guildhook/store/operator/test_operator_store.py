import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import wat
from guildhook.errors import InfrastructureError
from guildhook.store import Database
from guildhook.store.admin.audit_log import AuditedChange
from guildhook.store.operator import OperatorStore
from guildhook_local.direct_install import install_plugin

ENDED = AuditedChange("olga", "Olga", "quarantine.ended", {"reason": "it is mended"})
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def quarantined(database, guild):
    """The ids of two plugins in quarantine, in their order."""
    plugins = [install_plugin(database, guild, name, wat.TRAPS, {}, []) for name in ("first", "second")]
    database.execute(
        "INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error, "
        "quarantined_at, reason, retry_at) "
        "SELECT id, wasm_sha256, 10, now(), 10, 'trap', now(), 'failed', now() FROM plugins"
    )
    return sorted(plugins)


@contextmanager
def held_by_a_batch(url, plugin_id):
    """Hold the row of a plugin's health as the statement does that records a batch. Yields a function that ends it."""
    with psycopg.connect(url) as batch:
        batch.execute("SELECT FROM plugin_health WHERE plugin_id = %s FOR UPDATE", [plugin_id])
        yield batch.commit


def wait_for_a_waiting_statement(database):
    deadline = time.monotonic() + 30
    while not database.execute(WAITING).fetchall():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("alone", [True, False])
def test_a_lift_waits_for_a_batch_that_holds_a_row(migrated_database, database, quarantined, alone):
    with (
        closing(OperatorStore(Database(migrated_database))) as store,
        ThreadPoolExecutor(1) as pool,
        held_by_a_batch(migrated_database, quarantined[0]) as end_batch,
    ):
        lift = partial(store.lift_quarantine, quarantined[0]) if alone else partial(store.lift_quarantines, 2, 100)
        lifting = pool.submit(lambda: lift(ENDED))
        wait_for_a_waiting_statement(database)
        end_batch()
        lifted = lifting.result()
    assert lifted == (True if alone else quarantined)
    left = database.execute("SELECT plugin_id FROM plugin_health").fetchall()
    assert left == ([(quarantined[1],)] if alone else [])


def test_a_lift_that_waits_for_too_long_is_an_error(migrated_database, database, quarantined):
    impatient = make_conninfo(migrated_database, options="-c lock_timeout=50ms")
    with (
        closing(OperatorStore(Database(impatient))) as store,
        held_by_a_batch(migrated_database, quarantined[0]),
        pytest.raises(InfrastructureError, match="lock timeout"),
    ):
        store.lift_quarantine(quarantined[0], ENDED)
    assert database.execute("SELECT count(*) FROM plugin_health").fetchone() == (2,)


def test_a_plugin_that_is_not_quarantined_is_not_lifted(migrated_database, database, quarantined):
    database.execute("UPDATE plugin_health SET quarantined_at = NULL, reason = NULL, retry_at = NULL")
    with closing(OperatorStore(Database(migrated_database))) as store:
        assert store.lift_quarantine(quarantined[0], ENDED) is False
    assert database.execute("SELECT count(*) FROM plugin_audit").fetchone() == (0,)
