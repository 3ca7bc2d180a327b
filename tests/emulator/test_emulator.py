"""Functions in processes of their own, on Lambda's runtime emulator."""

import json
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest

from emulator.emulator import binary, emulated
from guildhook_local.chat_server import Fault
from guildhook_local.poller import EventSourceMapping
from project import ROOT
from samples import event, sqs_event

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
# A plugin is run only if 15 s are left for its sends.
SHORT_SECONDS = 20

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the emulator is a program for Linux x86_64"
)


@pytest.fixture
def emulator(system, tmp_path):
    """Starts a function, configured as the system's are; `environment` is added, and None takes a variable away."""
    emulator_binary = binary()
    if emulator_binary is None:
        pytest.skip("the emulator comes with the SAM CLI: run `make .venv-sam/stamp`")

    def emulator(function, timeout_seconds=60, **environment):
        variables = {name: value for name, value in {**system.environment, **environment}.items() if value is not None}
        return emulated(emulator_binary, function, variables, tmp_path / "log", timeout_seconds)

    return emulator


@pytest.fixture
def guild(system):
    """A guild with ping, compiled."""
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.compile(PING)
    return guild


def contents(system):
    return [reply["content"] for reply in system.chat.replies()]


def backends(query):
    """The processes of Postgres that serve the connections of functions."""
    connections = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'guildhook' AND datname = current_database()"
    )
    return {pid for (pid,) in query(connections)}


def test_the_first_invocation_starts_a_process_and_the_next_finds_it_warm(system, guild, emulator, query):
    with emulator("on_message") as function:
        before = backends(query)
        answers, connections = [], []
        for _ in range(2):
            answers.append(function.invoke(sqs_event(event(guild.id, guild.channel_id))))
            connections.append(backends(query) - before)
        metrics = function.metrics()
    assert answers == [b'{"batchItemFailures": []}'] * 2
    assert contents(system) == ["pong", "pong"]
    assert [line["ColdStart"] for line in metrics if "ColdStart" in line] == [[1.0]]
    cold, warm = [line for line in metrics if "records" in line]
    assert (cold["modules_s3"], warm["modules_memory"]) == ([1.0], [1.0])
    assert len(connections[0]) == 1
    assert connections[0] == connections[1]


def test_a_failed_record_is_named_by_its_id(system, guild, emulator):
    with emulator("on_message") as function:
        answer = function.invoke(sqs_event("no JSON", event(guild.id, guild.channel_id)))
    assert answer == b'{"batchItemFailures": [{"itemIdentifier": "record-0"}]}'
    assert contents(system) == ["pong"]


def test_a_function_that_is_out_of_time_is_killed_and_the_next_process_sends_nothing_twice(
    system, guild, emulator, query
):
    answers = []

    def handler(event, _context):
        answers.append(process.invoke(event))
        return json.loads(answers[-1])

    system.chat.say(guild.channel_id, "ada", "!ping")
    # The chat server shows the message but does not answer.
    system.chat.inject(Fault(delay_seconds=3_600, after_storing=True))
    with emulator("on_message", timeout_seconds=SHORT_SECONDS) as process, ThreadPoolExecutor(1) as other_thread:
        process.invoke(sqs_event())  # the emulator counts the start as well
        mapping = EventSourceMapping(system.aws.client("sqs"), system.queue.url, "on_message", handler)
        polled = other_thread.submit(mapping.poll)
        system.chat.wait_for_replies(1, SHORT_SECONDS)
        process.freeze_function()
        polled.result()
        assert contents(system) == ["pong"]
        assert answers == [b"Task timed out after 20.00 seconds"]
        # The queue has the message again, and then the event of the reply.
        while mapping.poll():
            pass
    assert set(answers[1:]) == {b'{"batchItemFailures": []}'}
    assert contents(system) == ["pong"]
    assert query("SELECT state FROM plugin_intents") == [("delivered",)]


def test_a_wrong_environment_ends_the_start_with_one_line(emulator):
    with emulator("on_message", GUILDHOOK_CHAT_API_URL=None, GUILDHOOK_RETRY_SECONDS="soon") as function:
        assert function.invoke(sqs_event()) == b""
        (line,) = [line for line in function.log().splitlines() if line.startswith("guildhook: ")]
    assert "GUILDHOOK_CHAT_API_URL" in line
    assert "GUILDHOOK_RETRY_SECONDS" in line


def test_the_http_api_answers_as_its_second_version_wants(emulator):
    with emulator("admin_api") as function:
        answer = json.loads(function.invoke(json.loads((ROOT / "events" / "api-health.json").read_text())))
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["isBase64Encoded"] is False
    assert json.loads(answer["body"])["status"] == "ok"
