"""Functions in containers with Python 3.13, as `sam build` makes them for a deploy."""

import json

import pytest

import wat
from guildhook_local.poller import EventSourceMapping
from project import ROOT

EVENTS = ROOT / "events"
PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
# 700 MB is more than the function has.
EATS_MEMORY = wat.plugin(
    wat.on_message(
        "(drop (memory.grow (i32.const 12000))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 700000000))"
    )
)


def mapping(system, sam, function, queue_url, invocations):
    """Return an event source mapping, which invokes the function in a container of its own for each batch."""

    def handler(event, _context):
        invocations.append(sam.invoke(function, event))
        answer = json.loads(invocations[-1].answer)
        if "errorType" in answer:
            raise RuntimeError(answer["errorMessage"])
        return answer

    return EventSourceMapping(system.aws.client("sqs"), queue_url, function, handler)


def contents(system):
    return [reply["content"] for reply in system.chat.replies()]


def waiting(system):
    """Return the bodies of the messages in the queue."""
    answer = system.aws.client("sqs").receive_message(QueueUrl=system.queue.url, MaxNumberOfMessages=10)
    return sorted(message["Body"] for message in answer.get("Messages", []))


def test_on_message_answers_a_message_and_returns_a_malformed_record(system, guild, sam):
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.chat.say(guild.channel_id, "ada", "!ping")
    system.send_event("no JSON")
    invocations = []
    assert mapping(system, sam, "OnMessage", system.queue.url, invocations).poll() == 2
    assert contents(system) == ["pong"]
    (invocation,) = invocations
    assert len(json.loads(invocation.answer)["batchItemFailures"]) == 1
    assert invocation.metrics["records"] == [2.0]
    # The queue also has the event of the reply.
    assert [body for body in waiting(system) if "created" not in body] == ["no JSON"]


def test_on_message_takes_from_s3_an_artifact_that_compile_plugin_made_in_another_container(system, guild, sam):
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    compiled = sam.invoke("CompilePlugin", EVENTS / "compile-request.json")
    assert json.loads(compiled.answer) == {"batchItemFailures": []}
    assert compiled.metrics["plugins_compiled"] == [1.0]
    answered = sam.invoke("OnMessage", EVENTS / "message-created.json")
    assert json.loads(answered.answer) == {"batchItemFailures": []}
    assert answered.metrics["modules_s3"] == [1.0]
    assert contents(system) == ["pong"]
    assert answered.container != compiled.container


def test_a_function_that_is_out_of_memory_is_killed_and_its_message_comes_back(system, guild, sam, query):
    system.install(guild, "eats-memory", EATS_MEMORY)
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.chat.say(guild.channel_id, "ada", "!ping")
    invocations = []
    assert mapping(system, sam.with_memory(256), "OnMessage", system.queue.url, invocations).poll() == 1
    assert json.loads(invocations[0].answer)["errorMessage"].endswith("signal: killed")
    assert contents(system) == []
    query("UPDATE plugins SET enabled = false WHERE name = 'eats-memory'")
    assert mapping(system, sam, "OnMessage", system.queue.url, invocations).poll() == 1
    assert contents(system) == ["pong"]


def test_a_wrong_environment_ends_the_start_with_one_line(system, sam):
    environment = json.loads(sam.environment.read_text())
    environment["Parameters"] |= {"GUILDHOOK_CHAT_SECRET": "", "GUILDHOOK_GUILD_SENDS_PER_MINUTE": "many"}
    sam.environment.write_text(json.dumps(environment))
    invocation = sam.invoke("OnMessage", EVENTS / "message-created.json")
    assert invocation.answer == ""
    (line,) = [line for line in invocation.log.splitlines() if line.startswith("guildhook: ")]
    assert "GUILDHOOK_CHAT_SECRET" in line
    assert "GUILDHOOK_GUILD_SENDS_PER_MINUTE" in line


@pytest.mark.parametrize(
    ("function", "event", "answer"),
    [
        ("CompilePlugin", "upload", {"batchItemFailures": []}),
        (
            "Sweep",
            "schedule",
            {
                "requeued": 0,
                "given_up": 0,
                "runs_deleted": 0,
                "usage_deleted": 0,
                "audit_deleted": 0,
                "versions_abandoned": 0,
                "versions_stuck": 0,
                "versions_adopted": 0,
            },
        ),
        ("Migrate", "migrate", {"applied": []}),
        (
            "Erase",
            "erase-find",
            {"action": "find", "done": True, "cursor": None, "found": {}, "exported": {}, "erased": {}, "mentions": []},
        ),
    ],
)
def test_the_other_functions_take_the_events_of_the_samples(system, guild, sam, function, event, answer):
    invocation = sam.invoke(function, EVENTS / f"{event}.json")
    assert invocation.answer, invocation.log
    # The answer of Erase also has its files, and copies with their dates.
    answered = json.loads(invocation.answer)
    assert {name: answered[name] for name in answer} == answer
