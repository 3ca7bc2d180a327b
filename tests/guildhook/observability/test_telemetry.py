import json
import subprocess
import sys

import pytest

from guildhook_local.stack import COMPILE_PLUGIN, DEPLOY_STEPS, FUNCTIONS, MIGRATE, PREFLIGHT

PROGRAM = """
import logging, os, sys
from guildhook.observability import Metric, create_telemetry
from guildhook_local.function import LambdaContext

telemetry = create_telemetry(os.environ)

@telemetry.handler
def handler(event, context):
    telemetry.logger.info("ours", extra={"plugin_id": "p"})
    logging.getLogger("guildhook.modules.cache").warning("the library's", extra={"wasm_sha256": "w"})
    logging.getLogger("guildhook.modules.cache").debug("in detail")
    for value in range(event["values"]):
        telemetry.add(Metric.RUN_FUEL, value)
    if event["values"]:
        telemetry.add(Metric.RECORDS_FAILED, 0)

for values in map(int, sys.argv[1:]):
    handler({"values": values, "content": "s3cret"}, LambdaContext("on_message", "request-1", 0))
"""


@pytest.fixture
def printed():
    """The output of a function whose invocations have this many values of a metric, under an environment."""

    def printed(*values, **environment):
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, values)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        return [json.loads(line) for line in ended.stdout.splitlines()]

    return printed


def log_of(printed):
    return [line for line in printed if "_aws" not in line]


def metrics_of(printed, name):
    return [line for line in printed if name in line]


@pytest.mark.parametrize(("environment", "service"), [({}, "guildhook"), ({"POWERTOOLS_SERVICE_NAME": "bots"}, "bots")])
def test_the_functions_lines_and_the_librarys_have_one_form_and_the_name_of_the_stack(printed, environment, service):
    ours, theirs = log_of(printed(0, **environment))
    assert (ours["message"], ours["plugin_id"], ours["level"]) == ("ours", "p", "INFO")
    assert (theirs["message"], theirs["wasm_sha256"], theirs["level"]) == ("the library's", "w", "WARNING")
    for line in (ours, theirs):
        assert (line["service"], line["function_name"], line["cold_start"]) == (service, "on_message", True)
        assert line["function_request_id"] == "request-1"
    assert ours.keys() - {"plugin_id"} == theirs.keys() - {"wasm_sha256"}


def test_the_level_is_the_environments(printed):
    lines = log_of(printed(0, POWERTOOLS_LOG_LEVEL="DEBUG"))
    assert [line["message"] for line in lines] == ["ours", "the library's", "in detail"]
    assert [line["message"] for line in log_of(printed(0, POWERTOOLS_LOG_LEVEL="WARNING"))] == ["the library's"]


def test_no_environment_variable_makes_the_logger_log_events(printed):
    lines = printed(1, POWERTOOLS_LOGGER_LOG_EVENT="true", POWERTOOLS_LOG_LEVEL="DEBUG")
    assert "s3cret" not in json.dumps(lines)


@pytest.mark.parametrize(("environment", "service"), [({}, "guildhook"), ({"POWERTOOLS_SERVICE_NAME": "bots"}, "bots")])
def test_metrics_carry_the_name_of_the_stack(printed, environment, service):
    (line,) = metrics_of(printed(1, **environment), "records_failed")
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], line["service"]) == ("guildhook", [["service"]], service)


def test_a_cold_start_is_counted_once_a_process_by_function(printed):
    (line,) = metrics_of(printed(1, 1, 0), "ColdStart")
    assert (line["ColdStart"], line["function_name"], line["service"]) == ([1.0], "on_message", "guildhook")


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_no_value_is_lost_however_many_there_are(printed, count):
    lines = metrics_of(printed(count, count), "run_fuel")
    assert [value for line in lines for value in line["run_fuel"]] == [float(value) for value in range(count)] * 2
    # CloudWatch takes at most this many values of one metric in a line.
    assert all(len(line["run_fuel"]) <= 100 for line in lines)


def test_a_function_without_a_metric_is_no_reason_for_a_warning(printed):
    assert [line for line in printed(0, 0) if "_aws" in line and "ColdStart" not in line] == []


OF_CUSTOM_RESOURCES = (COMPILE_PLUGIN, DEPLOY_STEPS, MIGRATE, PREFLIGHT)
"""CloudFormation gets an answer from these even if they cannot start, so their start ends with the first invocation."""
INVOKES = "import sys; sys.path.insert(0, sys.argv[1]); import app; app.handler({}, None)"


@pytest.mark.parametrize("folder", sorted(path.parent for path in FUNCTIONS.glob("*/app.py")), ids=lambda it: it.name)
@pytest.mark.parametrize("variable", ["POWERTOOLS_LOG_LEVEL", "POWERTOOLS_TRACE_DISABLED"])
def test_a_malformed_variable_ends_the_start_of_every_function_with_one_line(folder, variable):
    run = ["-c", INVOKES, str(folder)] if folder in OF_CUSTOM_RESOURCES else [str(folder / "app.py")]
    ended = subprocess.run([sys.executable, *run], env={variable: "loud"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"guildhook: wrong environment: {variable}: 'loud'; wants: ")
