"""No message's content, plugin's log or setting, and no secret, is in anything that the functions print or trace."""

import json
from uuid import uuid4

import pytest

import wat
from artifacts import publish
from guildhook_local.aws import create_secret
from guildhook_local.stack import COMPILE_PLUGIN, ON_MESSAGE, SWEEP
from http_server import Answer, http_server
from invocation import invoke
from samples import event, sqs_event

# No part of these texts is a word that the functions print.
CONTENT, SETTING, LOGGED, REPLY = "c0ntent-Zq7", "s3tting-Zq7", "l0gged-Zq7", "r3ply-Zq7"
MARK = "-Zq7"
# All logging that an operator can switch on.
TALKATIVE = {
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "POWERTOOLS_LOGGER_SAMPLE_RATE": "1",
    "POWERTOOLS_TRACER_CAPTURE_RESPONSE": "true",
    "POWERTOOLS_TRACER_CAPTURE_ERROR": "true",
}


@pytest.fixture
def told(system, daemon):
    """Invokes a function; returns the invocation, and the text that it prints and traces."""

    def told(app, *events, **variables):
        invoked = invoke(app, {**system.environment, **TALKATIVE, **daemon.environment(), **variables}, *events)
        return invoked, invoked.out + invoked.err + json.dumps(daemon.take())

    return told


@pytest.fixture
def guild(system):
    guild = system.add_guild()
    plugins = {
        "echoes": wat.ECHOES_TO_LOG,
        "logs": wat.logs(LOGGED),
        "sends": wat.sends((str(guild.channel_id), REPLY)),
        "traps": wat.sends((str(guild.channel_id), REPLY), then="unreachable"),
        "loops": wat.LOOPS,
    }
    publish(system, *plugins.values())
    plugins["garbage"] = f"no wasm {LOGGED}".encode()
    for name, wasm in plugins.items():
        system.install(guild, name, wasm, {"SEND_MESSAGES"}, {"word": SETTING})
    return guild


def say(guild, **fields):
    return event(guild.id, guild.channel_id, content=f"some {CONTENT}", **fields)


def outcomes(invoked):
    return {line["outcome"] for line in invoked.lines if "outcome" in line}


def test_runs_that_succeed_or_fail_reveal_no_content(guild, told):
    invoked, all_of_it = told(ON_MESSAGE, sqs_event(say(guild), say(guild)))
    assert outcomes(invoked) == {"ok", "trap", "out_of_fuel", "invalid"}
    assert "message delivered" in all_of_it
    assert MARK not in all_of_it


@pytest.mark.parametrize(
    ("status", "said"),
    [*((status, "message not delivered") for status in (200, 400, 403, 429, 500)), (201, "message delivered")],
)
def test_an_answer_of_the_chat_server_that_quotes_the_message_reveals_no_content(guild, told, status, said):
    body = json.dumps({"error": f"not {REPLY}", "message": REPLY, "id": REPLY}).encode()
    with http_server(Answer(body, status, headers={"Retry-After": REPLY})) as chat:
        _, all_of_it = told(ON_MESSAGE, sqs_event(say(guild)), GUILDHOOK_CHAT_API_URL=chat.url)
    assert said in all_of_it
    assert MARK not in all_of_it


def test_records_that_are_skipped_malformed_or_changed_reveal_no_content(guild, told):
    first = say(guild)
    bodies = [
        say(guild, encrypted=True),
        say(guild, message_type="system"),
        say(guild, author={"id": "1", "username": CONTENT, "bot": True}),
        say(guild, message_type=f"a {CONTENT}"),
        say(guild, id=f"a {CONTENT}"),
        say(guild, created_at=f"a {CONTENT}"),
        say(guild, author=f"a {CONTENT}"),
        event(guild.id, guild.channel_id, content=[CONTENT]),
        {**say(guild), "type": f"a {CONTENT}"},
        {CONTENT: CONTENT},
        f'{{"{CONTENT}": ',
        f'"{CONTENT}"',
        f'"\\ud800 {CONTENT}"',
        first,
        {**first, "message": {**first["message"], "content": f"{CONTENT} again"}},
    ]
    invoked, all_of_it = told(ON_MESSAGE, sqs_event(*bodies))
    told_of = {line["event_id"] for line in invoked.lines if line["message"] in ("record failed", "record skipped")}
    assert len(told_of) == 14
    assert MARK not in all_of_it


def test_a_malformed_record_of_sqs_reveals_no_content(told):
    records = sqs_event(CONTENT)["Records"]
    records[0]["attributes"]["SentTimestamp"] = CONTENT
    _, all_of_it = told(ON_MESSAGE, {"Records": records}, {"Records": CONTENT}, {CONTENT: CONTENT})
    assert MARK not in all_of_it


def test_a_guild_over_its_budget_and_a_plugin_in_quarantine_reveal_no_content(guild, told):
    batches = [sqs_event(say(guild)) for _ in range(2)]
    _, all_of_it = told(ON_MESSAGE, *batches, GUILDHOOK_QUARANTINE_FAILURES_IN_A_ROW="1")
    assert "plugin quarantined" in all_of_it
    assert "plugin not run" in all_of_it
    _, more = told(ON_MESSAGE, sqs_event(say(guild)), GUILDHOOK_GUILD_LOG_BYTES_PER_MINUTE="1")
    assert "is over its budget" in more
    assert MARK not in all_of_it + more


@pytest.mark.parametrize(
    ("variable", "value", "failed"),
    [
        ("GUILDHOOK_DATABASE_URL", "postgresql://ada:p4ss-Zq7@127.0.0.1:1/chat", "record failed"),
        ("GUILDHOOK_CHAT_API_URL", "http://ada:p4ss-Zq7@127.0.0.1:1", "message not delivered"),
    ],
)
def test_failing_infrastructure_reveals_no_content(guild, told, variable, value, failed):
    _, all_of_it = told(ON_MESSAGE, sqs_event(say(guild)), **{variable: value})
    assert failed in all_of_it
    assert MARK not in all_of_it


def test_a_statement_that_postgres_refuses_reveals_no_content(guild, told, query):
    # The text of the database's error would quote the row.
    query("ALTER TABLE plugin_intents ADD CHECK (content NOT LIKE '%Zq7')")
    _, all_of_it = told(ON_MESSAGE, sqs_event(say(guild)))
    assert "CheckViolation, SQLSTATE 23514" in all_of_it
    assert MARK not in all_of_it


def test_compiling_and_sweeping_reveal_no_content(system, guild, told, query):
    told(ON_MESSAGE, sqs_event(say(guild)), GUILDHOOK_CHAT_API_URL="http://127.0.0.1:1")
    query("UPDATE plugin_runs SET created_at = now() - interval '25 hours'")
    swept, all_of_it = told(SWEEP, {}, {CONTENT: CONTENT})
    assert swept.answers[0]["given_up"] == 1
    compiled, more = told(COMPILE_PLUGIN, sqs_event({CONTENT: CONTENT}, f'{{"{CONTENT}'))
    assert len(compiled.answers[0]["batchItemFailures"]) == 2
    assert MARK not in all_of_it + more


def test_secrets_of_the_functions_are_not_revealed(system, guild, told):
    token = system.chat.service_token
    _, all_of_it = told(ON_MESSAGE, sqs_event(say(guild)))
    assert "message delivered" in all_of_it
    # The chat server now refuses the token, and Postgres the password.
    system.chat.service_token = "another"
    create_secret(system.aws, name := f"database-{uuid4().hex}", {"username": "ada", "password": "p4ss-Zq7"})
    _, refused = told(ON_MESSAGE, sqs_event(say(guild)))
    assert "HTTP 401" in refused
    _, locked_out = told(ON_MESSAGE, sqs_event(say(guild)), GUILDHOOK_DATABASE_SECRET=name)
    assert "record failed" in locked_out
    for secret in (token, MARK):
        assert secret not in all_of_it + refused + locked_out
