"""Tests the log and the metrics of real batches, sweeps and compiles."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

import wat
from artifacts import publish
from guildhook.model import run_id
from guildhook.observability.metrics import BY_VERSION
from guildhook_local.chat_server import Fault
from guildhook_local.stack import COMPILE_PLUGIN, ON_MESSAGE, SWEEP
from http_server import Answer, http_server
from invocation import invoke
from samples import event, sqs_event


@pytest.fixture
def guild(system):
    return system.add_guild()


@pytest.fixture
def on_message(system):
    """Invokes the function in a process of its own, once for each batch of bodies."""

    def on_message(*batches, **variables):
        environment = {**system.environment, "POWERTOOLS_LOG_LEVEL": "DEBUG", **variables}
        return invoke(ON_MESSAGE, environment, *(sqs_event(*bodies) for bodies in batches))

    return on_message


def install_sender(system, guild, channel_id=None):
    wasm = wat.sends((str(channel_id or guild.channel_id), "hello"))
    publish(system, wasm)
    return system.install(guild, "sends", wasm, {"SEND_MESSAGES"})


def said(invoked, message):
    return [line for line in invoked.lines if line["message"] == message]


def ids(body, guild, plugin=None, record="record-0", run=True):
    message = body["message"]["id"]
    found = {"event_id": record, "message_id": message, "guild_id": str(guild.id)}
    if plugin:
        found["plugin_id"] = str(plugin)
    return {**found, "run_id": run_id(message, plugin)} if plugin and run else found


def assert_has(lines, *expected):
    """Each line has these keys and values, and no other id."""
    names = ("event_id", "message_id", "guild_id", "plugin_id", "run_id")
    assert [{name: line[name] for name in names if name in line} for line in lines] == list(expected)


def test_every_run_and_delivery_is_said_with_all_its_ids_where_debug_is_on(system, guild, on_message):
    publish(system, wat.SILENT)
    plugin, silent = install_sender(system, guild), system.install(guild, "silent", wat.SILENT)
    first, second = event(guild.id, guild.channel_id), event(guild.id, guild.channel_id)
    invoked = on_message([first, second])
    expected = [ids(body, guild, p, record) for body, record in [(first, "record-0"), (second, "record-1")]
                for p in (plugin, silent)]  # fmt: skip
    ran = said(invoked, "plugin ran")
    assert_has(ran, *expected)
    assert {line["outcome"] for line in ran} == {"ok"}
    assert all(line["fuel_used"] > 0 and line["duration_us"] > 0 for line in ran)
    assert_has(said(invoked, "message delivered"), *expected[::2])
    # Without DEBUG, success is not logged.
    assert on_message([event(guild.id, guild.channel_id)], POWERTOOLS_LOG_LEVEL="INFO").lines == []


def test_the_run_in_the_log_is_the_run_in_the_database_however_often_the_event_comes(system, guild, on_message, query):
    plugin, body = install_sender(system, guild), event(guild.id, guild.channel_id)
    system.chat.inject(Fault(status=500, times=3))
    failed, redelivered = on_message([body]), on_message([body, body])
    assert query("SELECT id::text FROM plugin_runs") == [(run_id(body["message"]["id"], plugin),)]
    assert_has(said(failed, "plugin ran") + said(failed, "message not delivered"), *[ids(body, guild, plugin)] * 2)
    assert_has(said(failed, "record failed"), ids(body, guild))
    # The message is in that batch twice, and is logged with its first record.
    assert_has(said(redelivered, "message delivered"), ids(body, guild, plugin))
    assert said(redelivered, "plugin ran") == []


def test_log_lines_of_failures_quarantines_and_skipped_plugins_name_their_subjects(system, guild, on_message):
    plugin = system.install(guild, "bad", wat.TRAPS)
    first, second = event(guild.id, guild.channel_id), event(guild.id, guild.channel_id)
    invoked = on_message([first], [second], GUILDHOOK_QUARANTINE_FAILURES_IN_A_ROW="1")
    assert_has(said(invoked, "plugin failed"), ids(first, guild, plugin))
    assert_has(said(invoked, "plugin quarantined"), ids(first, guild, plugin))
    # There was no run.
    assert_has(said(invoked, "plugin not run"), ids(second, guild, plugin, run=False))


def test_log_lines_of_skipped_and_malformed_records_have_the_known_ids(system, guild, on_message):
    encrypted, nobody = event(guild.id, guild.channel_id, encrypted=True), event(guild.id, guild.channel_id)
    halved = event(guild.id, guild.channel_id, content="\ud800", encrypted=True)
    invoked = on_message([encrypted, {"not": "an event"}, nobody, halved])
    skipped = [ids(encrypted, guild), ids(halved, guild, record="record-3"), ids(nobody, guild, record="record-2")]
    assert_has(said(invoked, "record skipped"), *skipped)
    assert_has(said(invoked, "record repaired"), ids(halved, guild, record="record-3"))
    assert_has(said(invoked, "record failed"), {"event_id": "record-1"})


def test_the_log_line_of_a_record_that_comes_back_names_its_message(system, guild, on_message):
    install_sender(system, guild)
    bodies = [event(guild.id, guild.channel_id) for _ in range(2)]
    invoked = on_message(bodies, GUILDHOOK_GUILD_SENDS_PER_MINUTE="1")
    assert_has(said(invoked, "record failed"), ids(bodies[1], guild, record="record-1"))


def test_a_refusal_is_said_by_the_servers_code_and_not_in_its_own_words(system, guild, on_message):
    plugin = install_sender(system, guild)
    answers = [
        Answer(b'{"error": "BLOCKED"}', 403),
        Answer(b'{"error": "we do not like hello"}', 400),
    ]
    bodies = [event(guild.id, guild.channel_id) for _ in answers]
    with http_server(*answers) as chat:
        invoked = on_message(bodies, GUILDHOOK_CHAT_API_URL=chat.url)
    refused = said(invoked, "message not delivered")
    assert_has(refused, *(ids(body, guild, plugin, f"record-{i}") for i, body in enumerate(bodies)))
    assert refused[0]["detail"] == "BLOCKED"
    assert "hello" not in refused[1]["detail"]


def test_the_log_line_of_a_message_that_is_given_up_names_its_run(system, guild, on_message, query):
    plugin, body = install_sender(system, guild), event(guild.id, guild.channel_id)
    on_message([body], GUILDHOOK_CHAT_API_URL="http://127.0.0.1:1")
    query("UPDATE plugin_runs SET created_at = now() - interval '25 hours'")
    ((key,),) = query("SELECT key::text FROM plugin_intents")
    (line,) = said(invoke(SWEEP, system.environment, {}), "message given up: it was pending for too long")
    about = ids(body, guild, plugin)
    about.pop("event_id")
    assert_has([line], about)
    assert line["key"] == key


def test_a_compile_names_the_event_that_asked_for_it(system, guild):
    system.install(guild, "silent", wat.SILENT)
    digest = sha256(wat.SILENT).hexdigest()
    invoked = invoke(COMPILE_PLUGIN, system.environment, sqs_event({"wasm_sha256": digest}, "nonsense"))
    (compiled,), (failed,) = said(invoked, "plugin compiled"), said(invoked, "record failed")
    assert (compiled["event_id"], compiled["wasm_sha256"]) == ("record-0", digest)
    assert failed["event_id"] == "record-1"


def test_every_record_has_its_time_on_the_queue_which_is_never_negative(system, on_message):
    batch = sqs_event(*(event() for _ in range(3)))
    sent = [datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=1), datetime.now(UTC)]
    for record, time in zip(batch["Records"], sent, strict=True):
        record["attributes"]["SentTimestamp"] = str(round(time.timestamp() * 1000))
    invoked = invoke(ON_MESSAGE, system.environment, batch)
    (metrics,) = (line for line in invoked.metrics if "records" in line)
    old, early, new = metrics["queue_delay"]
    assert 60_000 <= old < 3_600_000
    assert early == 0
    assert 0 <= new < 3_600_000


def test_counts_have_one_value_a_batch_and_measurements_one_a_run(system, guild, on_message):
    install_sender(system, guild)
    system.install(guild, "bad", wat.TRAPS)
    invoked = on_message([event(guild.id, guild.channel_id) for _ in range(3)])
    (metrics,) = (line for line in invoked.metrics if "records" in line)
    assert (metrics["runs_ok"], metrics["runs_trap"], metrics["deliveries_delivered"]) == ([3.0], [3.0], [3.0])
    assert (len(metrics["run_fuel"]), len(metrics["run_duration"]), len(metrics["queue_delay"])) == (6, 6, 3)


def test_shares_that_a_canary_compares_have_a_value_in_every_batch_that_counts(system, guild, on_message):
    system.install(guild, "bad", wat.TRAPS)
    (trapped,) = (line for line in on_message([event(guild.id, guild.channel_id)]).metrics if "records" in line)
    assert (trapped["runs_ok"], trapped["runs_trap"]) == ([0.0], [1.0])
    assert "deliveries_delivered" not in trapped
    install_sender(system, guild)
    with http_server(Answer(b'{"error": "BLOCKED"}', 403)) as chat:
        invoked = on_message([event(guild.id, guild.channel_id)], GUILDHOOK_CHAT_API_URL=chat.url)
    (refused,) = (line for line in invoked.metrics if "records" in line)
    assert (refused["deliveries_delivered"], refused["deliveries_refused"]) == ([0.0], [1.0])


def test_metrics_that_a_canary_compares_are_counted_by_version_where_there_is_one(system, guild, on_message):
    install_sender(system, guild)
    body = event(guild.id, guild.channel_id)
    variables = {"GUILDHOOK_METRICS_BY_VERSION": "true", "AWS_LAMBDA_FUNCTION_VERSION": "7"}
    (line,) = (line for line in on_message([body], **variables).metrics if "records" in line)
    of_all, of_version = line["_aws"]["CloudWatchMetrics"]
    assert (of_all["Dimensions"], of_version["Dimensions"]) == ([["service"]], [["service", "version"]])
    assert (of_version["Namespace"], line["version"]) == ("guildhook", "7")
    assert {metric["Name"] for metric in of_version["Metrics"]} == BY_VERSION
    assert all(metric in of_all["Metrics"] for metric in of_version["Metrics"])
    (line,) = (line for line in on_message([body], AWS_LAMBDA_FUNCTION_VERSION="7").metrics if "records" in line)
    assert [directive["Dimensions"] for directive in line["_aws"]["CloudWatchMetrics"]] == [[["service"]]]
