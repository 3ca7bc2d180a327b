"""Tests the roles of the functions with the functions themselves."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import wat
from guildhook.errors import MigrationError
from guildhook.store import Database
from guildhook.store.compiling import CompileStore
from guildhook.store.migrations import migrate
from guildhook.store.role import PRIVILEGES, union
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.poller import EventSourceMapping
from guildhook_local.stack import ADMIN_API, COMPILE_PLUGIN, ERASE, MIGRATIONS, ON_MESSAGE, SWEEP
from project import ROOT
from samples import deletion_of, event, failed_records, http_request, sqs_event
from versions import upload

PLUGINS = ROOT / "plugins"
PING = (PLUGINS / "ping" / "ping.wasm").read_bytes()
COUNTER = (PLUGINS / "counter" / "counter.wasm").read_bytes()
CONTEXT = LambdaContext("any", "request", deadline=time.monotonic() + 3_600)


def execute(url, statement, *parameters):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def roles(running):
    """A new role's name for each function. The names need quotes in SQL."""
    names = {function: f'the "{function}" {uuid4().hex}' for function in PRIVILEGES}
    yield names
    with psycopg.connect(running.postgres_url, autocommit=True) as connection:
        for name in names.values():
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def function(roles, system):
    """Loads one of the functions, which connects as its role."""
    assert migrate(Database(system.database_url), MIGRATIONS, roles) == []
    with ExitStack() as loaded:
        yield lambda folder: loaded.enter_context(
            loaded_function(
                folder,
                {
                    **system.environment,
                    "GUILDHOOK_DATABASE_URL": make_conninfo(system.database_url, user=roles[folder.name]),
                },
            )
        )


def messages(system, guild, *contents):
    return sqs_event(*(event(guild.id, guild.channel_id, content=content) for content in contents))


def compiling(system, function):
    """Return a function that lets compile_plugin, as its role, handle all requests in its queue."""
    queue_url = system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    mapping = EventSourceMapping(system.aws.client("sqs"), queue_url, "compile_plugin", function(COMPILE_PLUGIN))

    def compile_all():
        while mapping.poll():
            pass

    return compile_all


def test_the_roles_allow_handling_messages_and_deleting_old_rows(function, system, query):
    guild = system.add_guild()
    for name, wasm in {"ping": PING, "counter": COUNTER, "traps": wat.TRAPS, "bad": b"garbage"}.items():
        system.install(guild, name, wasm, {"SEND_MESSAGES"})
    compile_plugin = function(COMPILE_PLUGIN)
    assert compile_plugin({"action": "recompile"}, CONTEXT) == {"asked": 4}
    compiling(system, function)()
    assert query("SELECT count(*) FROM plugin_artifacts") == [(3,)]
    assert query("SELECT count(*) FROM plugin_refusals") == [(1,)]
    on_message = function(ON_MESSAGE)
    for content in ("!ping", "!count", "!count"):
        assert failed_records(on_message(messages(system, guild, content), CONTEXT)) == []
    assert "pong" in [reply["content"] for reply in system.chat.replies()]
    assert query("SELECT DISTINCT state FROM plugin_intents") == [("delivered",)]
    assert query("SELECT count(*) FROM plugin_state") == [(1,)]
    assert query("SELECT failures_in_a_row FROM plugin_health") == [(3,), (3,)]
    forgotten = event(guild.id, guild.channel_id)
    assert failed_records(on_message(sqs_event(forgotten, deletion_of(forgotten)), CONTEXT)) == []
    query("UPDATE deleted_messages SET forget_at = now(), deleted_at = now() - interval '31 days'")
    query("UPDATE plugin_intents SET state = 'pending', updated_at = now() - interval '31 minutes'")
    sweep = function(SWEEP)
    swept = sweep({}, CONTEXT)
    assert swept["messages_forgotten"] == 1
    assert query("SELECT * FROM deleted_messages") == []
    assert swept["requeued"] > 0
    assert swept["versions_adopted"] == 4
    compiling(system, function)()
    assert query("SELECT state, count(*) FROM plugin_versions GROUP BY 1 ORDER BY 1") == [("ready", 3), ("refused", 1)]
    query("UPDATE plugin_runs SET created_at = now() - interval '25 hours'")
    assert sweep({}, CONTEXT)["given_up"] > 0
    query("UPDATE plugin_runs SET created_at = now() - interval '31 days'")
    query("UPDATE plugin_usage SET hour = hour - interval '91 days'")
    query("UPDATE guild_budgets SET minute = minute - interval '91 days'")
    query("UPDATE plugin_versions SET state = 'checking', updated_at = now() - interval '2 hours' WHERE number = 1")
    query(
        """INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, created_by, updated_at)
           SELECT id, 7, 'expected', sha256('x'), 1, '', now() - interval '2 days' FROM plugins"""
    )
    query(
        """INSERT INTO plugin_audit (guild_id, at, actor_id, actor_name, action, detail)
           VALUES (gen_random_uuid(), now() - interval '366 days', '', '', '', '{}')"""
    )
    swept = sweep({}, CONTEXT)
    assert [name for name, count in swept.items() if count == 0] == [
        "requeued",
        "given_up",
        "messages_forgotten",
        "versions_adopted",
    ]
    query("UPDATE plugin_artifacts SET created_at = now() - interval '31 days'")
    query("UPDATE plugin_refusals SET created_at = now() - interval '31 days'")
    query("DELETE FROM plugins")
    assert compile_plugin({"action": "prune"}, CONTEXT) == {"pruned": 3}
    assert query("SELECT count(*) FROM plugin_refusals") == [(0,)]


class Admin:
    """A client of admin_api that manages a guild."""

    def __init__(self, system, handler, guild):
        self._handler = handler
        self._path = f"/api/guilds/{guild.id}"
        ada = uuid4()
        system.chat.add_member(guild.id, ada, ["MANAGE_GUILD"])
        self._token = system.chat.issuer.issue(ada, "Ada")

    def __call__(self, method, path="", body=None, etag=None, **parameters):
        """Return the body of the answer to a request, which must succeed."""
        request = http_request(method, f"{self._path}{path}")
        request["headers"] |= {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        if etag:
            request["headers"]["if-match"] = etag
        if body is not None:
            request["body"] = json.dumps(body)
        request["queryStringParameters"] = parameters
        answer = self._handler(request, CONTEXT)
        assert 200 <= answer["statusCode"] < 300, answer
        return json.loads(answer["body"]) if answer.get("body") else None

    def upload(self, plugin, wasm):
        """Announce a version, and return it with the form for its upload."""
        announced = {"wasm_sha256": sha256(wasm).hexdigest(), "wasm_bytes": len(wasm)}
        return self("POST", f"/plugins/{plugin['id']}/versions", announced)["version"]


def test_the_role_of_admin_api_allows_every_operation(function, system, query):
    guild = system.add_guild()
    admin = Admin(system, function(ADMIN_API), guild)
    compile_all = compiling(system, function)
    admin("PATCH", "", {"keep_content": True}, admin("GET")["etag"])
    made = admin("POST", "/plugins", {"name": "Ping"})
    plugin = f"/plugins/{made['id']}"
    for wasm in (PING, COUNTER):
        version = admin.upload(made, wasm)
        admin("POST", f"{plugin}/versions/{version['number']}/uploaded")
        upload(system, UUID(version["id"]), wasm)
        compile_all()
    assert [version["state"] for version in admin("GET", f"{plugin}/versions")["items"]] == ["ready", "ready"]

    def change(method, path, body=None):
        return admin(method, f"{plugin}{path}", body, admin("GET", plugin)["etag"])

    change("PUT", "/secrets/token", {"value": "s3cret"})
    change("PUT", "/live", {"version": 1, "consent": ["SEND_MESSAGES"]})
    change("PUT", "/shadow", {"version": 2})
    tried = {"version": 1, "message": {"content": "!ping"}}
    assert admin("POST", f"{plugin}/test-runs", tried)["outcome"] == "ok"
    assert failed_records(function(ON_MESSAGE)(messages(system, guild, "!ping"), CONTEXT)) == []
    (run,) = admin("GET", f"{plugin}/runs", shadow="false")["items"]
    admin("GET", f"{plugin}/runs/{run['id']}")
    admin("GET", f"{plugin}/usage")
    admin("GET", f"{plugin}/explanations/{run['message_id']}")
    change("PUT", "/shadow", {"version": None})
    change("PUT", "/live", {"version": 2})
    admin("GET", f"{plugin}/roll-back")
    change("POST", "/roll-back", {})
    change("PATCH", "", {"settings": {"answer": 41}})
    assert [saved["number"] for saved in admin("GET", f"{plugin}/settings-versions")["items"]] == [2, 1]
    assert admin("GET", f"{plugin}/settings-versions/1", base="2")["differences"]
    change("POST", "/settings-versions/1/restore")
    change("DELETE", "/secrets/token")
    query(
        """INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                      quarantined_at, reason, retry_at, pauses)
           SELECT id, wasm_sha256, 9, now(), 9, '', now(), 'failed', now() + interval '1 hour', 1 FROM plugins"""
    )
    change("DELETE", "/quarantine")
    change("PATCH", "", {"enabled": False, "settings": {"answer": 42}, "permissions": []})
    announced = admin.upload(made, wasm)
    change("DELETE", f"/versions/{announced['number']}")
    assert len(admin("GET", "/audit")["items"]) > 10
    change("DELETE", "")
    assert admin("GET", "/plugins")["items"] == []


def test_the_role_of_erase_allows_every_action(function, system, query):
    guild = system.add_guild()
    system.install(guild, "counter", COUNTER, {"SEND_MESSAGES"})
    author = "6a1d0000-0000-4000-8000-00000000000a"
    message = event(guild.id, guild.channel_id, content="!count", author={"id": author, "bot": False})
    assert failed_records(function(ON_MESSAGE)(sqs_event(message), CONTEXT)) == []
    query(f"UPDATE plugin_state SET entries = jsonb_build_object('{author}', '1')")
    erase = function(ERASE)
    found = {"plugin_runs": 1, "plugin_intents": 1, "plugin_state.entries": 1}
    assert erase({"action": "find", "user_id": author}, CONTEXT)["found"] == found
    assert erase({"action": "export", "user_id": author}, CONTEXT)["files"]
    assert erase({"action": "erase", "user_id": author, "confirm": author}, CONTEXT)["erased"] == found
    of_guild = {"guild_id": str(guild.id)}
    assert erase({"action": "find", **of_guild}, CONTEXT)["found"]["plugins"] == 1
    assert erase({"action": "export", **of_guild}, CONTEXT)["files"]
    erased = erase({"action": "erase", **of_guild, "confirm": str(guild.id)}, CONTEXT)["erased"]
    assert erased == {
        "plugins.enabled": 1,
        "plugins": 1,
        "plugin_settings_versions": 1,
        "plugin_state": 1,
        "plugin_usage": 1,
        "guild_budgets": 1,
    }
    assert query("SELECT count(*) FROM plugins") == [(0,)]


ALL = "SELECT, INSERT, UPDATE, DELETE"
GRANTED = {
    "on_message": {
        "channels": "SELECT (guild_id, id)",
        "guild_settings": "SELECT",
        "plugins": "SELECT, UPDATE (updated_at)",
        "plugin_versions": "SELECT",
        "plugin_secrets": "SELECT",
        "plugin_artifacts": "SELECT",
        "plugin_refusals": "SELECT",
        "plugin_compile_failures": "SELECT",
        "plugin_runs": "SELECT, INSERT, UPDATE (created_at)",
        "plugin_shadow_runs": "SELECT, INSERT",
        "plugin_intents": "SELECT, INSERT, UPDATE (detail, state, updated_at)",
        "plugin_state": "SELECT, INSERT, UPDATE",
        "plugin_health": "SELECT, INSERT, UPDATE",
        "plugin_usage": "SELECT, INSERT, UPDATE",
        "guild_budgets": "SELECT, INSERT, UPDATE",
        "raised_budgets": "SELECT",
        "guild_pauses": "SELECT",
        "deleted_messages": "SELECT (guild_id, message_id), INSERT",
    },
    "compile_plugin": {
        "plugins": "SELECT",
        "plugin_versions": "SELECT, UPDATE (imports, needs, reasons, settings_schema, state, unavailable, updated_at, "
        "warnings, wasm_blob)",
        "plugin_artifacts": ALL,
        "plugin_refusals": ALL,
        "plugin_compile_failures": ALL,
        "plugin_compile_reservations": ALL,
    },
    "sweep": {
        "plugins": "SELECT, UPDATE (live_version_id, previous_version_id, revision)",
        "plugin_versions": "SELECT, INSERT, UPDATE (updated_at), DELETE",
        "plugin_compile_failures": "SELECT, INSERT, UPDATE (next_try_at)",
        "plugin_audit": "SELECT, DELETE",
        "plugin_runs": "SELECT, UPDATE (created_at), DELETE",
        "plugin_shadow_runs": "SELECT, UPDATE (created_at), DELETE",
        "plugin_intents": "SELECT, UPDATE (detail, state, updated_at), DELETE",
        "deleted_messages": "SELECT, UPDATE (forget_at), DELETE",
        "plugin_usage": "SELECT, UPDATE (hour), DELETE",
        "guild_budgets": "SELECT, UPDATE (minute), DELETE",
        "admin_requests": "SELECT, DELETE",
    },
    "admin_api": {
        "guilds": "SELECT (id), INSERT (id)",
        "guild_settings": "SELECT, INSERT, UPDATE",
        "plugins": ALL,
        "plugin_versions": "SELECT, INSERT, UPDATE (state, updated_at), DELETE",
        "plugin_secrets": ALL,
        "plugin_settings_versions": "SELECT",
        "plugin_audit": "SELECT, INSERT",
        "plugin_artifacts": "SELECT",
        "plugin_refusals": "SELECT",
        "plugin_compile_failures": "SELECT, UPDATE (next_try_at, tries)",
        "plugin_runs": "SELECT",
        "plugin_shadow_runs": "SELECT",
        "plugin_intents": "SELECT",
        "plugin_state": "SELECT",
        "plugin_health": ALL,
        "plugin_usage": "SELECT",
        "guild_budgets": "SELECT",
        "raised_budgets": ALL,
        "guild_pauses": "SELECT, INSERT, DELETE",
        "deleted_messages": "SELECT (deleted_at, guild_id, message_id)",
        "admin_requests": "SELECT, INSERT, UPDATE",
        "_yoyo_migration": "SELECT (migration_id)",
    },
    "erase": {
        "plugins": "SELECT (bot_messages, config, created_at, description, disabled_by_operator, enabled, guild_id, "
        "id, name, permissions, revision, updated_at, wasm_sha256), UPDATE (enabled, revision, updated_at), DELETE",
        "plugin_versions": "SELECT (created_at, created_by, id, number, plugin_id, reasons, settings_schema, state, "
        "wasm_bytes, wasm_sha256), UPDATE (created_by), DELETE",
        "plugin_secrets": "SELECT (name, plugin_id, updated_at)",
        "plugin_settings_versions": "SELECT, UPDATE (actor_id, actor_name)",
        "plugin_runs": "SELECT, DELETE",
        "plugin_shadow_runs": "SELECT, DELETE",
        "plugin_intents": "SELECT",
        "plugin_state": "SELECT, UPDATE (entries, updated_at, version)",
        "plugin_health": "SELECT",
        "plugin_usage": "SELECT, DELETE",
        "plugin_audit": "SELECT, UPDATE (actor_id, actor_name), DELETE",
        "guild_settings": "SELECT, DELETE",
        "guild_budgets": "SELECT, DELETE",
        "guild_pauses": "SELECT, DELETE",
        "raised_budgets": "SELECT, DELETE",
        "deleted_messages": "SELECT, DELETE",
        "admin_requests": "SELECT, DELETE",
    },
}
"""Everything that the functions may do, to be seen at a glance. It grows with the statements, and never shrinks."""


def test_the_privileges_beside_the_statements_are_those_that_the_roles_have():
    assert PRIVILEGES == GRANTED


@pytest.mark.parametrize(
    ("grants", "granted"),
    [
        (["SELECT"], "SELECT"),
        (["UPDATE (b)", "SELECT, UPDATE (a, b)"], "SELECT, UPDATE (a, b)"),
        (["UPDATE (a)", "UPDATE, DELETE"], "UPDATE, DELETE"),
        ([], ""),
    ],
)
def test_privileges_are_united_by_table_and_column(grants, granted):
    assert union(grants) == granted


FORBIDDEN_TO_ALL = [
    "DROP TABLE plugin_state",
    "ALTER TABLE plugins ADD COLUMN mine INTEGER",
    "CREATE TABLE mine (id INTEGER)",
    "CREATE INDEX mine ON plugins (name)",
    "CREATE FUNCTION mine() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "CREATE SCHEMA mine",
    "TRUNCATE plugin_runs",
    "SELECT * FROM users",
    "SELECT name FROM channels",
    "SELECT name FROM guilds",
    "DELETE FROM channels",
    "DELETE FROM guilds",
    "UPDATE channels SET guild_id = NULL",
    "UPDATE plugin_audit SET action = ''",
    "UPDATE plugin_intents SET content = ''",
    "INSERT INTO _yoyo_migration (migration_hash) VALUES ('')",
    "COPY plugins TO PROGRAM 'true'",
]
CHANGE_PLUGINS = [
    "INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (gen_random_uuid(), '', '')",
    "UPDATE plugins SET wasm_blob = ''",
    "UPDATE plugins SET permissions = '[\"SEND_MESSAGES\"]'",
    "UPDATE plugins SET config = '{}'",
    "UPDATE plugins SET shadow_version_id = NULL",
    "DELETE FROM plugins",
    "INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES (gen_random_uuid(), '', '')",
    "UPDATE plugin_secrets SET sealed = ''",
    "DELETE FROM plugin_secrets",
    "UPDATE guild_settings SET keep_content = TRUE",
    "INSERT INTO plugin_audit (guild_id, actor_id, actor_name, action, detail) SELECT id, '', '', '', '{}' FROM guilds",
]
RENAME_ACTORS = ["UPDATE plugin_audit SET actor_name = ''", "UPDATE plugin_settings_versions SET actor_id = ''"]
CHANGE_ARTIFACTS = ["UPDATE plugin_artifacts SET artifact_sha256 = ''", "DELETE FROM plugin_refusals"]
FORBIDDEN: Mapping[str, list[str]] = {
    "on_message": [
        *CHANGE_PLUGINS,
        *RENAME_ACTORS,
        *CHANGE_ARTIFACTS,
        "UPDATE plugins SET live_version_id = NULL",
        "UPDATE plugin_versions SET state = 'ready'",
        "DELETE FROM plugin_versions",
        "SELECT * FROM plugin_audit",
        "SELECT * FROM admin_requests",
        "DELETE FROM plugin_runs",
        "DELETE FROM deleted_messages",
        "SELECT deleted_at FROM deleted_messages",
    ],
    "compile_plugin": [
        *CHANGE_PLUGINS,
        *RENAME_ACTORS,
        "UPDATE plugins SET live_version_id = NULL",
        "UPDATE plugin_versions SET created_by = ''",
        "DELETE FROM plugin_versions",
        "SELECT * FROM plugin_secrets",
        "SELECT * FROM plugin_runs",
        "SELECT * FROM plugin_audit",
    ],
    "sweep": [
        *CHANGE_PLUGINS,
        *RENAME_ACTORS,
        *CHANGE_ARTIFACTS,
        "SELECT * FROM plugin_secrets",
        "SELECT * FROM plugin_state",
    ],
    "admin_api": [
        *RENAME_ACTORS,
        *CHANGE_ARTIFACTS,
        "UPDATE plugin_versions SET wasm_blob = ''",
        "DELETE FROM plugin_audit",
        "UPDATE plugin_runs SET message = ''",
        "DELETE FROM plugin_runs",
        "UPDATE plugin_state SET entries = '{}'",
        "INSERT INTO plugin_intents (key, run_id) VALUES (gen_random_uuid(), gen_random_uuid())",
    ],
    "erase": [
        *(statement for statement in CHANGE_PLUGINS if statement != "DELETE FROM plugins"),
        *CHANGE_ARTIFACTS,
        "SELECT wasm_blob FROM plugins",
        "SELECT wasm_blob FROM plugin_versions",
        "SELECT sealed FROM plugin_secrets",
        "SELECT * FROM plugin_artifacts",
        "UPDATE plugins SET live_version_id = NULL",
        "UPDATE plugin_versions SET state = 'ready'",
        "UPDATE plugin_settings_versions SET settings = '{}'",
        "UPDATE plugin_runs SET message = ''",
        "INSERT INTO plugin_state (plugin_id, version, entries) VALUES (gen_random_uuid(), 1, '{}')",
    ],
}


def with_more_columns(url):
    """Add columns and a table that the chat server's own database has."""
    execute(url, "CREATE TABLE users (email TEXT)")
    execute(url, "ALTER TABLE channels ADD COLUMN name TEXT")
    execute(url, "ALTER TABLE guilds ADD COLUMN name TEXT")


def test_a_role_may_do_nothing_else(roles, migrated_database):
    migrate(Database(migrated_database), MIGRATIONS, roles)
    with_more_columns(migrated_database)
    for function, forbidden in FORBIDDEN.items():
        for statement in FORBIDDEN_TO_ALL + forbidden:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                execute(make_conninfo(migrated_database, user=roles[function]), statement)


def test_one_role_may_be_that_of_all_functions(role, migrated_database):
    migrate(Database(migrated_database), MIGRATIONS, one(role))
    with_more_columns(migrated_database)
    url = make_conninfo(migrated_database, user=role)
    for table in {table for privileges in PRIVILEGES.values() for table in privileges} - {"channels", "guilds"}:
        assert execute(url, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    for statement in FORBIDDEN_TO_ALL:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(url, statement)


def one(role):
    """Map every function to this role."""
    return dict.fromkeys(PRIVILEGES, role)


def test_a_role_is_created_once_and_keeps_granted_privileges(role, migrated_database):
    migrate(Database(migrated_database), MIGRATIONS, one(role))
    execute(migrated_database, sql.SQL("GRANT TRUNCATE ON guilds TO {}").format(sql.Identifier(role)))
    before = privileges(migrated_database, role)
    assert ("guilds", "TRUNCATE") in before
    migrate(Database(migrated_database), MIGRATIONS, one(role))
    assert privileges(migrated_database, role) == before


def privileges(url, role):
    question = "SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = %s"
    return set(execute(url, question, role))


def test_two_databases_of_a_server_create_the_role_at_the_same_time(role, empty_database, system):
    urls = [empty_database, system.database_url] * 3
    with ThreadPoolExecutor(len(urls)) as pool:
        applied = list(pool.map(lambda url: migrate(Database(url), MIGRATIONS, one(role)), urls))
    assert sum(map(bool, applied)) == 1
    assert all(privileges(url, role) for url in urls)


@pytest.fixture
def rds_iam(running):
    """The role of RDS whose members log in only with a token of IAM."""
    execute(running.postgres_url, "CREATE ROLE rds_iam")
    yield "rds_iam"
    execute(running.postgres_url, "DROP ROLE rds_iam")


def is_member(url, role, group):
    """Return True for direct and indirect members, also for those that may only grant the membership."""
    ((answer,),) = execute(url, "SELECT pg_has_role(%s, %s, 'MEMBER')", role, group)
    return answer


def test_a_new_role_logs_in_by_iam_on_a_server_with_iam(role, migrated_database, rds_iam):
    for _ in range(2):
        migrate(Database(migrated_database), MIGRATIONS, one(role))
        assert is_member(migrated_database, role, rds_iam)


def test_a_role_that_is_there_keeps_its_password(role, migrated_database, rds_iam):
    execute(migrated_database, sql.SQL("CREATE ROLE {} LOGIN PASSWORD 's3cret'").format(sql.Identifier(role)))
    migrate(Database(migrated_database), MIGRATIONS, one(role))
    assert not is_member(migrated_database, role, rds_iam)


@pytest.fixture
def owner(role, running):
    """The URL of a new database, as its owner: a role that may create roles and is no superuser, as on RDS."""
    name = f"owner-{uuid4().hex}"
    execute(running.postgres_url, sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(name)))
    execute(running.postgres_url, sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    yield make_conninfo(running.postgres_url, dbname=name, user=name)
    execute(running.postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    execute(running.postgres_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_the_migrating_role_need_not_be_a_superuser(role, owner):
    migrate(Database(owner), MIGRATIONS, one(role))
    assert execute(make_conninfo(owner, user=role), "SELECT count(id) FROM channels") == [(0,)]


def test_the_migrating_role_cannot_be_the_role_of_a_function(owner, empty_database):
    ((myself,),) = execute(owner, "SELECT current_user")
    with pytest.raises(MigrationError, match="is the one that migrates, or a superuser"):
        migrate(Database(owner), MIGRATIONS, one(myself))
    ((superuser,),) = execute(empty_database, "SELECT current_user")
    with pytest.raises(MigrationError, match="is the one that migrates, or a superuser"):
        migrate(Database(owner), MIGRATIONS, one(superuser))


def test_a_grant_that_grants_nothing_is_an_error(role, owner, running):
    """Another role owns the chat server's table, and grants only SELECT on it."""
    as_superuser = make_conninfo(running.postgres_url, dbname=psycopg.conninfo.conninfo_to_dict(owner)["dbname"])
    execute(as_superuser, "CREATE TABLE channels (id UUID PRIMARY KEY, guild_id UUID)")
    execute(as_superuser, "GRANT SELECT ON channels TO PUBLIC")
    with pytest.raises(MigrationError, match=r'GRANT SELECT .* ON "channels" .*no privileges were granted'):
        migrate(Database(owner), MIGRATIONS, one(role))


def test_the_migrating_role_keeps_its_password_login(role, owner, rds_iam, running):
    name = str(conninfo_to_dict(owner)["user"])
    # RDS allows its master user to grant this role without being a member.
    execute(running.postgres_url, sql.SQL("GRANT rds_iam TO {} WITH ADMIN OPTION").format(sql.Identifier(name)))
    before = execute(owner, "SELECT rolname FROM pg_roles ORDER BY rolname")
    migrate(Database(owner), MIGRATIONS, one(role))
    assert is_member(owner, role, rds_iam)
    assert not is_member(owner, name, role)
    after = execute(owner, "SELECT rolname FROM pg_roles WHERE rolname <> %s ORDER BY rolname", role)
    assert after == before
    assert execute(make_conninfo(owner, user=role), "SELECT count(id) FROM channels") == [(0,)]


LIMITS = {
    "on_message": ("20s", "10s", "10s", "1s"),
    "compile_plugin": ("45s", "10s", "10s", "1s"),
    "sweep": ("1min", "10s", "10s", "1s"),
    "admin_api": ("10s", "5s", "10s", "1s"),
    "erase": ("1min", "10s", "10s", "1s"),
}
SETTINGS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
)


def limits(url, role):
    """The time limits of a new session of the role."""
    shown = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    ((*found,),) = execute(make_conninfo(url, user=role), f"SELECT {shown}")
    return tuple(found)


@pytest.fixture
def limits_log(caplog):
    """The lines of the log about roles."""
    return lambda: [record.getMessage() for record in caplog.records if record.name == "guildhook.store.role"]


def test_each_role_has_the_time_limits_of_its_function(roles, owner, limits_log):
    for _ in range(2):
        migrate(Database(owner), MIGRATIONS, roles)
        assert {function: limits(owner, role) for function, role in roles.items()} == LIMITS
    assert limits_log() == []


def test_a_role_of_several_functions_has_the_widest_of_their_limits(role, owner):
    migrate(Database(owner), MIGRATIONS, one(role))
    assert limits(owner, role) == ("1min", "10s", "10s", "1s")


def test_limits_of_the_release_before_are_replaced(role, owner):
    migrate(Database(owner), MIGRATIONS, one(role))
    ((database,),) = execute(owner, "SELECT current_database()")
    before = sql.SQL("ALTER ROLE {} IN DATABASE {} SET statement_timeout = '1ms'")
    execute(owner, before.format(sql.Identifier(role), sql.Identifier(database)))
    migrate(Database(owner), MIGRATIONS, one(role))
    assert limits(owner, role)[0] == "1min"


def test_limits_hold_in_the_database_of_the_migration_alone(role, owner, running):
    migrate(Database(owner), MIGRATIONS, one(role))
    assert limits(running.postgres_url, role) == ("0", "0", "0", "0")


def test_the_migrating_role_need_not_own_the_database(role, owner, running):
    """It owns the schema's tables alone, as where an operator has created the database."""
    database = str(conninfo_to_dict(owner)["dbname"])
    superuser = str(conninfo_to_dict(running.postgres_url)["user"])
    for statement in ("ALTER DATABASE {0} OWNER TO {1}", "GRANT ALL ON DATABASE {0} TO {0} WITH GRANT OPTION"):
        execute(running.postgres_url, sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(superuser)))
    as_superuser = make_conninfo(running.postgres_url, dbname=database)
    execute(
        as_superuser, sql.SQL("GRANT ALL ON SCHEMA public TO {} WITH GRANT OPTION").format(sql.Identifier(database))
    )
    migrate(Database(owner), MIGRATIONS, one(role))
    assert limits(owner, role) == ("1min", "10s", "10s", "1s")


def test_a_role_that_somebody_else_created_keeps_its_limits_and_is_named(role, owner, running, limits_log):
    """PostgreSQL lets a role with CREATEROLE alter the roles that it administers alone."""
    execute(running.postgres_url, sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    migrate(Database(owner), MIGRATIONS, one(role))
    assert limits(owner, role) == ("0", "0", "0", "0")
    assert limits_log() == [f"time limits are not set: the migrating role may not alter the role {role}"]
    with closing(CompileStore(Database(make_conninfo(owner, user=role)))) as store:
        assert store.uncompiled("engine", bytes(32)) == []


def test_a_role_that_logs_in_by_iam_has_its_limits_from_its_creation(role, owner, rds_iam, running, limits_log):
    """Nobody can alter such a role afterwards, the migrating role included."""
    name = str(conninfo_to_dict(owner)["user"])
    execute(running.postgres_url, sql.SQL("GRANT rds_iam TO {} WITH ADMIN OPTION").format(sql.Identifier(name)))
    for _ in range(2):
        migrate(Database(owner), MIGRATIONS, one(role))
        assert limits(owner, role) == ("1min", "10s", "10s", "1s")
    assert limits_log() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(owner, sql.SQL("ALTER ROLE {} SET statement_timeout = 0").format(sql.Identifier(role)))
