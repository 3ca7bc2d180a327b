import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from guildhook.errors import InfrastructureError, MigrationError
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook_local.stack import MIGRATIONS

ALL = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))


def columns(url, table):
    with psycopg.connect(url) as connection:
        return connection.execute(
            """SELECT column_name, data_type, character_maximum_length, is_nullable, column_default
               FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position""",
            [table],
        ).fetchall()


def test_an_empty_database_is_brought_up_to_date_once(empty_database):
    assert migrate(Database(empty_database), MIGRATIONS) == ALL
    assert migrate(Database(empty_database), MIGRATIONS) == []


def test_the_plugins_table_is_upstreams_column_for_column(empty_database):
    migrate(Database(empty_database), MIGRATIONS)
    assert columns(empty_database, "plugins")[:10] == [
        ("id", "uuid", None, "NO", "gen_random_uuid()"),
        ("guild_id", "uuid", None, "NO", None),
        ("name", "character varying", 64, "NO", None),
        ("description", "text", None, "YES", None),
        ("wasm_blob", "bytea", None, "NO", None),
        ("config", "jsonb", None, "NO", "'{}'::jsonb"),
        ("enabled", "boolean", None, "NO", "true"),
        ("permissions", "jsonb", None, "NO", "'[]'::jsonb"),
        ("created_at", "timestamp with time zone", None, "NO", "now()"),
        ("updated_at", "timestamp with time zone", None, "NO", "now()"),
    ]
    with psycopg.connect(empty_database) as connection:
        (definition,) = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_plugins_guild'"
        ).fetchone()
        assert definition.endswith("ON public.plugins USING btree (guild_id)")
        (rule,) = connection.execute(
            """SELECT pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = 'plugins'::regclass AND contype = 'f'"""
        ).fetchone()
        assert rule == "FOREIGN KEY (guild_id) REFERENCES guilds(id) ON DELETE CASCADE"


def test_two_migrators_at_once_apply_each_step_once(empty_database):
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda _: migrate(Database(empty_database), MIGRATIONS), range(2)))
    assert sorted(applied) == [[], ALL]


def test_a_step_that_fails_leaves_nothing_of_itself(empty_database, tmp_path):
    (tmp_path / "1_good.sql").write_text("CREATE TABLE good (id INT);")
    (tmp_path / "2_bad.sql").write_text("CREATE TABLE bad (id INT); SELECT no_such_function();")
    with pytest.raises(MigrationError) as raised:
        migrate(Database(empty_database), tmp_path)
    assert str(raised.value) == "migration 2_bad failed: function no_such_function() does not exist"
    assert columns(empty_database, "good")
    assert columns(empty_database, "bad") == []
    (tmp_path / "2_bad.sql").write_text("CREATE TABLE bad (id INT);")
    assert migrate(Database(empty_database), tmp_path) == ["2_bad"]


def test_steps_run_under_an_advisory_lock_and_timeouts(empty_database, tmp_path):
    (tmp_path / "1_settings.sql").write_text(
        """CREATE TABLE seen AS SELECT current_setting('lock_timeout'), current_setting('statement_timeout') AS s,
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid());"""
    )
    migrate(Database(empty_database), tmp_path)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT * FROM seen").fetchone() == ("2s", "10min", 1)


def test_an_error_quotes_nothing_that_the_tables_hold(empty_database, tmp_path):
    (tmp_path / "1_rows.sql").write_text("CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('s3cret');")
    migrate(Database(empty_database), tmp_path)
    (tmp_path / "2_bad.sql").write_text("ALTER TABLE words ALTER word TYPE UUID USING word::uuid;")
    with pytest.raises(MigrationError) as raised:
        migrate(Database(empty_database), tmp_path)
    assert str(raised.value) == "migration 2_bad failed: InvalidTextRepresentation, SQLSTATE 22P02"


def test_a_migration_that_waits_too_long_for_another_migrator_fails_with_the_reason(empty_database, tmp_path):
    (tmp_path / "1_lock.sql").write_text(
        "CREATE TABLE lock AS SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND granted;"
    )
    migrate(Database(empty_database), tmp_path)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(classid::bigint << 32 | objid::bigint) FROM lock")
        with pytest.raises(InfrastructureError, match="another migrator was still at work"):
            migrate(Database(empty_database), tmp_path, wait_seconds=0)
    assert migrate(Database(empty_database), tmp_path) == []


def test_a_migrator_killed_half_way_leaves_the_rest_to_the_next(empty_database, tmp_path):
    (tmp_path / "1_good.sql").write_text("CREATE TABLE good (id INT);")
    (tmp_path / "2_slow.sql").write_text("CREATE TABLE slow (id INT); SELECT pg_sleep(3600);")
    program = f"""
from pathlib import Path
from guildhook.store import Database
from guildhook.store.migrations import migrate
migrate(Database({empty_database!r}), Path({str(tmp_path)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", program]) as migrator:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            sleeping = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            while not connection.execute(sleeping).fetchall():
                assert migrator.poll() is None
                time.sleep(0.05)
        migrator.kill()
    (tmp_path / "2_slow.sql").write_text("CREATE TABLE slow (id INT);")
    # The server notices that the client is gone.
    assert migrate(Database(empty_database), tmp_path) == ["2_slow"]
    assert columns(empty_database, "slow")


INDEX_WITHOUT_A_TRANSACTION = """-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS idx_numbers;
CREATE UNIQUE INDEX CONCURRENTLY idx_numbers ON numbers(number);
"""


def test_an_index_on_a_table_in_use_is_built_while_others_wait_to_migrate(empty_database, tmp_path):
    (tmp_path / "1_numbers.sql").write_text("CREATE TABLE numbers (number INT);")
    (tmp_path / "2_index.sql").write_text(INDEX_WITHOUT_A_TRANSACTION)
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(Database(empty_database), tmp_path), range(4)))
    assert sorted(applied) == [[], [], [], ["1_numbers", "2_index"]]


def test_an_index_that_failed_is_built_from_the_beginning(empty_database, tmp_path):
    (tmp_path / "1_numbers.sql").write_text("CREATE TABLE numbers (number INT); INSERT INTO numbers VALUES (1), (1);")
    (tmp_path / "2_index.sql").write_text(INDEX_WITHOUT_A_TRANSACTION)
    with pytest.raises(MigrationError, match="migration 2_index failed: UniqueViolation"):
        migrate(Database(empty_database), tmp_path)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_numbers'::regclass"
        assert connection.execute(valid).fetchone() == (False,)
        connection.execute("DELETE FROM numbers")
        assert migrate(Database(empty_database), tmp_path) == ["2_index"]
        assert connection.execute(valid).fetchone() == (True,)


def test_the_step_after_one_without_a_transaction_has_the_lock_timeout_again(empty_database, tmp_path):
    (tmp_path / "1_none.sql").write_text(
        "-- transactional: false\nCREATE TABLE seen AS SELECT current_setting('lock_timeout') AS setting;"
    )
    (tmp_path / "2_one.sql").write_text("INSERT INTO seen SELECT current_setting('lock_timeout');")
    migrate(Database(empty_database), tmp_path)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT setting FROM seen").fetchall() == [("0",), ("2s",)]


@pytest.fixture
def busy(empty_database, tmp_path):
    """A step that needs a table, and the transaction of another connection that uses the table."""
    (tmp_path / "1_numbers.sql").write_text("CREATE TABLE numbers (number INT);")
    migrate(Database(empty_database), tmp_path)
    (tmp_path / "2_column.sql").write_text("CREATE TABLE other (number INT); ALTER TABLE numbers ADD COLUMN name TEXT;")
    with psycopg.connect(empty_database) as user:
        user.execute("SELECT * FROM numbers")
        yield user


def test_a_step_that_gets_no_lock_is_tried_again_and_delays_no_reader_meanwhile(empty_database, tmp_path, busy):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        with psycopg.connect(empty_database) as reader:
            reader.execute("SET lock_timeout = '1s'")
            assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
        if len(pauses) == 2:
            busy.rollback()

    assert migrate(Database(empty_database), tmp_path, pause=pause) == ["2_column"]
    assert pauses == [1, 2]
    assert migrate(Database(empty_database), tmp_path) == []


def test_a_step_that_never_gets_its_lock_fails_with_the_remedy(empty_database, tmp_path, busy):
    # No time passes in the pauses. The one of 4 s would end after the deadline.
    pauses = []
    with pytest.raises(MigrationError) as raised:
        migrate(Database(empty_database), tmp_path, deadline=time.monotonic() + 8, pause=pauses.append)
    assert 4 not in pauses
    assert str(raised.value).startswith("migration 2_column failed: it got no lock within 2s, in ")
    assert "end the transactions that use its tables (pg_stat_activity shows them)" in str(raised.value)
    assert busy.info.transaction_status is TransactionStatus.INTRANS
    busy.rollback()
    assert migrate(Database(empty_database), tmp_path) == ["2_column"]


def test_a_step_that_does_not_end_in_time_leaves_nothing_of_itself(empty_database, tmp_path):
    (tmp_path / "1_slow.sql").write_text("CREATE TABLE slow (id INT); SELECT pg_sleep(3600);")
    with pytest.raises(MigrationError, match=r"^migration 1_slow failed: it did not end in the time that was left"):
        migrate(Database(empty_database), tmp_path, deadline=time.monotonic() + 3)
    (tmp_path / "1_slow.sql").write_text("CREATE TABLE slow (id INT);")
    # The server notices that the client is gone.
    assert migrate(Database(empty_database), tmp_path) == ["1_slow"]


def test_limits_of_the_database_do_not_hold_for_steps(empty_database, tmp_path):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        ((name,),) = connection.execute("SELECT current_database()")
        connection.execute(f'ALTER DATABASE "{name}" SET statement_timeout = 100')
    (tmp_path / "1_slow.sql").write_text("SELECT pg_sleep(0.2);")
    assert migrate(Database(empty_database), tmp_path) == ["1_slow"]


def test_a_database_out_of_reach_is_named_without_the_password():
    url = "postgresql://someone:s3cret@127.0.0.1:1/chat"
    with pytest.raises(InfrastructureError) as raised:
        migrate(Database(url), MIGRATIONS)
    text = str(raised.value)
    assert "127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)" in text
    assert "refused" in text
    assert "s3cret" not in text
    assert "\n" not in text
