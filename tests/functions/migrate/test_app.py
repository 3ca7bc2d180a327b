import json
import subprocess
import sys
import time

import psycopg
import pytest
from psycopg import sql

from guildhook.errors import InfrastructureError, MigrationError
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import MIGRATE, MIGRATIONS
from http_server import Answer, http_server
from samples import resource_request

ALL = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
CONTEXT = LambdaContext("migrate", "request", deadline=time.monotonic() + 3_600)
OUT_OF_REACH = "postgresql://someone:s3cret@127.0.0.1:1/chat"


def invoke(url, event, **environment):
    with loaded_function(MIGRATE, {"GUILDHOOK_DATABASE_URL": url, **environment}) as handler:
        return handler(event, CONTEXT)


def provide(url, request_type, **fields):
    """The answer to CloudFormation."""
    with http_server(Answer()) as server:
        invoke(url, resource_request(server.url, "Custom::Migration", request_type, **fields))
    (upload,) = server.uploads
    return json.loads(upload.body)


def execute(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement)


def break_it(url):
    """Create the table of a migration beforehand, so that the migration fails."""
    execute(url, "CREATE TABLE plugin_state (secret TEXT)")
    execute(url, "INSERT INTO plugin_state VALUES ('s3cret')")


@pytest.mark.parametrize("event", [{}, None])
def test_an_invocation_brings_the_database_up_to_date_and_a_second_does_nothing(empty_database, event):
    assert invoke(empty_database, event) == {"applied": ALL}
    assert invoke(empty_database, event) == {"applied": []}


def test_applied_migrations_are_logged(empty_database, capsys):
    invoke(empty_database, {})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["migration"] for line in lines if line.get("message") == "migration applied"] == ALL


def test_a_step_that_fails_is_named_in_one_line_without_data_of_the_tables(empty_database):
    break_it(empty_database)
    with pytest.raises(MigrationError) as raised:
        invoke(empty_database, {})
    assert str(raised.value) == (
        'migration 20261124000004_add_plugin_state failed: relation "plugin_state" already exists'
    )


def test_a_database_out_of_reach_is_named_in_one_line_without_the_password():
    with pytest.raises(InfrastructureError) as raised:
        invoke(OUT_OF_REACH, {})
    text = str(raised.value)
    assert text.startswith("database at 127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)")
    assert "s3cret" not in text
    assert "\n" not in text


def test_cloudformation_is_told_how_many_were_applied(empty_database):
    created = provide(empty_database, "Create")
    assert (created["Status"], created["Data"]) == ("SUCCESS", {"Applied": len(ALL)})
    updated = provide(empty_database, "Update", PhysicalResourceId=created["PhysicalResourceId"])
    assert (updated["Status"], updated["Data"]) == ("SUCCESS", {"Applied": 0})
    assert updated["PhysicalResourceId"] == created["PhysicalResourceId"]


def test_a_stack_is_deleted_without_its_database(empty_database):
    assert provide(empty_database, "Delete")["Status"] == "SUCCESS"
    assert execute(empty_database, "SELECT to_regclass('plugins')").fetchone() == (None,)
    assert provide(OUT_OF_REACH, "Delete")["Status"] == "SUCCESS"


def test_a_failed_migration_fails_the_deploy_with_the_reason(empty_database, capsys):
    break_it(empty_database)
    answer = provide(empty_database, "Update", PhysicalResourceId="as it was")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "as it was")
    assert answer["Reason"].endswith('relation "plugin_state" already exists')
    answer = provide(OUT_OF_REACH, "Create")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("database at 127.0.0.1:1/chat")
    assert "s3cret" not in json.dumps(answer) + capsys.readouterr().out


def test_a_failed_deploy_that_is_repaired_goes_on_where_it_stopped(empty_database):
    break_it(empty_database)
    assert provide(empty_database, "Create")["Status"] == "FAILED"
    execute(empty_database, "DROP TABLE plugin_state")
    left = ALL[ALL.index("20261124000004_add_plugin_state") :]
    assert invoke(empty_database, {}) == {"applied": left}


def test_an_answer_that_cannot_be_delivered_makes_lambda_try_again(empty_database):
    with pytest.raises(InfrastructureError, match="NewConnectionError"):
        invoke(empty_database, resource_request("http://127.0.0.1:1", "Custom::Migration"))
    assert provide(empty_database, "Create")["Data"] == {"Applied": 0}


def test_the_role_of_the_other_functions_is_made(role, empty_database):
    invoke(empty_database, {}, GUILDHOOK_DATABASE_ROLE=role)
    question = sql.SQL("SELECT rolcanlogin FROM pg_roles WHERE rolname = {}").format(sql.Literal(role))
    assert execute(empty_database, question).fetchone() == (True,)


def test_a_missing_variable_ends_the_invocation_with_one_line():
    command = [sys.executable, "-c", "import app; app.handler({}, None)"]
    ended = subprocess.run(command, env={"PYTHONPATH": str(MIGRATE)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("guildhook: wrong environment: GUILDHOOK_DATABASE_URL: ")


def test_the_migrations_are_built_into_the_function(tmp_path):
    """SAM copies the folder, follows the link in it, and runs make in the copy."""
    assert (MIGRATE / "migrations").resolve() == MIGRATIONS
    subprocess.run(["make", "build-Migrate", f"ARTIFACTS_DIR={tmp_path}"], cwd=MIGRATE, check=True, capture_output=True)
    built = tmp_path / "migrations"
    assert not built.is_symlink()
    assert sorted(path.stem for path in built.iterdir()) == ALL
    for name in ("app.py", "function.py"):
        assert (tmp_path / name).read_bytes() == (MIGRATE / name).read_bytes()
