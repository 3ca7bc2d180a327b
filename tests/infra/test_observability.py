"""Alarms, dashboard and runbooks agree with each other and with the code."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest

from emitted import emitted, texts
from guildhook.observability.metrics import BY_VERSION
from infra.templates import CHAT, broken_rules, read_template, resolve
from project import ROOT

# moto's CloudFormation makes the dashboard alone; the alarms are given to its CloudWatch below.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..CloudWatch..Alarm")

TEMPLATE = read_template("infra/observability.yaml")
TEMPLATE_BODY = (ROOT / "infra" / "observability.yaml").read_text()
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
TOPIC = "arn:aws:sns:eu-central-1:123456789012:guildhook-alarms"
REQUIRED = {
    "ServiceName": "bots",
    "OnMessageFunction": "bots-OnMessage-1",
    "CompilePluginFunction": "bots-CompilePlugin-1",
    "SweepFunction": "bots-Sweep-1",
    "MigrateFunction": "bots-Migrate-1",
    "AdminApiFunction": "bots-AdminApi-1",
    "AdminPageFunction": "bots-AdminPage-1",
    "OperatorApiFunction": "bots-OperatorApi-1",
    "TestRunFunction": "bots-TestRun-1",
    "OnMessageLogGroup": "/guildhook/bots/on_message",
    "EventQueue": "bots-Events-1",
    "DeadLetterQueue": "bots-DeadLetters-1",
    "CompileQueue": "bots-Compiles-1",
    "DeadCompileQueue": "bots-DeadCompiles-1",
    "HttpApiId": "a1b2c3d4e5",
}
EVERYTHING = {
    **REQUIRED,
    "AlarmTopicArn": TOPIC,
    "DatabaseCluster": "bots-cluster",
    "DatabaseProxy": "bots-proxy",
    "CanaryVersion": "7",
}
DOCUMENTED = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "FunctionName"): {"Errors", "Invocations", "Throttles", "Duration", "ConcurrentExecutions"},
    ("AWS/Lambda", "FunctionName, Resource, ExecutedVersion"): {"Errors", "Invocations"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", "QueueName"): {
        "ApproximateAgeOfOldestMessage",
        "ApproximateAgeOfOldestMessageInQuietGroups",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    },
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    ("AWS/ApiGateway", "ApiId"): {"Count", "4xx", "5xx", "Latency"},
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
    ("AWS/RDS", "DBClusterIdentifier"): {
        "ACUUtilization",
        "CPUUtilization",
        "DatabaseConnections",
        "ServerlessDatabaseCapacity",
    },
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.monitoring.html
    ("AWS/RDS", "ProxyName"): {
        "ClientConnections",
        "DatabaseConnections",
        "DatabaseConnectionsBorrowLatency",
        "DatabaseConnectionsCurrentlySessionPinned",
        "QueryDatabaseResponseLatency",
    },
}


def alarms(given: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Properties of the alarms that a stack with these parameters has, by the part of their name after the service."""
    found = resolve(TEMPLATE, given).of_type("AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"].removeprefix(f"{given['ServiceName']}-"): alarm for alarm in found}


@pytest.fixture(params=["with a database", "without"])
def dashboard(aws: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The dashboard, as moto's CloudFormation creates it."""
    parameters = {**(EVERYTHING if request.param == "with a database" else REQUIRED), "ServiceName": f"s{uuid4().hex}"}
    cloudformation, cloudwatch = aws.client("cloudformation"), aws.client("cloudwatch")
    stack = f"observability-{uuid4().hex}"
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    cloudformation.create_stack(StackName=stack, TemplateBody=TEMPLATE_BODY, Parameters=given)
    made = cloudwatch.get_dashboard(DashboardName=f"{parameters['ServiceName']}-eu-central-1")
    yield json.loads(made["DashboardBody"])
    cloudformation.delete_stack(StackName=stack)


def shown(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and dimension of every metric."""
    for widget in dashboard["widgets"]:
        for namespace, name, dimension, *_ in widget["properties"].get("metrics", ()):
            yield namespace, name, dimension


def watched(alarm: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    metrics = [metric["MetricStat"]["Metric"] for metric in alarm.get("Metrics", ()) if "MetricStat" in metric]
    for metric in metrics or [alarm]:
        dimensions = ", ".join(dimension["Name"] for dimension in metric["Dimensions"])
        yield metric["Namespace"], metric["MetricName"], dimensions


def check_metrics(metrics: Iterator[tuple[str, str, str]]) -> None:
    own = emitted()
    for namespace, name, dimension in metrics:
        if namespace == "guildhook":
            assert name in (BY_VERSION if dimension == "service, version" else own), name
            assert dimension in ("service", "service, version")
        else:
            assert name in DOCUMENTED[namespace, dimension]


def sections(heading: str) -> dict[str, str]:
    """Text of the sections under a heading, by their names."""
    part = re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)
    (under,) = (text for text in part if text.startswith(f"{heading}\n"))
    return dict(re.findall(r"^### (.+)\n\n((?:(?!^### ).*\n?)*)", under, flags=re.MULTILINE))


def test_every_parameter_is_described_and_constrained():
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert {"AllowedPattern", "MinValue", "AllowedValues"} & set(parameter), name
        assert "AllowedPattern" not in parameter or "ConstraintDescription" in parameter, name
        if name in EVERYTHING:
            assert re.search(parameter["AllowedPattern"], EVERYTHING[name]), name
            assert not re.search(parameter["AllowedPattern"], "not a name"), name


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm():
    assert set(sections("Alarms")) == set(alarms(EVERYTHING))
    for name, alarm in alarms(EVERYTHING).items():
        assert re.fullmatch(rf"[^.]+( \d+ [^.]+)? \(docs/runbooks\.md#{name}\)\.", alarm["AlarmDescription"]), name


@pytest.mark.parametrize("part", ["Meaning", "Effect for users", "Diagnosis", "Remedy", "End"])
def test_every_runbook_says(part):
    assert [name for name, text in sections("Alarms").items() if f"**{part}" not in text] == []


def test_json_is_given_as_the_sam_cli_reads_it():
    """The SAM CLI ends a value at a quotation mark, and refuses or shortens it without a message."""
    given = re.findall(r"--parameter-overrides '([^']*)'", RUNBOOKS)
    assert any("GuildLimits=" in each for each in given)
    for each in given:
        assert not re.search(r'(?<!\\)"| ', each), each


def test_alarms_tell_the_topic_when_they_go_off_and_when_they_are_over():
    for alarm in alarms(EVERYTHING).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    for alarm in alarms(REQUIRED).values():
        assert not {"AlarmActions", "OKActions", "InsufficientDataActions"} & set(alarm)


CANARY = {"canary-errors", "canary-records-failing", "canary-runs-failing", "canary-sends-refused"}


def test_there_are_alarms_of_a_database_and_a_canary_only_where_the_stack_has_one():
    assert {name for name in alarms(EVERYTHING) if name not in alarms(REQUIRED)} == {
        "database-at-capacity",
        "database-connections-wait",
        *CANARY,
    }


def values(expression: str, **metrics: float | None) -> float:
    """The value of a metric math expression in one period; a metric of None has no data, and neither has a quotient of
    zero. As in CloudWatch, the value is then missing, which the alarms take for 0."""
    python = re.sub(r"\bAND\b", "and", expression)
    python = re.sub(r"^IF\((.*), 100 \* (.*), 0\)$", r"(100 * \2) if (\1) else 0", python, flags=re.DOTALL)
    try:
        return float(eval(python, {"__builtins__": {}}, metrics))
    except (TypeError, ZeroDivisionError):
        return 0


def goes_off(name: str, **metrics: float | None) -> bool:
    alarm = alarms(EVERYTHING)[name]
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    return values(alarm["Metrics"][0]["Expression"], **metrics) >= alarm["Threshold"]


@pytest.mark.parametrize(
    ("name", "metrics", "rolls_back"),
    [
        ("a version that does not start", {"newerrors": 3, "newinvocations": 3, "errors": 3, "invocations": 40}, True),
        ("one crash", {"newerrors": 1, "newinvocations": 3, "errors": 1, "invocations": 40}, False),
        ("all crash alike", {"newerrors": 10, "newinvocations": 10, "errors": 100, "invocations": 100}, False),
        ("the shift is over", {"newerrors": 9, "newinvocations": 9, "errors": 9, "invocations": 9}, False),
        ("nothing is handled", {"newerrors": None, "newinvocations": None, "errors": 0, "invocations": 9}, False),
        ("only the new fails", {"newfailed": 20, "newrecords": 20, "failed": 20, "records": 200}, True),
        ("the database is away", {"newfailed": 20, "newrecords": 20, "failed": 200, "records": 200}, False),
        ("a guild is paused", {"newfailed": 3, "newrecords": 20, "failed": 20, "records": 200}, False),
        ("too few events", {"newfailed": 19, "newrecords": 19, "failed": 19, "records": 200}, False),
        ("all traffic is new", {"newfailed": 90, "newrecords": 200, "failed": 90, "records": 200}, False),
        ("every plugin traps", {"newok": 0, "newruns": 50, "ok": 440, "runs": 500}, True),
        ("a third traps", {"newok": 30, "newruns": 50, "ok": 460, "runs": 500}, True),
        ("one guild's plugin traps", {"newok": 40, "newruns": 50, "ok": 400, "runs": 500}, False),
        ("too few runs", {"newok": 0, "newruns": 49, "ok": 440, "runs": 500}, False),
        ("all is refused", {"newrefused": 20, "newdelivered": 0, "refused": 20, "delivered": 180}, True),
        ("a bot may not write", {"newrefused": 4, "newdelivered": 16, "refused": 40, "delivered": 160}, False),
        ("too few sends", {"newrefused": 19, "newdelivered": 0, "refused": 19, "delivered": 180}, False),
    ],
)
def test_a_canary_is_rolled_back_if_the_new_version_alone_is_bad(name, metrics, rolls_back):
    ids = {name: {each["Id"] for each in alarms(EVERYTHING)[name]["Metrics"][1:]} for name in CANARY}
    (alarm,) = (name for name, known in ids.items() if known == set(metrics))
    assert goes_off(alarm, **metrics) is rolls_back


def test_the_alarms_of_a_canary_look_at_the_new_version_and_at_all():
    for name in CANARY:
        metrics = [each["MetricStat"]["Metric"] for each in alarms(EVERYTHING)[name]["Metrics"][1:]]
        dimensions = [{each["Name"]: each["Value"] for each in metric["Dimensions"]} for metric in metrics]
        service, function = {"service": "bots"}, {"FunctionName": "bots-OnMessage-1"}
        of_all = function if name == "canary-errors" else service
        new = {"Resource": "bots-OnMessage-1:live", "ExecutedVersion": "7"} if of_all is function else {"version": "7"}
        assert dimensions == [{**of_all, **new}] * 2 + [of_all] * 2
        # The new version has had this time when it gets all messages.
        periods = {each["MetricStat"]["Period"] for each in alarms(EVERYTHING)[name]["Metrics"][1:]}
        assert periods == {60 * read_template()["Parameters"]["CanaryMinutes"]["MinValue"]}


def test_a_budget_tells_the_topic_before_it_is_exceeded():
    assert not resolve(TEMPLATE, EVERYTHING).of_type("AWS::Budgets::Budget")
    (budget,) = resolve(TEMPLATE, {**EVERYTHING, "MonthlyBudget": "100"}).of_type("AWS::Budgets::Budget").values()
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "100", "Unit": "USD"}
    told = {
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"]): each["Subscribers"]
        for each in budget["NotificationsWithSubscribers"]
    }
    topic = [{"SubscriptionType": "SNS", "Address": TOPIC}]
    assert told == {("ACTUAL", 80): topic, ("FORECASTED", 100): topic}


def test_a_budget_without_a_topic_is_refused():
    rules = broken_rules({**CHAT, "MonthlyBudget": "100"})
    assert rules == ["MonthlyBudget notifies AlarmTopicArn - set that too"]
    assert not broken_rules({**CHAT, "MonthlyBudget": "100", "AlarmTopicArn": TOPIC})


def test_cloudwatch_takes_every_alarm(aws):
    cloudwatch = aws.client("cloudwatch")
    service = f"s{uuid4().hex}"
    wanted = alarms({**EVERYTHING, "ServiceName": service})
    for alarm in wanted.values():
        # Each alarm sets these properties and relies on no default.
        assert {"TreatMissingData", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator"} <= set(alarm)
        cloudwatch.put_metric_alarm(**{**alarm, "Threshold": float(alarm["Threshold"])})
    made = cloudwatch.describe_alarms(AlarmNamePrefix=f"{service}-")["MetricAlarms"]
    assert len(made) == len(wanted)
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in made])


def test_alarms_watch_existing_metrics():
    for alarm in alarms(EVERYTHING).values():
        check_metrics(watched(alarm))


def test_an_alarm_by_expression_uses_every_metric_that_it_asks_for():
    for alarm in alarms(EVERYTHING).values():
        if "Metrics" in alarm:
            expression, *metrics = alarm["Metrics"]
            named = set(re.findall(r"\b[a-z]\w*\b", expression["Expression"]))
            assert named == {metric["Id"] for metric in metrics}
            assert not any(metric["ReturnData"] for metric in metrics)


def test_the_dashboard_shows_existing_metrics(dashboard):
    check_metrics(shown(dashboard))


def test_the_dashboard_shows_every_metric_of_ours(dashboard):
    names = {name for namespace, name, _ in shown(dashboard) if namespace == "guildhook"}
    assert emitted() <= names


def test_the_dashboard_shows_every_alarm(dashboard):
    (widget,) = (widget for widget in dashboard["widgets"] if widget["type"] == "alarm")
    names = [arn.rpartition(":")[2].partition("-")[2] for arn in widget["properties"]["alarms"]]
    with_database = any(name.startswith("AWS/RDS") for name, _, _ in shown(dashboard))
    assert sorted(names) == sorted(alarms(EVERYTHING if with_database else REQUIRED))


def test_widgets_lie_beside_each_other(dashboard):
    areas = [(w["x"], w["y"], w["x"] + w["width"], w["y"] + w["height"]) for w in dashboard["widgets"]]
    assert all(0 <= left < right <= 24 for left, _, right, _ in areas)
    for one, other in combinations(areas, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (one, other)
    # Widgets fill each row from left to right without a gap.
    assert areas == sorted(areas, key=lambda area: (area[1], area[0]))
    assert {top for _, top, _, _ in areas} - {bottom for _, _, _, bottom in areas} == {0}


def test_queries_of_the_dashboard_look_for_existing_log_messages(dashboard):
    queries = [w["properties"]["query"] for w in dashboard["widgets"] if w["type"] == "log"]
    for query in queries:
        assert query.startswith("SOURCE '/guildhook/bots/on_message' | ")
        (message,) = re.findall(r"message = '([^']+)'", query)
        assert message in texts()
