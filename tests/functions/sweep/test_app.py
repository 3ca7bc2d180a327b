import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guildhook.errors import InfrastructureError
from guildhook_local.function import loaded_function
from guildhook_local.poller import EventSourceMapping, LambdaContext
from guildhook_local.stack import ON_MESSAGE, SWEEP

PING = (Path(__file__).parents[3] / "plugins" / "ping" / "ping.wasm").read_bytes()


def in_time(seconds=3_600):
    return LambdaContext("sweep", "request", deadline=time.monotonic() + seconds)


@pytest.fixture
def guild(system):
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    return guild


@pytest.fixture
def forgotten(system, guild, query):
    """Two answers that the chat server never got, and that the queue has given up: their event is a dead letter."""
    for _ in range(2):
        system.chat.say(guild.channel_id, "ada", "!ping")
    with loaded_function(ON_MESSAGE, {**system.environment, "GUILDHOOK_CHAT_API_URL": "http://127.0.0.1:1"}) as handler:
        mapping = EventSourceMapping(system.aws.client("sqs"), system.queue.url, "on_message", handler)
        while mapping.poll():
            pass
    assert query("SELECT state FROM plugin_intents") == [("pending",)] * 2
    query("UPDATE plugin_intents SET updated_at = now() - interval '31 minutes'")


def contents(system):
    return [reply["content"] for reply in system.chat.replies()]


def test_what_was_forgotten_is_put_back_and_delivered_once(system, forgotten, query):
    assert system.sweep_handler({}, in_time())["requeued"] == 2
    assert system.sweep_handler({}, in_time())["requeued"] == 0
    while system.mapping.poll():
        pass
    assert contents(system) == ["pong"] * 2
    assert query("SELECT DISTINCT state FROM plugin_intents") == [("delivered",)]
    assert query("SELECT runs FROM plugin_usage") == [(2,)]


def test_what_is_a_day_old_is_given_up_and_said(system, forgotten, query, capsys):
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


def test_what_is_given_up_is_said_even_if_the_queue_then_fails(system, forgotten, query, capsys):
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
    assert system.sweep_handler({}, in_time()) == {
        "requeued": 0,
        "given_up": 0,
        "runs_deleted": 2,
        "usage_deleted": 1,
    }
    assert query("SELECT count(*) FROM plugin_intents") == [(0,)]


def test_without_time_nothing_is_begun_and_the_next_sweep_does_it(system, forgotten):
    assert set(system.sweep_handler({}, in_time(seconds=1)).values()) == {0}
    assert system.sweep_handler({}, in_time())["requeued"] == 2


def test_a_missing_variable_ends_the_start_with_one_line(system):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_EVENT_QUEUE_URL"}
    ended = subprocess.run([sys.executable, SWEEP], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_EVENT_QUEUE_URL: missing; wants: queue of message-created events\n"
    )
