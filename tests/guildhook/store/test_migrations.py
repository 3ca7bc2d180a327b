from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from guildhook.errors import InfrastructureError
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


def test_the_chat_servers_own_tables_stay_as_they_are(empty_database):
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE guilds (id UUID PRIMARY KEY, name VARCHAR(100) NOT NULL)")
        connection.execute(
            """CREATE TABLE channels (id UUID PRIMARY KEY, guild_id UUID REFERENCES guilds(id),
                                      name VARCHAR(64) NOT NULL, topic TEXT)"""
        )
        connection.execute("INSERT INTO guilds VALUES ('6a1d0000-0000-4000-8000-000000000001', 'home')")
    before = columns(empty_database, "guilds"), columns(empty_database, "channels")
    assert migrate(Database(empty_database), MIGRATIONS) == ALL
    assert (columns(empty_database, "guilds"), columns(empty_database, "channels")) == before
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT name FROM guilds").fetchall() == [("home",)]


def test_two_migrators_at_once_apply_each_step_once(empty_database):
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda _: migrate(Database(empty_database), MIGRATIONS), range(2)))
    assert sorted(applied) == [[], ALL]


def test_a_step_that_fails_leaves_nothing_of_itself(empty_database, tmp_path):
    (tmp_path / "1_good.sql").write_text("CREATE TABLE good (id INT);")
    (tmp_path / "2_bad.sql").write_text("CREATE TABLE bad (id INT); SELECT no_such_function();")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrate(Database(empty_database), tmp_path)
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
        assert connection.execute("SELECT * FROM seen").fetchone() == ("5s", "10min", 1)


def test_a_database_out_of_reach_is_named_without_the_password():
    url = "postgresql://someone:s3cret@127.0.0.1:1/chat"
    with pytest.raises(InfrastructureError) as raised:
        migrate(Database(url), MIGRATIONS)
    text = str(raised.value)
    assert "127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)" in text
    assert "refused" in text
    assert "s3cret" not in text
    assert "\n" not in text
