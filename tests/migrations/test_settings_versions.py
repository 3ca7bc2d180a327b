"""Tests the triggers that keep the settings of plugins, whoever saves them."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

import wat
from guildhook.store import Database
from guildhook.store.admin import (
    GUILD_SETTINGS_BYTES,
    MOST_SETTINGS_VERSIONS,
    AdminStore,
    AuditedChange,
    PluginKey,
)
from guildhook.store.migrations import migrate
from guildhook.store.upkeep import UpkeepStore
from guildhook_local.stack import MIGRATIONS
from versions import add_version

FILES = sorted(MIGRATIONS.glob("*.sql"))
FIRST = "20261130000000_add_settings_versions"
CHANGE = AuditedChange("1", "Ada", "plugin.changed", {"settings": {"changed": ["a"]}})
SCHEMA = {"type": "object", "properties": {"token": {"type": "string", "writeOnly": True}, "a": {}}}


@pytest.fixture
def database(migrated_database):
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(migrated_database, database):
    with closing(AdminStore(Database(migrated_database))) as store:
        yield store


@pytest.fixture
def key(store) -> PluginKey:
    key = PluginKey(uuid4(), uuid4())
    assert store.create_plugin(key, "Greeter", "", 50, AuditedChange("1", "Ada", "plugin.created", {}))
    return key


def saved(database, plugin_id: UUID, columns: str = "number, settings") -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM plugin_settings_versions WHERE plugin_id = %s ORDER BY number"
    return database.execute(query, [plugin_id]).fetchall()


def write(database, plugin_id: UUID, settings: object) -> None:
    """Save settings as the chat server's own code does."""
    database.execute("UPDATE plugins SET config = %s WHERE id = %s", [Jsonb(settings), plugin_id])


GO_LIVE_BEFORE = """
WITH changed AS (
    UPDATE plugins AS plugin
    SET wasm_blob = version.wasm_blob,
        previous_version_id = plugin.live_version_id,
        live_version_id = version.id,
        config = coalesce(%(settings)s, plugin.config),
        revision = plugin.revision + 1
    FROM plugin_versions AS version
    WHERE plugin.id = %(plugin_id)s AND plugin.guild_id = %(guild_id)s AND version.id = %(version_id)s
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT %(guild_id)s, id, %(actor_id)s, %(actor_name)s, %(action)s, %(detail)s FROM changed
)
SELECT id FROM changed
"""
"""The statement of the release before the triggers, without its checks."""


def go_live_before(connection, key: PluginKey, version_id: UUID, settings: object, change: AuditedChange) -> None:
    given = {"version_id": version_id, "settings": None if settings is None else Jsonb(settings)}
    assert connection.execute(GO_LIVE_BEFORE, {**key.parameters(), **change.parameters(), **given}).fetchall()


def insert(database, guild_id: UUID | None = None, settings: object = None) -> UUID:
    guild_id = guild_id or uuid4()
    database.execute("INSERT INTO guilds (id) VALUES (%s) ON CONFLICT DO NOTHING", [guild_id])
    statement = "INSERT INTO plugins (guild_id, name, wasm_blob, config) VALUES (%s, 'bot', '', %s) RETURNING id"
    ((plugin_id,),) = database.execute(statement, [guild_id, Jsonb(settings or {})]).fetchall()
    return UUID(str(plugin_id))


def test_each_save_is_kept_with_the_person_or_the_database_role(store, database, key):
    assert store.change_plugin(key, 1, {"settings": {"a": 1}}, CHANGE)
    write(database, key.plugin_id, {"a": 2})
    assert store.change_plugin(key, 2, {"settings": {"a": 3}}, AuditedChange("2", "Bob", "plugin.changed", {}))
    ((role,),) = database.execute("SELECT session_user").fetchall()
    assert saved(database, key.plugin_id, "number, settings, actor_id, actor_name, database_role") == [
        (1, {}, "1", "Ada", None),
        (2, {"a": 1}, "1", "Ada", None),
        (3, {"a": 2}, None, None, role),
        (4, {"a": 3}, "2", "Bob", None),
    ]


def test_a_save_that_changes_nothing_adds_no_version(store, database, key):
    for revision in (1, 2):
        assert store.change_plugin(key, revision, {"settings": {"a": 1, "b": [True]}, "name": f"{revision}"}, CHANGE)
    write(database, key.plugin_id, {"b": [True], "a": 1.0})
    database.execute("UPDATE plugins SET name = 'other', updated_at = now()")
    assert [number for number, _ in saved(database, key.plugin_id)] == [1, 2]
    write(database, key.plugin_id, {"b": [1], "a": 1})
    assert [number for number, _ in saved(database, key.plugin_id)] == [1, 2, 3]


def test_a_transaction_of_another_person_in_the_same_instant_lends_no_name(database, key):
    """The audit log's entry of the same transaction counts, not one of the same time."""
    with database.transaction():
        write(database, key.plugin_id, {"a": 1})
        # This connection commits first, with an entry for the time at which the transaction above began.
        ((at,),) = database.execute("SELECT now()").fetchall()
        with psycopg.connect(make_conninfo(database.info.dsn), autocommit=True) as other:
            other.execute(
                "INSERT INTO plugin_audit (guild_id, plugin_id, at, actor_id, actor_name, action, detail) "
                "VALUES (%s, %s, %s, '9', 'Eve', '', '{}')",
                [key.guild_id, key.plugin_id, at],
            )
        write(database, key.plugin_id, {"a": 2})
    assert saved(database, key.plugin_id, "actor_id") == [("1",), (None,), (None,)]


@pytest.mark.parametrize("settings", [[], [1], "text", 7, None, True, {"": None}, {"a": {"b": [None]}}])
def test_no_value_of_the_column_makes_a_direct_write_fail(database, settings):
    plugin_id = insert(database, settings={"a": 1})
    write(database, plugin_id, settings)
    assert saved(database, plugin_id)[-1] == (2, settings if isinstance(settings, dict) else {})


def test_settings_that_are_too_large_are_not_kept_but_their_save_is(database):
    plugin_id = insert(database)
    write(database, plugin_id, {"a": "x" * 200_000})
    write(database, plugin_id, {"a": "y" * 200_000})
    database.execute("UPDATE plugins SET name = 'other', config = config")
    write(database, plugin_id, {"a": "x" * 131_000})
    kept = saved(database, plugin_id, "number, settings IS NOT NULL, bytes < 10, database_role IS NOT NULL")
    assert kept == [(1, True, True, True), (2, False, True, True), (3, False, True, True), (4, True, False, True)]


def test_settings_that_are_too_large_to_be_kept_take_no_room_of_the_guild(database):
    # Such settings are of before the bound for the settings of a guild.
    database.execute("ALTER TABLE plugins DISABLE TRIGGER bound_changed_settings")
    guild_id = uuid4()
    small, large = insert(database, guild_id, {"a": 1}), insert(database, guild_id)
    write(database, small, {"a": 2})
    write(database, large, {"a": "x" * (GUILD_SETTINGS_BYTES + 1)})
    assert saved(database, small) == [(1, {"a": 1}), (2, {"a": 2})]
    assert saved(database, large) == [(1, {}), (2, None)]


def test_the_oldest_of_a_plugin_go_first_but_not_those_that_a_roll_back_needs(store, database, key):
    first, second = (add_version(database, key.plugin_id, wasm) for wasm in (wat.SILENT, wat.TRAPS))
    assert store.go_live(key, 1, first, [], {"first": 1}, CHANGE)
    assert store.go_live(key, 2, second, [], {"second": 1}, CHANGE)
    for number in range(100):
        write(database, key.plugin_id, {"n": number})
    kept = saved(database, key.plugin_id)
    assert len(kept) == MOST_SETTINGS_VERSIONS
    assert kept[0] == (2, {"first": 1})
    assert [settings for _, settings in kept[1:]] == [{"n": n} for n in range(100 - MOST_SETTINGS_VERSIONS + 1, 100)]


def test_the_bytes_of_a_guild_are_bounded_and_no_other_guild_pays(database):
    flooded, quiet = uuid4(), insert(database, settings={"quiet": 1})
    calm = insert(database, flooded, {"calm": 1})
    write(database, calm, {"calm": 2})
    plugins = [insert(database, flooded) for _ in range(4)]
    for number in range(45):
        for plugin_id in plugins:
            write(database, plugin_id, {"n": number, "text": "x" * 120_000})
    ((total,),) = database.execute(
        "SELECT sum(bytes) FROM plugin_settings_versions JOIN plugins ON id = plugin_id WHERE guild_id = %s", [flooded]
    ).fetchall()
    assert GUILD_SETTINGS_BYTES - 121_000 < total <= GUILD_SETTINGS_BYTES
    assert saved(database, calm) == [(2, {"calm": 2})]
    assert saved(database, quiet) == [(1, {"quiet": 1})]
    for plugin_id in plugins:
        numbers = [number for (number,) in saved(database, plugin_id, "number")]
        assert numbers == list(range(numbers[0], 47))


def test_the_bounds_are_those_that_the_reference_states(database):
    definitions = database.execute(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname IN ('keep_first_settings', 'keep_changed_settings')"
    ).fetchall()
    ending = f"EXECUTE FUNCTION keep_settings('{MOST_SETTINGS_VERSIONS}', '{GUILD_SETTINGS_BYTES}')"
    assert [definition.endswith(ending) for (definition,) in definitions] == [True, True]


def test_a_direct_write_can_hold_its_transaction_open_without_stopping_others(migrated_database, database):
    """Both delete the oldest rows of the guild. A second save that waited for the first could end in a deadlock."""
    guild_id = uuid4()
    oldest, slow, quick = (insert(database, guild_id) for _ in range(3))
    for plugin_id in (oldest, slow, quick):
        for number in range(48):
            write(database, plugin_id, {"n": number, "text": "x" * 120_000})
    with psycopg.connect(migrated_database) as other:
        write(other, slow, {"text": "x" * 120_001})
        database.execute("SET lock_timeout = '10s'")
        write(database, quick, {"text": "x" * 120_002})
    ((total,),) = database.execute("SELECT sum(bytes) FROM plugin_settings_versions").fetchall()
    assert total > GUILD_SETTINGS_BYTES
    # The next save deletes what was left.
    write(database, quick, {"n": 1})
    ((total,),) = database.execute("SELECT sum(bytes) FROM plugin_settings_versions").fetchall()
    assert total <= GUILD_SETTINGS_BYTES


def test_a_version_that_is_replaced_leaves_the_settings_that_it_was_live_with(store, database, key):
    first, second = (add_version(database, key.plugin_id, wasm) for wasm in (wat.SILENT, wat.TRAPS))
    store.go_live(key, 1, first, [], {"first": 1}, CHANGE)
    write(database, key.plugin_id, {"first": 2})
    store.go_live(key, 2, second, [], {"second": 1}, CHANGE)
    store.go_live(key, 3, second, [], {"second": 2}, CHANGE)
    store.go_live(key, 4, first, [], None, CHANGE)
    assert saved(database, key.plugin_id, "settings, live_version_id, replaced_version_id") == [
        ({}, None, None),
        ({"first": 1}, first, None),
        ({"first": 2}, first, first),
        ({"second": 1}, second, None),
        ({"second": 2}, second, second),
    ]


def test_wasm_that_is_written_directly_replaces_the_live_version_before_it_is_adopted(
    migrated_database, store, database, key
):
    first = add_version(database, key.plugin_id, wat.SILENT)
    store.go_live(key, 1, first, [], {"first": 1}, CHANGE)
    database.execute("UPDATE plugins SET wasm_blob = %s, config = %s", [wat.TRAPS, Jsonb({"second": 1})])
    write(database, key.plugin_id, {"second": 2})
    with closing(UpkeepStore(Database(migrated_database))) as upkeep:
        (second,) = upkeep.adopt(10)
    assert database.execute("SELECT previous_version_id FROM plugins").fetchall() == [(first,)]
    assert saved(database, key.plugin_id, "settings, replaced_version_id") == [
        ({}, None),
        ({"first": 1}, first),
        ({"second": 1}, None),
        ({"second": 2}, None),
    ]
    third = add_version(database, key.plugin_id, wat.LOOPS)
    store.go_live(key, 3, third, [], {"third": 1}, CHANGE)
    assert saved(database, key.plugin_id, "settings, replaced_version_id")[3:] == [
        ({"second": 2}, second),
        ({"third": 1}, None),
    ]


def test_settings_that_were_saved_while_the_trigger_was_off_are_kept_before_the_next_save(store, database, key):
    with database.transaction():
        database.execute("SET LOCAL session_replication_role = replica")
        write(database, key.plugin_id, {"a": 1})
    write(database, key.plugin_id, {"a": 2})
    kept = saved(database, key.plugin_id, "settings, actor_id, database_role IS NULL")
    assert kept == [({}, "1", True), ({"a": 1}, None, True), ({"a": 2}, None, False)]


def test_a_secret_is_never_kept_however_it_gets_into_the_settings(store, database, key):
    """A row of before the feature, or of the chat server's own code, can have a secret in clear text."""
    write(database, key.plugin_id, {"a": 1, "token": "s3cret", "password": "s3cret"})
    assert saved(database, key.plugin_id)[-1][1] == {"a": 1, "token": "s3cret", "password": "s3cret"}
    # A sealed value is set: the setting of its name is a secret from now on, and was one.
    assert store.set_sealed_value(key, 1, "password", b"sealed", CHANGE)
    # A version that declares a secret goes live.
    version_id = add_version(database, key.plugin_id, wat.SILENT)
    database.execute("UPDATE plugin_versions SET settings_schema = %s", [Jsonb(SCHEMA)])
    assert store.go_live(key, 2, version_id, [], None, CHANGE)
    write(database, key.plugin_id, {"a": 2, "token": "other s3cret", "password": "s3cret"})
    write(database, key.plugin_id, {"a": 2, "token": "third s3cret", "password": "s3cret"})
    assert saved(database, key.plugin_id, "settings, withheld") == [
        ({}, []),
        ({"a": 1}, ["password", "token"]),
        ({"a": 2}, ["password", "token"]),
    ]
    ((text,),) = database.execute("SELECT string_agg(row::text, '') FROM plugin_settings_versions AS row").fetchall()
    assert "s3cret" not in text
    assert "sealed" not in text


def test_a_secret_that_an_upload_declares_is_removed_at_once(database):
    """Its settings may have been removed before, so that no save of them follows."""
    plugin_id = insert(database, settings={"a": 1, "token": "s3cret"})
    write(database, plugin_id, {"a": 1})
    version_id = add_version(database, plugin_id, wat.SILENT, "checking")
    database.execute("UPDATE plugin_versions SET settings_schema = %s WHERE id = %s", [Jsonb(SCHEMA), version_id])
    assert saved(database, plugin_id, "settings, withheld") == [({"a": 1}, ["token"]), ({"a": 1}, [])]


def test_a_save_that_adds_or_removes_a_secret_is_kept_with_its_name(database):
    plugin_id = insert(database, settings={"a": 1})
    version_id = add_version(database, plugin_id, wat.SILENT)
    database.execute("UPDATE plugin_versions SET settings_schema = %s WHERE id = %s", [Jsonb(SCHEMA), version_id])
    write(database, plugin_id, {"a": 1, "token": "s3cret"})
    write(database, plugin_id, {"a": 1, "token": "other s3cret"})
    write(database, plugin_id, {"a": 1})
    kept = saved(database, plugin_id, "settings, withheld")
    assert kept == [({"a": 1}, []), ({"a": 1}, ["token"]), ({"a": 1}, [])]


@pytest.mark.parametrize("properties", [None, [], {}, {"a": True, "b": {"writeOnly": 1}}])
def test_no_schema_makes_a_direct_write_fail(database, properties):
    plugin_id = insert(database)
    add_version(database, plugin_id, wat.SILENT)
    database.execute("UPDATE plugin_versions SET settings_schema = %s", [Jsonb({"properties": properties})])
    write(database, plugin_id, {"a": 1, "b": 2})
    assert saved(database, plugin_id, "settings, withheld")[-1] == ({"a": 1, "b": 2}, [])


def test_a_deleted_plugin_takes_its_settings_along(store, database, key):
    assert store.delete_plugin(key, 1, CHANGE)
    assert saved(database, key.plugin_id) == []


@pytest.fixture
def login(role, migrated_database, database) -> Callable[..., psycopg.Connection]:
    """Connects as a role that may write `plugins`, and nothing of what the triggers write."""
    name = sql.Identifier(role)
    database.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    for grant in ("SELECT, INSERT, UPDATE ON plugins", "SELECT, INSERT ON guilds", "INSERT ON plugin_secrets"):
        database.execute(sql.SQL("GRANT " + grant + " TO {}").format(name))
    return lambda: psycopg.connect(make_conninfo(migrated_database, user=role), autocommit=True)


def test_a_role_without_privileges_on_the_kept_settings_saves_as_before(login, role, database):
    with login() as connection:
        plugin_id = insert(connection)
        write(connection, plugin_id, {"a": 1})
        connection.execute("INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES (%s, 'b', '')", [plugin_id])
        for statement in ("SELECT * FROM", "DELETE FROM", "TRUNCATE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"{statement} plugin_settings_versions")
    assert saved(database, plugin_id, "settings, database_role") == [({}, role), ({"a": 1}, role)]


def test_a_role_cannot_let_its_own_tables_write_with_the_privileges_of_the_triggers(login, role, database):
    ((name,),) = database.execute("SELECT quote_ident(current_database())").fetchall()
    database.execute(sql.SQL(f"GRANT TEMPORARY ON DATABASE {name} TO {{}}").format(sql.Identifier(role)))
    plugin_id = insert(database)
    with login() as connection:
        # Its temporary tables do not take the place of the real ones.
        connection.execute("CREATE TEMPORARY TABLE plugin_settings_versions (plugin_id UUID, number INT)")
        write(connection, plugin_id, {"a": 1})
        connection.execute("CREATE TEMPORARY TABLE mine (LIKE plugins)")
        for function in ("keep_settings('50', '0')", "withhold_secret()", "withhold_declared_secrets()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {function}")
    assert [settings for _, settings in saved(database, plugin_id)] == [{}, {"a": 1}]


class TestAtTheMigration:
    """A database of the release before, with the rows that it has written."""

    @pytest.fixture
    def before(self, empty_database, tmp_path):
        for path in FILES:
            if path.stem < FIRST:
                shutil.copy(path, tmp_path)
        migrate(Database(empty_database), tmp_path)
        with psycopg.connect(empty_database, autocommit=True) as connection:
            yield connection

    @pytest.fixture
    def rolled_out(self, before, empty_database):
        """A plugin whose second version is live, and the store whose statements made it so."""
        with closing(AdminStore(Database(empty_database))) as store:
            key = PluginKey(uuid4(), uuid4())
            assert store.create_plugin(key, "Greeter", "", 50, CHANGE)
            versions = [add_version(before, key.plugin_id, wasm) for wasm in (wat.SILENT, wat.TRAPS)]
            first = AuditedChange("1", "Ada", "plugin.live", {"from": None, "to": 1})
            second = AuditedChange("1", "Ada", "plugin.live", {"from": 1, "to": 2})
            go_live_before(before, key, versions[0], {"a": 1}, first)
            go_live_before(before, key, versions[1], None, second)
            yield store, key, versions

    def test_the_current_settings_are_the_first_version(self, before, empty_database):
        plugin_id, other = insert(before, settings={"a": 1, "token": "s3cret"}), insert(before)
        add_version(before, plugin_id, wat.SILENT)
        before.execute("UPDATE plugin_versions SET settings_schema = %s", [Jsonb(SCHEMA)])
        migrate(Database(empty_database), MIGRATIONS)
        columns = "number, settings, withheld, actor_id, database_role"
        assert saved(before, plugin_id, columns) == [(1, {"a": 1}, ["token"], None, None)]
        assert saved(before, other, columns) == [(1, {}, [], None, None)]

    def test_the_previous_version_has_its_settings_if_they_have_not_changed_since(
        self, rolled_out, before, empty_database
    ):
        _, key, (first, second) = rolled_out
        migrate(Database(empty_database), MIGRATIONS)
        assert saved(before, key.plugin_id, "settings, live_version_id, replaced_version_id") == [
            ({"a": 1}, second, first)
        ]

    def test_it_has_none_if_the_settings_have_changed_since(self, rolled_out, before, empty_database):
        store, key, (_, second) = rolled_out
        assert store.change_plugin(key, 3, {"settings": {"a": 2}}, CHANGE)
        migrate(Database(empty_database), MIGRATIONS)
        assert saved(before, key.plugin_id, "settings, live_version_id, replaced_version_id") == [
            ({"a": 2}, second, None)
        ]

    def test_it_has_none_if_the_audit_log_does_not_go_back_so_far(self, rolled_out, before, empty_database):
        _, key, _ = rolled_out
        before.execute("DELETE FROM plugin_audit")
        migrate(Database(empty_database), MIGRATIONS)
        assert saved(before, key.plugin_id, "settings, replaced_version_id") == [({"a": 1}, None)]

    def test_a_save_between_the_two_steps_is_kept_after_the_settings_of_before(self, before, empty_database, tmp_path):
        plugin_id = insert(before, settings={"a": 1})
        shutil.copy(MIGRATIONS / f"{FIRST}.sql", tmp_path)
        migrate(Database(empty_database), tmp_path)
        write(before, plugin_id, {"a": 2})
        migrate(Database(empty_database), MIGRATIONS)
        assert saved(before, plugin_id, "number, settings, database_role IS NULL") == [
            (1, {"a": 1}, True),
            (2, {"a": 2}, False),
        ]

    def test_a_save_during_the_second_step_is_kept_after_the_settings_of_before(self, before, empty_database, tmp_path):
        plugin_id = insert(before, settings={"a": 1})
        shutil.copy(MIGRATIONS / f"{FIRST}.sql", tmp_path)
        migrate(Database(empty_database), tmp_path)
        second = (MIGRATIONS / "20261130000001_keep_current_settings.sql").read_bytes()

        def save():
            with psycopg.connect(empty_database, autocommit=True) as connection:
                write(connection, plugin_id, {"a": 2})

        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        with psycopg.connect(empty_database) as migrating, ThreadPoolExecutor(1) as pool:
            migrating.execute(second)
            future = pool.submit(save)
            while not future.done() and before.execute(waiting).fetchone() == (0,):
                pass
            migrating.commit()
            future.result(timeout=60)
        assert saved(before, plugin_id) == [(1, {"a": 1}), (2, {"a": 2})]

    def test_statements_of_the_release_before_are_kept_with_their_actor(self, role, rolled_out, before, empty_database):
        """Its role has got no new privilege."""
        _, key, (first, _) = rolled_out
        bob = AuditedChange("2", "Bob", "plugin.changed", {})
        admitted = dict.fromkeys(("plugins", "plugin_versions", "plugin_audit"), "SELECT, INSERT, UPDATE")
        name = sql.Identifier(role)
        before.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        for table, privileges in admitted.items():
            before.execute(sql.SQL(f"GRANT {privileges} ON {table} TO {{}}").format(name))
        migrate(Database(empty_database), MIGRATIONS)
        url = make_conninfo(empty_database, user=role)
        with closing(AdminStore(Database(url))) as running, psycopg.connect(url, autocommit=True) as connection:
            assert running.change_plugin(key, 3, {"settings": {"a": 2}}, bob)
            go_live_before(connection, key, first, None, bob)
        assert saved(before, key.plugin_id, "settings, actor_name, database_role") == [
            ({"a": 1}, None, None),
            ({"a": 2}, "Bob", None),
        ]
