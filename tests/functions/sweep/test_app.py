import json
import subprocess
import sys
import time

import psycopg
import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.poller import EventSourceMapping
from guildhook_local.stack import ON_MESSAGE, SWEEP
from project import ROOT
from versions import add_plugin, announce

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()


def in_time(seconds=3_600):
    return LambdaContext("sweep", "request", deadline=time.monotonic() + seconds)


@pytest.fixture
def guild(system):
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    return guild


@pytest.fixture
def forgotten(system, guild, query):
    """Two pending replies whose event has become a dead letter, so that the queue delivers them no more."""
    for _ in range(2):
        system.chat.say(guild.channel_id, "ada", "!ping")
    environment = {**system.environment, "GUILDHOOK_CHAT_API_URL": "http://127.0.0.1:1"}
    with loaded_function(ON_MESSAGE, environment) as handler:
        mapping = EventSourceMapping(system.aws.client("sqs"), system.queue.url, "on_message", handler)
        while mapping.poll():
            pass
    assert query("SELECT state FROM plugin_intents") == [("pending",)] * 2
    query("UPDATE plugin_intents SET updated_at = now() - interval '31 minutes'")


def contents(system):
    return [reply["content"] for reply in system.chat.replies()]


def test_forgotten_messages_are_requeued_and_delivered_once(system, forgotten, query):
    assert system.sweep_handler({}, in_time())["requeued"] == 2
    assert system.sweep_handler({}, in_time())["requeued"] == 0
    while system.mapping.poll():
        pass
    assert contents(system) == ["pong"] * 2
    assert query("SELECT DISTINCT state FROM plugin_intents") == [("delivered",)]
    assert query("SELECT runs FROM plugin_usage") == [(2,)]


def test_messages_that_are_pending_for_a_day_are_given_up_and_logged(system, forgotten, query, capsys):
    query("UPDATE plugin_runs SET created_at = now() - interval '25 hours'")
    swept = system.sweep_handler({}, in_time())
    assert (swept["given_up"], swept["requeued"]) == (2, 0)
    # The second message to the channel waited behind the first.
    waiting, tried = sorted(detail for (detail,) in query("SELECT detail FROM plugin_intents"))
    assert waiting == "EXPIRED "
    assert tried.startswith("EXPIRED chat API at http://127.0.0.1:1 (GUILDHOOK_CHAT_API_URL): NewConnectionError")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    given_up = [line for line in lines if line.get("message", "").startswith("message given up")]
    assert len(given_up) == 2
    assert next(line for line in lines if "deliveries_given_up" in line)["deliveries_given_up"] == [2.0]


def test_messages_that_are_given_up_are_logged_even_if_the_queue_then_fails(system, forgotten, query, capsys):
    query(
        """UPDATE plugin_runs SET created_at = now() - interval '25 hours'
           WHERE id = (SELECT id FROM plugin_runs LIMIT 1)"""
    )
    queue = {"GUILDHOOK_EVENT_QUEUE_URL": f"{system.aws.endpoint}/000000000000/nowhere"}
    with (
        loaded_function(SWEEP, {**system.environment, **queue}) as handler,
        pytest.raises(InfrastructureError, match="GUILDHOOK_EVENT_QUEUE_URL"),
    ):
        handler({}, in_time())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([line for line in lines if line.get("message", "").startswith("message given up")]) == 1
    assert next(line for line in lines if "deliveries_given_up" in line)["deliveries_given_up"] == [1.0]


def test_old_runs_and_counts_are_deleted(system, guild, forgotten, query):
    query("UPDATE plugin_intents SET state = 'delivered'")
    query("UPDATE plugin_runs SET created_at = now() - interval '31 days'")
    query("UPDATE plugin_usage SET hour = hour - interval '91 days'")
    swept = system.sweep_handler({}, in_time())
    assert {name: count for name, count in swept.items() if count} == {
        "runs_deleted": 2,
        "usage_deleted": 1,
        "versions_adopted": 1,
    }
    assert query("SELECT count(*) FROM plugin_intents") == [(0,)]


def test_version_checks_that_nobody_finished_are_ended(system, query, capsys):
    plugin_id = add_plugin(system)
    for number, state in enumerate(["expected", "uploaded", "checking", "compiling", "ready", "refused"]):
        for _ in range(2):
            announce(system, plugin_id, bytes([number]) * 32, 1, state)
    # One version in each state is old enough, and the other is not.
    query(
        """UPDATE plugin_versions SET wasm_blob = 'wasm', updated_at = now() - CASE
               WHEN state IN ('checking', 'compiling') THEN interval '59 minutes' ELSE interval '23 hours' END
               - (number % 2) * interval '2 hours'"""
    )
    query("UPDATE plugin_versions SET wasm_blob = NULL WHERE state IN ('expected', 'uploaded', 'checking', 'refused')")
    swept = system.sweep_handler({}, in_time())
    assert {name: count for name, count in swept.items() if count} == {"versions_abandoned": 2, "versions_stuck": 2}
    assert query("SELECT state, count(*) FROM plugin_versions GROUP BY state ORDER BY state") == [
        ("checking", 2),
        ("compiling", 2),
        ("expected", 1),
        ("ready", 2),
        ("refused", 2),
        ("uploaded", 1),
    ]
    # Nothing is known against the plugins, so an admin can let them be tried again.
    ended = query("SELECT reason, tries, next_try_at FROM plugin_compile_failures")
    assert ended == [("its check was interrupted, and did not end", 0, None)] * 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([line for line in lines if line.get("message", "").startswith("version not checked")]) == 2
    assert next(line for line in lines if "versions_stuck" in line)["versions_stuck"] == [2.0]
    assert {name for name, count in system.sweep_handler({}, in_time()).items() if count} == set()


def test_wasm_that_was_written_into_plugins_becomes_a_version(system, guild, query):
    add_plugin(system)
    assert system.sweep_handler({}, in_time())["versions_adopted"] == 1
    assert query(
        """SELECT version.id = live_version_id, previous_version_id, revision, number, state, created_by,
                  version.wasm_sha256 = plugin.wasm_sha256, version.wasm_blob = plugin.wasm_blob, wasm_bytes
           FROM plugins AS plugin JOIN plugin_versions AS version ON version.plugin_id = plugin.id"""
    ) == [(True, None, 2, 1, "uploaded", "", True, True, len(PING))]
    while system.compile_mapping.poll():
        pass
    assert query("SELECT state, needs FROM plugin_versions") == [("ready", ["SEND_MESSAGES"])]
    assert system.sweep_handler({}, in_time())["versions_adopted"] == 0
    # And again, over it.
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("UPDATE plugins SET wasm_blob = %s WHERE wasm_blob <> ''", [wat.SILENT])
    assert system.sweep_handler({}, in_time())["versions_adopted"] == 1
    assert query(
        """SELECT live.number, previous.number, revision
           FROM plugins AS plugin
           JOIN plugin_versions AS live ON live.id = live_version_id
           JOIN plugin_versions AS previous ON previous.id = previous_version_id"""
    ) == [(2, 1, 3)]


def test_an_adopted_version_that_nobody_checks_is_asked_for_again(system, guild, query):
    system.sweep_handler({}, in_time())
    # The request to compile is lost.
    sqs, url = system.aws.client("sqs"), system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    (lost,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=lost["ReceiptHandle"])
    query("UPDATE plugin_versions SET updated_at = now() - interval '2 days'")
    for _ in range(2):
        swept = system.sweep_handler({}, in_time())
        assert {name for name, count in swept.items() if count} == set()
    assert [system.compile_mapping.poll(), system.compile_mapping.poll()] == [1, 0]
    assert query("SELECT state FROM plugin_versions") == [("ready",)]


def test_old_audits_shadow_runs_and_requests_are_deleted(system, query):
    plugin_id = add_plugin(system)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        for days in (29, 31, 364, 366):
            connection.execute(
                """INSERT INTO plugin_audit (guild_id, at, actor_id, actor_name, action, detail)
                   VALUES (gen_random_uuid(), now() - make_interval(days => %s), 'ada', 'Ada', 'create', '{}')""",
                [days],
            )
            connection.execute(
                """INSERT INTO plugin_shadow_runs (
                       message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit, duration_us,
                       host_calls, calls, logs, intents, seed, message_time, created_at)
                   VALUES (gen_random_uuid(), %s, gen_random_uuid(), gen_random_uuid(), 'ok', '', 1, 1, 1, 0, '[]',
                       '[]', '[]', 1, now(), now() - make_interval(days => %s))""",
                [plugin_id, days],
            )
    query(
        """INSERT INTO admin_requests VALUES
           ('ada', now() - interval '23 hours', 1), ('bob', now() - interval '25 hours', 1)"""
    )
    swept = system.sweep_handler({}, in_time())
    assert {name: count for name, count in swept.items() if count} == {
        "audit_deleted": 1,
        "runs_deleted": 3,
        "usage_deleted": 1,
    }
    assert query("SELECT actor_id FROM admin_requests") == [("ada",)]
    assert query("SELECT count(*) FROM plugin_audit") == [(3,)]
    assert query("SELECT count(*) FROM plugin_shadow_runs") == [(1,)]


def test_without_time_nothing_is_begun_and_the_next_sweep_does_it(system, forgotten):
    assert set(system.sweep_handler({}, in_time(seconds=1)).values()) == {0}
    assert system.sweep_handler({}, in_time())["requeued"] == 2


def test_a_missing_variable_ends_the_start_with_one_line(system):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_EVENT_QUEUE_URL"}
    command = [sys.executable, str(SWEEP / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_EVENT_QUEUE_URL: missing; wants: queue of message-created events\n"
    )
