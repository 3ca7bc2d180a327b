"""Tests the segments for X-Ray's daemon, with a socket in its place."""

import subprocess
import sys
from hashlib import sha256
from typing import Any

import pytest

import wat
from guildhook_local.stack import COMPILE_PLUGIN, ON_MESSAGE, SWEEP
from invocation import invoke
from samples import event, sqs_event
from xray import PARENT_ID, TRACE_ID

COLD = {"ColdStart": True, "Service": "guildhook"}


@pytest.fixture
def traced(system, daemon):
    """The functions' environment in an invocation that is traced."""
    return {**system.environment, **daemon.environment()}


def stages(found: list[dict[str, Any]]) -> list[str]:
    """Return the names of the subsegments below the handler's, which is below Lambda's segment."""
    handler, *stages = found
    assert (handler["name"], handler["type"]) == ("handler", "subsegment")
    assert (handler["trace_id"], handler["parent_id"]) == (TRACE_ID, PARENT_ID)
    assert {(each["trace_id"], each["parent_id"]) for each in stages} == {(TRACE_ID, handler["id"])}
    assert all(each["start_time"] <= each["end_time"] for each in found)
    return [each["name"] for each in stages]


def test_a_batch_has_a_subsegment_for_each_of_its_stages(system, daemon, traced):
    guild = system.add_guild()
    system.install(guild, "sends", wat.sends((str(guild.channel_id), "hi")), {"SEND_MESSAGES"})
    bodies = [event(guild.id, guild.channel_id), {"not": "an event"}]
    invoked = invoke(ON_MESSAGE, traced, sqs_event(*bodies), sqs_event(bodies[0]))
    assert invoked.err == ""
    found = daemon.take()
    beginnings = [i for i, each in enumerate(found) if each["name"] == "handler"]
    # The plugin is not compiled. Runs that are ready come before the compile; here there are none.
    assert stages(found[: beginnings[1]]) == [
        "parse", "snapshot", "modules", "run", "deliver", "compile", "run", "record", "deliver", "settle",
    ]  # fmt: skip
    assert stages(found[beginnings[1] :]) == ["parse", "snapshot", "modules", "run", "deliver"]
    cold, warm = (found[i]["annotations"] for i in beginnings)
    assert cold == {
        **COLD, "records": 2, "records_failed": 1, "runs": 1, "deliveries": 1,
    }  # fmt: skip
    assert warm == {**COLD, "ColdStart": False, "records": 1, "records_failed": 0, "runs": 0, "deliveries": 0}
    # The log names the trace.
    assert {line["xray_trace_id"] for line in invoked.lines} == {TRACE_ID}


def test_compiling_and_sweeping_have_subsegments_for_their_stages(system, daemon, traced):
    guild = system.add_guild()
    system.install(guild, "silent", wat.SILENT)
    digest = sha256(wat.SILENT).hexdigest()
    invoke(COMPILE_PLUGIN, traced, sqs_event({"wasm_sha256": digest}))
    found = daemon.take()
    assert stages(found) == ["check", "fetch", "check", "compile", "upload"]
    assert found[0]["annotations"] == {**COLD, "event_id": "record-0", "wasm_sha256": digest}
    invoke(SWEEP, traced, {})
    found = daemon.take()
    assert stages(found) == ["give_up", "requeue", "versions", "forget"]
    assert found[0]["annotations"] == {**COLD, "deliveries_given_up": 0, "deliveries_requeued": 0}


def test_a_failed_stage_is_a_fault_with_the_name_of_its_class_alone(system, daemon, traced):
    guild = system.add_guild()
    environment = {**traced, "GUILDHOOK_DATABASE_URL": "postgresql://ada:s3cret@127.0.0.1:1/chat"}
    invoked = invoke(ON_MESSAGE, environment, sqs_event(event(guild.id, guild.channel_id)))
    assert [len(answer["batchItemFailures"]) for answer in invoked.answers] == [1]
    (snapshot,) = (each for each in daemon.take() if each["name"] == "snapshot")
    assert (snapshot["fault"], snapshot["annotations"]) == (True, {"error": "InfrastructureError"})
    assert "cause" not in snapshot


@pytest.mark.parametrize("variables", [{"_X_AMZN_TRACE_ID": ""}, {"POWERTOOLS_TRACE_DISABLED": "true"}])
def test_without_tracing_no_segment_is_sent(system, daemon, traced, variables):
    assert invoke(SWEEP, {**traced, **variables}, {}).err == ""
    assert daemon.take() == []


PROGRAM = """
import os, sys
from guildhook.observability import create_telemetry
from guildhook_local.function import LambdaContext

telemetry = create_telemetry(os.environ)

@telemetry.handler
def handler(event, context):
    with telemetry.stage("stage"):
        telemetry.annotate(records=1)

handler({}, LambdaContext("function", "request", 0))
print("aws_xray_sdk" in sys.modules)
"""


@pytest.mark.parametrize("sampled", [False, True])
def test_the_sdk_is_imported_where_an_invocation_is_sampled_and_nowhere_else(daemon, sampled):
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    ended = subprocess.run(command, env=daemon.environment(sampled=sampled), capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == str(sampled)
    assert ended.stderr == ""
    assert [each["name"] for each in daemon.take()] == ["handler", "stage"] * sampled
