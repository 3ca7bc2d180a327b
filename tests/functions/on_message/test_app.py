import json
import re
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import msgspec
import psycopg
import pytest

import wat
from artifacts import publish
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook_local.chat_server import Fault
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.poller import EventSourceMapping
from guildhook_local.stack import ON_MESSAGE
from http_server import Answer, http_server
from postgres_wire import wire_server
from project import ROOT
from samples import FixedKeys, deletion_of, event, failed_records, sqs_event
from versions import add_version

PLUGINS = ROOT / "plugins"
PING = (PLUGINS / "ping" / "ping.wasm").read_bytes()
RUNS = ("plugin_runs", "plugin_shadow_runs")
CONTEXT = LambdaContext("on_message", "request", deadline=time.monotonic() + 3_600)


@pytest.fixture
def guild(system):
    return system.add_guild()


@pytest.fixture
def invoke(system):
    """Hands bodies to the function as one batch and returns the records that must come back."""
    return lambda *bodies: failed_records(system.handler(sqs_event(*bodies), CONTEXT))


def install_ping(system, guild, name="ping"):
    """Add a plugin that is compiled already."""
    publish(system, PING)
    return system.install(guild, name, PING, {"SEND_MESSAGES"})


def contents(system):
    return [reply["content"] for reply in system.chat.replies()]


def test_a_reply_is_delivered(system, guild, query):
    install_ping(system, guild)
    system.chat.say(guild.channel_id, "ada", "!ping")
    assert system.mapping.poll() == 1
    (reply,) = system.chat.replies()
    assert (reply["channel_id"], reply["content"]) == (str(guild.channel_id), "pong")
    assert query("SELECT outcome, detail FROM plugin_runs") == [("ok", "")]
    assert query("SELECT state, detail FROM plugin_intents") == [("delivered", reply["id"])]
    # The reply is a message of a bot, so it reaches the function and no plugin.
    assert [system.mapping.poll(), system.mapping.poll()] == [1, 0]
    assert query("SELECT sum(runs) FROM plugin_usage") == [(1,)]


def test_a_precompiled_plugin_is_taken_from_s3(system, guild):
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.compile(PING)
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        assert handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT) == {"batchItemFailures": []}
    assert contents(system) == ["pong"]
    cached = list(Path(system.environment["GUILDHOOK_CACHE_DIR"]).iterdir())
    assert len(cached) == 1


def test_metrics_say_where_modules_were_found(system, guild, invoke, capsys):
    install_ping(system, guild)
    system.compile(PING)
    capsys.readouterr()
    for _ in range(2):
        invoke(event(guild.id, guild.channel_id))
    metrics = metrics_of(capsys.readouterr().out)
    assert [line["modules_s3"] for line in metrics if "modules_s3" in line] == [[1.0]]
    assert [line["modules_memory"] for line in metrics if "modules_memory" in line] == [[1.0]]


RESTORED = """
import json, os, random, sys, time
import psycopg
from app import handler
from guildhook_local.function import LambdaContext
from snapshot_restore_py import get_after_restore, get_before_snapshot

ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'guildhook' AND datname = current_database()"
with psycopg.connect(os.environ["GUILDHOOK_DATABASE_URL"], autocommit=True) as connection:
    connections = lambda: {pid for (pid,) in connection.execute(ours)}
    before, state = connections(), random.getstate()
    for hook, arguments, options in [*get_before_snapshot(), *get_after_restore()]:
        hook(*arguments, **options)
    # Postgres may not have ended the earlier ones yet.
    own = len(connections() - before)
answer = handler(json.loads(sys.argv[1]), LambdaContext("on_message", "request", time.monotonic() + 60))
print(json.dumps([own, random.getstate() != state, answer]))
"""


def test_a_process_restored_from_a_snapshot_has_connections_and_random_numbers_of_its_own(system, guild):
    install_ping(system, guild)
    restored = subprocess.run(
        [sys.executable, "-c", RESTORED, json.dumps(sqs_event(event(guild.id, guild.channel_id)))],
        cwd=ON_MESSAGE,
        env=dict(system.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(restored.stdout.splitlines()[-1]) == [1, True, {"batchItemFailures": []}]
    assert contents(system) == ["pong"]


def test_a_redelivered_event_sends_nothing_twice_and_runs_nothing_twice(system, guild, invoke, query):
    install_ping(system, guild)
    body = event(guild.id, guild.channel_id)
    assert [invoke(body), invoke(body), invoke(body, body)] == [[], [], []]
    assert contents(system) == ["pong"]
    assert query("SELECT runs FROM plugin_usage") == [(1,)]


@pytest.fixture
def places_of(query):
    """Returns the tables that have a text in any of their rows."""

    def places_of(text):
        tables = [table for (table,) in query("SELECT relname FROM pg_stat_user_tables")]
        return {table for table in tables if query(f"SELECT 1 FROM {table} AS each WHERE each::text LIKE '%{text}%'")}

    return places_of


def sweep(system, query):
    """Sweep as the first one does after the two minutes in which batches of before may still be under way."""
    query("UPDATE deleted_messages SET forget_at = now() WHERE forget_at IS NOT NULL")
    return system.sweep_handler({}, CONTEXT)


def install_watcher(system, guild):
    """Add a plugin that answers each message, with a shadow, in a guild that keeps messages."""
    wasm, shadow = wat.sends((str(guild.channel_id), "an answer")), wat.logs("a line")
    publish(system, wasm, shadow)
    plugin_id = system.install(guild, "watcher", wasm, {"SEND_MESSAGES"})
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        add_version(connection, plugin_id, shadow, shadow=True)
        connection.execute("INSERT INTO guild_settings (guild_id, keep_content) VALUES (%s, TRUE)", [guild.id])


def test_a_message_that_is_deleted_in_the_chat_is_forgotten(system, guild, invoke, query, places_of, capsys):
    install_watcher(system, guild)
    kept = event(guild.id, guild.channel_id, content="something else")
    deleted = event(guild.id, guild.channel_id, content="this is my secret")
    assert invoke(kept, deleted) == []
    deleted_id = deleted["message"]["id"]
    assert places_of(deleted_id) == {"plugin_runs", "plugin_shadow_runs"}
    assert places_of("my secret") == {"plugin_runs", "plugin_shadow_runs"}
    before = {table: query(f"SELECT * FROM {table} WHERE message_id = '{kept['message']['id']}'") for table in RUNS}
    capsys.readouterr()
    # It is obeyed once, however often it comes.
    assert [invoke(deletion_of(deleted)), invoke(deletion_of(deleted), deletion_of(deleted))] == [[], []]
    log = capsys.readouterr().out
    lines = [json.loads(line) for line in log.splitlines() if "message deleted in the chat" in line]
    assert [(line["message_id"], line["guild_id"]) for line in lines] == [(deleted_id, str(guild.id))] * 2
    assert log.count('"messages_deleted":[1.0]') == 2
    swept = sweep(system, query)
    assert (swept["messages_forgotten"], swept["runs_deleted"]) == (1, 2)
    assert places_of(deleted_id) == {"deleted_messages"}
    assert places_of("my secret") == set()
    after = {table: query(f"SELECT * FROM {table} WHERE message_id = '{kept['message']['id']}'") for table in RUNS}
    assert after == before
    assert all(before.values())
    # The event itself may still come again.
    runs = query("SELECT sum(runs) FROM plugin_usage")
    assert invoke(deleted) == []
    assert sweep(system, query)["messages_forgotten"] == 0
    assert query("SELECT sum(runs) FROM plugin_usage") == runs
    assert places_of(deleted_id) == {"deleted_messages"}
    assert query("SELECT count(*) FROM plugin_intents") == [(1,)]
    assert contents(system) == ["an answer"] * 2


def test_a_message_whose_deletion_came_first_is_not_run(system, guild, invoke, query, capsys):
    install_ping(system, guild)
    early, together = (event(guild.id, guild.channel_id) for _ in range(2))
    assert invoke(deletion_of(early)) == []
    assert invoke(early, together, deletion_of(together)) == []
    assert contents(system) == []
    assert query("SELECT * FROM plugin_usage") == query("SELECT * FROM plugin_runs") == []
    skipped = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "record skipped" in line]
    assert {line["message_id"]: line["reason"] for line in skipped} == dict.fromkeys(
        (early["message"]["id"], together["message"]["id"]), "it was deleted in the chat"
    )


def test_a_guild_deletes_no_message_of_another(system, guild, invoke, query):
    install_ping(system, guild)
    other = system.add_guild()
    install_ping(system, other)
    first, second = (event(guild.id, guild.channel_id) for _ in range(2))
    assert invoke(first, deletion_of(first, guild_id=str(other.id)), deletion_of(second, guild_id=str(other.id))) == []
    sweep(system, query)
    assert invoke(second) == []
    assert query("SELECT count(*) FROM plugin_runs") == [(2,)]
    assert contents(system) == ["pong"] * 2


def test_a_reply_that_is_deleted_in_the_chat_is_forgotten(system, guild, query):
    install_ping(system, guild)
    system.chat.say(guild.channel_id, "ada", "!ping")
    system.chat.say(guild.channel_id, "ada", "!ping")
    poll_all(system)
    first, second = system.chat.replies()
    assert system.chat.delete(first["id"])
    poll_all(system)
    sweep(system, query)
    assert query("SELECT content, detail FROM plugin_intents") == [("pong", second["id"])]
    assert query("SELECT count(*) FROM plugin_runs") == [(2,)]


def poll_all(system):
    while system.mapping.poll():
        pass


def test_deletions_in_a_guild_without_plugins_leave_no_row(system, guild, invoke, query):
    assert invoke(deletion_of(event(guild.id)), deletion_of(event())) == []
    assert query("SELECT * FROM deleted_messages") == []


def test_deleted_messages_are_noted_as_long_as_events_may_come(system, guild, invoke, query):
    install_ping(system, guild)
    assert invoke(deletion_of(event(guild.id)), deletion_of(event(guild.id))) == []
    query("UPDATE deleted_messages SET deleted_at = now() - interval '29 days'")
    sweep(system, query)
    assert query("SELECT count(*), count(forget_at) FROM deleted_messages") == [(2, 0)]
    query("UPDATE deleted_messages SET deleted_at = now() - interval '31 days'")
    sweep(system, query)
    assert query("SELECT count(*) FROM deleted_messages") == [(0,)]


def test_the_same_event_twice_in_a_batch_is_one_message(system, guild, invoke, query):
    install_ping(system, guild)
    body = event(guild.id, guild.channel_id)
    assert invoke(body, body) == []
    assert contents(system) == ["pong"]
    assert query("SELECT runs FROM plugin_usage") == [(1,)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda body: {"Type": "Notification", "Message": json.dumps(body)},
        lambda body: {"detail-type": "message.created", "detail": body},
    ],
)
def test_events_by_way_of_sns_or_eventbridge_are_understood(system, guild, invoke, wrap):
    install_ping(system, guild)
    assert invoke(wrap(event(guild.id, guild.channel_id))) == []
    assert contents(system) == ["pong"]


def test_a_plugin_that_traps_does_not_stop_the_other_one(system, guild, invoke, query):
    system.install(guild, "bad", wat.TRAPS, {"SEND_MESSAGES"})
    install_ping(system, guild)
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == ["pong"]
    assert query("SELECT name, outcome FROM plugin_runs r JOIN plugins p ON p.id = plugin_id ORDER BY name") == [
        ("bad", "trap"),
        ("ping", "ok"),
    ]


def test_an_endless_loop_beside_a_good_plugin_in_one_batch(system, guild, invoke, query):
    other = system.add_guild()
    system.install(guild, "loops", wat.LOOPS)
    install_ping(system, other)
    assert invoke(event(guild.id, guild.channel_id), event(other.id, other.channel_id)) == []
    assert contents(system) == ["pong"]
    assert sorted(query("SELECT outcome FROM plugin_runs")) == [("ok",), ("out_of_fuel",)]


def test_garbage_in_a_plugins_row_is_invalid_and_the_others_run(system, guild, invoke, query):
    system.install(guild, "garbage", b"this is no wasm")
    install_ping(system, guild)
    bodies = [event(guild.id, guild.channel_id) for _ in range(2)]
    assert invoke(*bodies) == []
    assert contents(system) == ["pong", "pong"]
    rows = query("SELECT outcome, detail FROM plugin_runs ORDER BY outcome")
    assert [outcome for outcome, _ in rows] == ["invalid", "invalid", "ok", "ok"]
    assert "not a WebAssembly component" in rows[0][1]


@pytest.mark.parametrize(
    "fields",
    [
        {"author": {"id": "1", "username": "bot", "display_name": "Bot", "bot": True}},
        {"message_type": "system"},
        {"encrypted": True},
    ],
)
def test_messages_that_are_not_for_plugins_reach_none(system, guild, invoke, query, fields):
    install_ping(system, guild)
    assert invoke(event(guild.id, guild.channel_id, **fields)) == []
    assert contents(system) == []
    assert query("SELECT count(*) FROM plugin_usage") == [(0,)]


def test_a_disabled_plugin_does_not_run(system, guild, invoke, query):
    install_ping(system, guild)
    query("UPDATE plugins SET enabled = false")
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == []
    assert query("SELECT count(*) FROM plugin_usage") == [(0,)]


def test_a_plugin_without_the_permission_sends_nothing_and_its_log_says_why(system, guild, invoke, query):
    system.install(guild, "ping", PING)
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == []
    assert "SEND_MESSAGES" in query("SELECT logs FROM plugin_runs")[0][0][0]


def test_a_plugin_cannot_send_to_another_guild(system, guild, invoke, query):
    other = system.add_guild()
    system.install(guild, "spy", wat.sends((str(other.channel_id), "hello")), {"SEND_MESSAGES"})
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == []
    assert query("SELECT state, detail FROM plugin_intents") == [("refused", "CHANNEL_NOT_IN_GUILD")]


def test_logs_and_sends_with_any_characters_are_recorded(system, guild, invoke, query):
    odd = "a\x00\x01\x1b[31m\x7f\u2028\ufffe\U0001f600'\"\\%s{}"
    system.install(guild, "logs", wat.logs(odd))
    sent = odd.replace("\0", "")
    system.install(guild, "sends", wat.sends((str(guild.channel_id), sent)), {"SEND_MESSAGES"})
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == [sent]
    assert [odd.replace("\0", "\ufffd")] in [logs for (logs,) in query("SELECT logs FROM plugin_runs")]


def test_log_lines_of_the_library_have_the_form_of_the_functions_own(system, guild, invoke, query, capsys):
    install_ping(system, guild)
    system.compile(PING)
    query("UPDATE plugin_artifacts SET object_sha256 = sha256('something else')")
    assert invoke(event(guild.id, guild.channel_id)) == []
    line = next(line for line in capsys.readouterr().out.splitlines() if "is discarded" in line)
    assert json.loads(line)["level"] == "WARNING"


UNSIGNED = "UPDATE plugin_artifacts SET signature = NULL"
FORGED = "UPDATE plugin_artifacts SET signature = substring(signature FOR 32) || decode(repeat('00', 64), 'hex')"


@pytest.mark.parametrize(("change", "discarded"), [(UNSIGNED, False), (FORGED, True)])
def test_an_artifact_without_a_valid_signature_is_asked_for_anew_and_no_message_is_lost(
    system, guild, invoke, query, capsys, change, discarded
):
    install_ping(system, guild)
    query(change)
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == ["pong"]
    out = capsys.readouterr().out.replace(" ", "")
    assert ('"modules_discarded":[1.0]' in out) == discarded
    assert '"modules_compiled":[1.0]' in out
    assert system.compile_mapping.poll() == 1
    # The next process finds it signed.
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    assert '"modules_disk":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_exactly_the_failed_records_come_back(system, guild, invoke, capsys):
    install_ping(system, guild)
    good = event(guild.id, guild.channel_id)
    nowhere = event(guild.id, guild.channel_id)
    del nowhere["guild_id"]
    other = {**event(guild.id, guild.channel_id), "type": "message.edited"}
    joined = event(guild.id, guild.channel_id, message_type="member.joined", author=None)
    caused = event(guild.id, guild.channel_id, causality={"root": None, "hops": 0})
    failed = invoke("{", good, nowhere, other, "", "x" * 1_000_000, joined, caused)
    assert failed == ["record-0", "record-2", "record-4", "record-5"]
    assert contents(system) == ["pong", "pong"]
    log = capsys.readouterr().out
    skipped = [json.loads(line) for line in log.splitlines() if "record skipped" in line]
    assert {each["event_id"]: each["unknown_type"] for each in skipped} == {
        "record-3": '"message.edited"',
        "record-6": '"member.joined"',
    }
    assert skipped[1]["message_id"] == joined["message"]["id"]
    assert '"records_of_unknown_type":[2.0]' in log
    assert "guild_id is missing; a UUID is wanted" in log
    assert "!ping" not in log


def test_a_wholly_bad_batch_is_answered(system):
    assert failed_records(system.handler(sqs_event("{", "["), CONTEXT)) == ["record-0", "record-1"]


def test_poison_records_reach_the_dead_letter_queue_and_their_batch_mates_do_not(system, guild, capsys):
    install_ping(system, guild)
    nowhere = event(channel_id=guild.channel_id)
    del nowhere["guild_id"]
    poison = {
        "not JSON": "x" * 1_000_000,
        "guild_id is missing; a UUID is wanted": json.dumps(nowhere),
        "message.content is 7; a text is wanted": json.dumps(event(guild.id, guild.channel_id, content=7)),
        "type is missing; a text is wanted": "{}",
    }
    for body in poison.values():
        system.send_event(body)
    system.chat.say(guild.channel_id, "ada", "!ping")
    while system.mapping.poll():
        pass
    assert contents(system) == ["pong"]
    dead = system.aws.client("sqs").receive_message(QueueUrl=system.queue.dead_letter_url, MaxNumberOfMessages=10)
    assert sorted(message["Body"] for message in dead["Messages"]) == sorted(poison.values())
    log = capsys.readouterr().out
    assert [reason for reason in poison if reason not in log] == []


def test_a_reply_that_cannot_be_delivered_now_is_delivered_later_without_another_run(system, guild, invoke, query):
    install_ping(system, guild)
    body = event(guild.id, guild.channel_id)
    system.chat.inject(Fault(status=500, times=3))
    assert invoke(body) == ["record-0"]
    assert query("SELECT state FROM plugin_intents") == [("pending",)]
    assert invoke(body) == []
    assert contents(system) == ["pong"]
    assert query("SELECT state FROM plugin_intents") == [("delivered",)]
    assert query("SELECT runs FROM plugin_usage") == [(1,)]


def test_an_answer_lost_after_the_message_was_stored_sends_no_second_one(system, guild, invoke):
    install_ping(system, guild)
    system.chat.inject(Fault(status=500, times=3, after_storing=True))
    body = event(guild.id, guild.channel_id)
    assert [invoke(body), invoke(body)] == [["record-0"], []]
    assert contents(system) == ["pong"]


def test_a_refused_reply_is_recorded_with_the_servers_code_and_not_retried(system, guild, invoke, query):
    install_ping(system, guild)
    unknown = uuid4()
    assert invoke(event(guild.id, unknown)) == []
    assert query("SELECT state, detail FROM plugin_intents") == [("refused", "CHANNEL_NOT_FOUND")]


def test_a_database_that_goes_away_brings_every_record_back(system, guild, invoke, query, capsys):
    install_ping(system, guild)
    bodies = [event(guild.id, guild.channel_id), "{"]
    query("ALTER TABLE plugins RENAME TO elsewhere")
    assert invoke(*bodies) == ["record-0", "record-1"]
    assert "GUILDHOOK_DATABASE_URL" in capsys.readouterr().out
    query("ALTER TABLE elsewhere RENAME TO plugins")
    assert invoke(*bodies) == ["record-1"]
    assert contents(system) == ["pong"]


@pytest.mark.parametrize(
    ("variable", "value", "address"),
    [
        ("GUILDHOOK_DATABASE_URL", "postgresql://someone:s3cret@127.0.0.1:1/chat", "127.0.0.1:1/chat"),
        ("GUILDHOOK_CHAT_API_URL", "http://someone:s3cret@127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_a_server_down_at_start_is_one_line_and_no_crash(system, guild, capsys, variable, value, address):
    install_ping(system, guild)
    with loaded_function(ON_MESSAGE, {**system.environment, variable: value}) as handler:
        (line,) = capsys.readouterr().out.splitlines()
        assert address in json.loads(line)["message"]
        assert f"({variable})" in line
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == ["record-0"]
    assert "s3cret" not in line + capsys.readouterr().out


def reasons(out):
    """The reasons for which records came back, from the log."""
    lines = [json.loads(line) for line in out.splitlines()]
    return [line["reason"] for line in lines if line.get("message") == "record failed"]


def test_a_database_without_migrations_leaves_the_messages_in_the_queue(system, empty_database, guild, capsys):
    with configured(system, DATABASE_URL=empty_database) as handler:
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == ["record-0"]
    (reason,) = reasons(capsys.readouterr().out)
    assert "(GUILDHOOK_DATABASE_URL): a migration is missing: relation " in reason
    assert reason.endswith("invoke the migrate function, or run `guildhook migrate`")


def test_a_database_that_is_too_old_leaves_the_messages_in_the_queue(system, guild, capsys):
    with wire_server("15.4", 150004) as server:
        url = server.url.replace("ada@", "ada:s3cret@")
        with configured(system, DATABASE_URL=url) as handler:
            assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == ["record-0"]
    out = capsys.readouterr().out
    (reason,) = reasons(out)
    assert reason.endswith("(GUILDHOOK_DATABASE_URL): it is PostgreSQL 15; guildhook needs 16 or newer")
    assert "s3cret" not in out


def test_a_bucket_that_is_not_there_leaves_the_messages_in_the_queue(system, guild, capsys):
    install_ping(system, guild)
    system.compile(PING)
    with configured(system, ARTIFACT_BUCKET="no-such-bucket") as handler:
        capsys.readouterr()
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == ["record-0"]
    (reason,) = reasons(capsys.readouterr().out)
    assert "of bucket no-such-bucket (GUILDHOOK_ARTIFACT_BUCKET): HTTP 404 NoSuchBucket: there is no" in reason
    assert contents(system) == []


@pytest.mark.parametrize(
    ("code", "status", "means"),
    [
        ("AccessDenied", 403, "this function's role may not read it; it needs s3:GetObject"),
        ("PermanentRedirect", 301, "the bucket is in another region (eu-west-9)"),
    ],
)
def test_an_object_that_s3_does_not_give_leaves_the_messages_in_the_queue(system, guild, capsys, code, status, means):
    install_ping(system, guild)
    system.compile(PING)
    capsys.readouterr()
    body = event(guild.id, guild.channel_id)
    answer = Answer(
        f"<Error><Code>{code}</Code></Error>".encode(), status, headers={"x-amz-bucket-region": "eu-west-9"}
    )
    with (
        http_server(answer) as s3,
        loaded_function(ON_MESSAGE, {**system.environment, "AWS_ENDPOINT_URL_S3": s3.url}) as handler,
    ):
        assert failed_records(handler(sqs_event(body), CONTEXT)) == ["record-0"]
    (reason,) = reasons(capsys.readouterr().out)
    assert f"(GUILDHOOK_ARTIFACT_BUCKET): HTTP {status} {code}: {means}" in reason
    assert failed_records(system.handler(sqs_event(body), CONTEXT)) == []
    assert contents(system) == ["pong"]


def secret_of(system, content):
    """The name of another secret of the chat server, with this content."""
    name = f"chat-{uuid4()}"
    system.aws.client("secretsmanager").create_secret(Name=name, SecretString=content)
    return name


def test_a_token_that_is_rotated_needs_no_deploy(system, guild, invoke, query):
    install_ping(system, guild)
    assert invoke(event(guild.id, guild.channel_id)) == []
    system.chat.service_token = "another-token"
    system.aws.client("secretsmanager").put_secret_value(
        SecretId=system.environment["GUILDHOOK_CHAT_SECRET"],
        SecretString=json.dumps({"chat_api_token": "another-token"}),
    )
    assert invoke(event(guild.id, guild.channel_id)) == []
    assert contents(system) == ["pong", "pong"]
    assert query("SELECT state FROM plugin_intents") == [("delivered",)] * 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "HTTP 40. ResourceNotFoundException"),
        ("s3cret", "its JSON does not have the expected form"),
        ('{"token": "s3cret"}', "missing required field `chat_api_token`"),
        ('{"chat_api_token": "s3cret\\n"}', "chat_api_token is empty or has"),
    ],
)
def test_a_secret_that_gives_no_token_leaves_the_reply_to_be_sent(system, guild, query, capsys, content, reason):
    install_ping(system, guild)
    name = secret_of(system, content) if content else "nothing"
    body = event(guild.id, guild.channel_id)
    with configured(system, CHAT_SECRET=name) as handler:
        capsys.readouterr()
        assert failed_records(handler(sqs_event(body), CONTEXT)) == ["record-0"]
    out = capsys.readouterr().out
    (said,) = reasons(out)
    assert re.match(rf"secret {name} \(GUILDHOOK_CHAT_SECRET\): .*{reason}", said)
    assert "s3cret" not in out
    assert query("SELECT state, detail FROM plugin_intents") == [("pending", said)]


def test_nothing_secret_is_in_the_environment_or_said(system, guild, capfd):
    install_ping(system, guild)
    assert system.chat.service_token not in "".join(system.environment.values())
    with loaded_function(ON_MESSAGE, {**system.environment, "POWERTOOLS_LOG_LEVEL": "DEBUG"}) as handler:
        assert handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT) == {"batchItemFailures": []}
    assert system.chat.service_token not in "".join(capfd.readouterr())


def test_a_missing_variable_ends_the_start_with_one_line(system):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_ARTIFACT_BUCKET"}
    command = [sys.executable, str(ON_MESSAGE / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_ARTIFACT_BUCKET: missing; wants: S3 bucket of compiled plugins\n"
    )


@pytest.fixture
def secretive(system, guild, query):
    """Install a plugin that has a secret, and logs."""
    plugin_id = system.install(guild, "secretive", wat.logs("ran"))
    system.compile(wat.logs("ran"))
    name = system.environment["GUILDHOOK_SETTINGS_SECRET"]
    text = system.aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    keys = FixedKeys(msgspec.json.decode(text, type=SettingsKeys))
    sealed = Sealer(keys).seal(plugin_id, "api_key", "s3cret").hex()
    query(f"INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES ('{plugin_id}', 'api_key', '\\x{sealed}')")


def settings_secret(system, text):
    name = f"settings-{uuid4()}"
    system.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    return name


def test_a_plugin_with_a_secret_runs_and_the_secret_is_said_nowhere(system, guild, secretive, query, capfd):
    environment = {**system.environment, "POWERTOOLS_LOG_LEVEL": "DEBUG"}
    with loaded_function(ON_MESSAGE, environment) as handler:
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    assert query("SELECT outcome, logs FROM plugin_runs") == [("ok", ["ran"])]
    assert "s3cret" not in "".join(capfd.readouterr())


def test_without_an_answer_of_secrets_manager_the_message_comes_back_and_others_do_not(system, guild, secretive, query):
    other = system.add_guild()
    install_ping(system, other)
    environment = {**system.environment, "GUILDHOOK_SETTINGS_SECRET": "there-is-none"}
    bodies = [event(each.id, each.channel_id) for each in (guild, other)]
    with loaded_function(ON_MESSAGE, environment) as handler:
        assert failed_records(handler(sqs_event(*bodies), CONTEXT)) == ["record-0"]
    assert contents(system) == ["pong"]
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        assert failed_records(handler(sqs_event(*bodies), CONTEXT)) == []
    assert query("SELECT logs FROM plugin_runs ORDER BY created_at") == [(["answered a ping"],), (["ran"],)]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (None, "GUILDHOOK_SETTINGS_SECRET is not set"),
        ('{"settings_key": "of another installation, and long enough"}', "'api_key'"),
    ],
)
def test_a_secret_that_no_key_opens_is_named_with_the_run(system, guild, secretive, query, text, missing):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_SETTINGS_SECRET"}
    if text:
        environment["GUILDHOOK_SETTINGS_SECRET"] = settings_secret(system, text)
    with loaded_function(ON_MESSAGE, environment) as handler:
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    ((outcome, detail),) = query("SELECT outcome, detail FROM plugin_runs")
    assert outcome == "internal"
    assert missing in detail
    assert query("SELECT count(*) FROM plugin_health") == [(0,)]


def test_a_start_does_not_import_cryptography(system):
    code = "import sys, app; print('cryptography' in sys.modules)"
    started = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ON_MESSAGE,
        env=dict(system.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert started.stdout.splitlines()[-1] == "False"


def test_neither_log_nor_metrics_carry_content(system, guild, invoke, capsys):
    system.install(guild, "echo", wat.ECHOES_TO_LOG)
    system.install(guild, "bad", wat.TRAPS)
    invoke(event(guild.id, guild.channel_id, content="the secret words"))
    out = capsys.readouterr().out
    assert "secret words" not in out
    (metrics,) = metrics_of(out)
    assert (metrics["runs_ok"], metrics["runs_trap"], metrics["records"]) == ([1.0], [1.0], [1.0])


def configured(system, **variables):
    """Create the function with further variables, and its event source mapping."""
    environment = {**system.environment, **{f"GUILDHOOK_{name}": value for name, value in variables.items()}}
    return loaded_function(ON_MESSAGE, environment)


def mapping(system, handler):
    return EventSourceMapping(system.aws.client("sqs"), system.queue.url, "on_message", handler)


def test_a_failed_record_stays_invisible_for_longer_than_the_queues_timeout(system, guild):
    install_ping(system, guild)
    system.chat.say(guild.channel_id, "ada", "!ping")
    system.send_event("{")
    system.chat.inject(Fault(status=500, times=3))
    with configured(system, RETRY_SECONDS="3600", LONGEST_RETRY_SECONDS="3600") as handler:
        source = mapping(system, handler)
        assert source.poll() == 2
        # The malformed record is visible at once, so that it soon becomes a dead letter.
        assert [source.poll() for _ in range(3)] == [1, 1, 0]
    assert contents(system) == []


def test_a_queue_that_cannot_be_told_has_a_timeout_of_its_own(system, guild, capsys):
    install_ping(system, guild)
    system.chat.say(guild.channel_id, "ada", "!ping")
    system.chat.inject(Fault(status=500, times=3))
    with configured(system, EVENT_QUEUE_URL=f"{system.aws.endpoint}/000000000000/nowhere") as handler:
        source = mapping(system, handler)
        assert source.poll() == 1
        line = next(line for line in capsys.readouterr().out.splitlines() if "the queue's own timeout" in line)
        assert "(GUILDHOOK_EVENT_QUEUE_URL)" in json.loads(line)["reason"]
        assert source.poll() == 1
    assert contents(system) == ["pong"]


def metrics_of(out):
    """The metrics of each batch."""
    return [json.loads(line) for line in out.splitlines() if '"records"' in line]


def test_a_dead_chat_server_opens_the_circuit_and_metrics_and_log_say_so(system, guild, capsys):
    guilds = [guild, *(system.add_guild() for _ in range(5))]
    for each in guilds:
        install_ping(system, each)
    with configured(system, CHAT_API_URL="http://127.0.0.1:1") as handler:
        capsys.readouterr()
        for _ in range(3):
            bodies = [event(each.id, each.channel_id) for each in guilds]
            assert len(failed_records(handler(sqs_event(*bodies), CONTEXT))) == len(guilds)
    out = capsys.readouterr().out
    metrics = metrics_of(out)
    assert [m["chat_circuits_opened"] for m in metrics] == [[1.0], [0.0], [0.0]]
    assert [m["chat_circuit_open"] for m in metrics] == [[1.0]] * 3
    assert "its circuit has opened" in out
    assert "since the circuit is open: chat API at http://127.0.0.1:1 (GUILDHOOK_CHAT_API_URL): " in out


def test_a_chat_api_that_answers_200_with_nonsense_leaves_the_reply_pending_and_says_why(
    system, guild, query, invoke, capsys
):
    install_ping(system, guild)
    body = event(guild.id, guild.channel_id)
    nonsense = "HTTP 200 to a send; docs/chat-api.md allows 201 and 202"
    with (
        http_server(Answer(b"<html>Sign in</html>")) as portal,
        configured(system, CHAT_API_URL=portal.url) as handler,
    ):
        assert failed_records(handler(sqs_event(body), CONTEXT)) == ["record-0"]
    ((state, detail),) = query("SELECT state, detail FROM plugin_intents")
    assert state == "pending"
    assert detail == f"chat API at {portal.url} (GUILDHOOK_CHAT_API_URL): {nonsense}"
    assert nonsense in capsys.readouterr().out
    # Once the portal answers again, the reply is sent without another run.
    assert invoke(body) == []
    assert contents(system) == ["pong"]
    assert query("SELECT runs FROM plugin_usage") == [(1,)]


def test_quarantine_is_said_in_log_and_metrics_each_time(system, guild, capsys):
    system.install(guild, "bad", wat.TRAPS)
    with configured(system, QUARANTINE_FAILURES_IN_A_ROW="2") as handler:
        for _ in range(3):
            assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    out = capsys.readouterr().out
    metrics = metrics_of(out)
    assert [m["plugins_quarantined"] for m in metrics] == [[0.0], [1.0], [0.0]]
    assert [m["runs_quarantined"] for m in metrics] == [[0.0], [0.0], [1.0]]
    line = json.loads(next(line for line in out.splitlines() if '"plugin quarantined"' in line))
    assert (line["level"], line["reason"], line["pause_seconds"]) == ("WARNING", "failed 2 times in a row", 300)
    assert line["last_error"].startswith("trap: ")


def test_a_guild_over_its_budget_is_said_and_its_message_comes_back(system, guild, capsys):
    install_ping(system, guild)
    with configured(system, GUILD_SENDS_PER_MINUTE="1") as handler:
        bodies = [event(guild.id, guild.channel_id) for _ in range(2)]
        assert failed_records(handler(sqs_event(*bodies), CONTEXT)) == ["record-1"]
    out = capsys.readouterr().out
    assert f"guild {guild.id} is over its budget: its plugins sent 1 messages in a minute; the limit is 1" in out
    assert metrics_of(out)[0]["records_failed"] == [1.0]


def test_a_plugin_remembers_between_invocations(system, guild, invoke):
    counter = (PLUGINS / "counter" / "counter.wasm").read_bytes()
    system.install(guild, "counter", counter, {"SEND_MESSAGES"})
    for tag in "ab":
        assert invoke(event(guild.id, guild.channel_id, content=f"!count {tag}")) == []
    assert contents(system) == ["1 a", "2 b"]


def test_a_reply_carries_its_causality_and_reaches_no_plugin_that_did_not_ask_for_bots(system, guild):
    install_ping(system, guild)
    message = system.chat.say(guild.channel_id, "ada", "!ping")
    while system.mapping.poll():
        pass
    (reply,) = system.chat.replies()
    assert reply["causality"] == {"root": message["id"], "hops": 1}


def test_a_role_without_time_limits_is_named_at_the_start_and_messages_are_handled(system, guild, query, capsys):
    install_ping(system, guild)
    ((name,),) = query("SELECT current_database()")
    query(f'ALTER DATABASE "{name}" RESET ALL')
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        (line,) = (line for line in capsys.readouterr().out.splitlines() if "time limits are missing" in line)
        assert json.loads(line)["level"] == "WARNING"
        assert failed_records(handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    assert contents(system) == ["pong"]
