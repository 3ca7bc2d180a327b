"""Everything as the role of GUILDHOOK_DATABASE_ROLE, with the functions themselves."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import wat
from guildhook.errors import MigrationError
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook_local.function import loaded_function
from guildhook_local.poller import EventSourceMapping, LambdaContext
from guildhook_local.stack import ADMIN_API, COMPILE_PLUGIN, MIGRATIONS, ON_MESSAGE, SWEEP
from samples import event, failed_records, http_request, sqs_event

PLUGINS = Path(__file__).parents[3] / "plugins"
PING = (PLUGINS / "ping" / "ping.wasm").read_bytes()
COUNTER = (PLUGINS / "counter" / "counter.wasm").read_bytes()
CONTEXT = LambdaContext("any", "request", deadline=time.monotonic() + 3_600)


def execute(url, statement, *parameters):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def role_url(role, system):
    """The system's database, as the role."""
    assert migrate(Database(system.database_url), MIGRATIONS, role) == []
    return make_conninfo(system.database_url, user=role)


@pytest.fixture
def function(role_url, system):
    """Loads one of the functions; its statements are the role's."""
    with ExitStack() as loaded:
        yield lambda app, **environment: loaded.enter_context(
            loaded_function(app, {**system.environment, "GUILDHOOK_DATABASE_URL": role_url, **environment})
        )


def messages(system, guild, *contents):
    return sqs_event(*(event(guild.id, guild.channel_id, content=content) for content in contents))


def test_the_functions_do_all_that_they_do(function, system, query):
    guild = system.add_guild()
    for name, wasm in {"ping": PING, "counter": COUNTER, "traps": wat.TRAPS, "bad": b"garbage"}.items():
        system.install(guild, name, wasm, {"SEND_MESSAGES"})
    compile_plugin = function(COMPILE_PLUGIN)
    assert compile_plugin({"action": "recompile"}, CONTEXT) == {"asked": 4}
    queue_url = system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    compiles = EventSourceMapping(system.aws.client("sqs"), queue_url, "compile_plugin", compile_plugin)
    while compiles.poll():
        pass
    assert query("SELECT count(*) FROM plugin_artifacts") == [(3,)]
    assert query("SELECT count(*) FROM plugin_refusals") == [(1,)]
    on_message = function(ON_MESSAGE)
    for content in ("!ping", "!count", "!count"):
        assert failed_records(on_message(messages(system, guild, content), CONTEXT)) == []
    assert "pong" in [reply["content"] for reply in system.chat.replies()]
    assert query("SELECT DISTINCT state FROM plugin_intents") == [("delivered",)]
    assert query("SELECT count(*) FROM plugin_state") == [(1,)]
    assert query("SELECT failures_in_a_row FROM plugin_health") == [(3,), (3,)]
    query("UPDATE plugin_intents SET state = 'pending', updated_at = now() - interval '31 minutes'")
    sweep = function(SWEEP)
    assert sweep({}, CONTEXT)["requeued"] > 0
    query("UPDATE plugin_runs SET created_at = now() - interval '25 hours'")
    assert sweep({}, CONTEXT)["given_up"] > 0
    query("UPDATE plugin_runs SET created_at = now() - interval '31 days'")
    query("UPDATE plugin_usage SET hour = hour - interval '91 days'")
    query("UPDATE guild_budgets SET minute = minute - interval '91 days'")
    swept = sweep({}, CONTEXT)
    assert swept["runs_deleted"] > 0
    assert swept["usage_deleted"] > 1
    query("UPDATE plugin_artifacts SET created_at = now() - interval '31 days'")
    query("UPDATE plugin_refusals SET created_at = now() - interval '31 days'")
    query("DELETE FROM plugins")
    assert compile_plugin({"action": "prune"}, CONTEXT) == {"pruned": 3}
    assert query("SELECT count(*) FROM plugin_refusals") == [(0,)]
    assert function(ADMIN_API)(http_request("GET", "/api/health"), CONTEXT)["statusCode"] == 200


FORBIDDEN = [
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
    "SELECT * FROM guilds",
    "DELETE FROM channels",
    "UPDATE channels SET guild_id = NULL",
    "INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (gen_random_uuid(), '', '')",
    "UPDATE plugins SET wasm_blob = ''",
    "UPDATE plugins SET permissions = '[\"SEND_MESSAGES\"]'",
    "DELETE FROM plugins",
    "UPDATE plugin_intents SET content = ''",
    "INSERT INTO _yoyo_migration (migration_hash) VALUES ('')",
    "COPY plugins TO PROGRAM 'true'",
]


def test_it_may_do_nothing_else(role, empty_database):
    migrate(Database(empty_database), MIGRATIONS, role)
    execute(empty_database, "CREATE TABLE users (email TEXT)")
    execute(empty_database, "ALTER TABLE channels ADD COLUMN name TEXT")
    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(make_conninfo(empty_database, user=role), statement)


def test_it_is_made_once_and_keeps_what_it_was_given(role, empty_database):
    migrate(Database(empty_database), MIGRATIONS, role)
    execute(empty_database, sql.SQL("GRANT SELECT ON guilds TO {}").format(sql.Identifier(role)))
    before = privileges(empty_database, role)
    assert ("guilds", "SELECT") in before
    migrate(Database(empty_database), MIGRATIONS, role)
    assert privileges(empty_database, role) == before


def privileges(url, role):
    question = "SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = %s"
    return set(execute(url, question, role))


def test_two_databases_of_a_server_make_it_at_the_same_time(role, empty_database, system):
    urls = [empty_database, system.database_url] * 3
    with ThreadPoolExecutor(len(urls)) as pool:
        applied = list(pool.map(lambda url: migrate(Database(url), MIGRATIONS, role), urls))
    assert sum(map(bool, applied)) == 1
    assert all(privileges(url, role) for url in urls)


@pytest.fixture
def rds_iam(running):
    """Where RDS has this role, its members log in with a token of IAM and with nothing else."""
    execute(running.postgres_url, "CREATE ROLE rds_iam")
    yield "rds_iam"
    execute(running.postgres_url, "DROP ROLE rds_iam")


def is_member(url, role, group):
    """Also by way of others, and as one who may only let others in."""
    ((answer,),) = execute(url, "SELECT pg_has_role(%s, %s, 'MEMBER')", role, group)
    return answer


def test_where_there_is_iam_a_role_that_is_made_logs_in_by_it(role, empty_database, rds_iam):
    for _ in range(2):
        migrate(Database(empty_database), MIGRATIONS, role)
        assert is_member(empty_database, role, rds_iam)


def test_a_role_that_is_there_keeps_its_password(role, empty_database, rds_iam):
    execute(empty_database, sql.SQL("CREATE ROLE {} LOGIN PASSWORD 's3cret'").format(sql.Identifier(role)))
    migrate(Database(empty_database), MIGRATIONS, role)
    assert not is_member(empty_database, role, rds_iam)


@pytest.fixture
def owner(role, running):
    """A role that may create roles and is no superuser, as RDS gives it out, and a database that it owns."""
    name = f"owner-{uuid4().hex}"
    execute(running.postgres_url, sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(name)))
    execute(running.postgres_url, sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    yield make_conninfo(running.postgres_url, dbname=name, user=name)
    execute(running.postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    execute(running.postgres_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_the_one_who_migrates_need_not_be_a_superuser(role, owner):
    migrate(Database(owner), MIGRATIONS, role)
    assert execute(make_conninfo(owner, user=role), "SELECT count(id) FROM channels") == [(0,)]


def test_the_one_who_migrates_is_not_one_of_the_others(owner, empty_database):
    ((myself,),) = execute(owner, "SELECT current_user")
    with pytest.raises(MigrationError, match="is the one that migrates, or a superuser"):
        migrate(Database(owner), MIGRATIONS, myself)
    ((superuser,),) = execute(empty_database, "SELECT current_user")
    with pytest.raises(MigrationError, match="is the one that migrates, or a superuser"):
        migrate(Database(owner), MIGRATIONS, superuser)


def test_a_grant_that_grants_nothing_is_an_error(role, owner, running):
    """The chat server's table is somebody else's, who lets us look at it and no more."""
    as_superuser = make_conninfo(running.postgres_url, dbname=psycopg.conninfo.conninfo_to_dict(owner)["dbname"])
    execute(as_superuser, "CREATE TABLE channels (id UUID PRIMARY KEY, guild_id UUID)")
    execute(as_superuser, "GRANT SELECT ON channels TO PUBLIC")
    with pytest.raises(MigrationError, match=r'GRANT SELECT .* ON "channels" .*no privileges were granted'):
        migrate(Database(owner), MIGRATIONS, role)


def test_the_one_who_migrates_keeps_its_password_as_well(role, owner, rds_iam, running):
    name = conninfo_to_dict(owner)["user"]
    # RDS lets its master user grant this without being a member.
    execute(running.postgres_url, sql.SQL("GRANT rds_iam TO {} WITH ADMIN OPTION").format(sql.Identifier(name)))
    before = execute(owner, "SELECT rolname FROM pg_roles ORDER BY rolname")
    migrate(Database(owner), MIGRATIONS, role)
    assert is_member(owner, role, rds_iam)
    assert not is_member(owner, name, role)
    after = execute(owner, "SELECT rolname FROM pg_roles WHERE rolname <> %s ORDER BY rolname", role)
    assert after == before
    assert execute(make_conninfo(owner, user=role), "SELECT count(id) FROM channels") == [(0,)]
