"""What template.yaml must keep to, whatever else changes in it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from guildhook.backoff import Backoff
from guildhook.budget import Budget
from guildhook.model import QuarantineRules
from guildhook.sandbox.child import CompileLimits
from guildhook.settings import SweepSettings, WorkerSettings

PROJECT = Path(__file__).parents[1]


class CloudFormationLoader(yaml.SafeLoader):
    """Reads !Ref and its like as {"Ref": value}."""


def read_function(loader: CloudFormationLoader, suffix: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


CloudFormationLoader.add_multi_constructor("!", read_function)


@pytest.fixture
def template() -> dict[str, Any]:
    return yaml.load((PROJECT / "template.yaml").read_text(), CloudFormationLoader)


@pytest.fixture
def properties(template):
    return lambda name: template["Resources"][name]["Properties"]


SOURCES = [
    ("OnMessage", "MessageCreated", "Events", "DeadLetters", 10),
    ("CompilePlugin", "Asked", "Compiles", "DeadCompiles", 1),
]
"""Function, event, queue, dead-letter queue, batch size."""


@pytest.mark.parametrize(("function", "event", "queue", "dead_letters", "batch_size"), SOURCES)
def test_what_fails_comes_back_alone_and_ends_as_a_dead_letter(
    properties, function, event, queue, dead_letters, batch_size
):
    source = properties(function)["Events"][event]
    assert source["Type"] == "SQS"
    assert source["Properties"]["Queue"] == {"GetAtt": f"{queue}.Arn"}
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["BatchSize"] == batch_size
    # A batch that is still being handled must not be handed out again.
    assert properties(queue)["VisibilityTimeout"] >= 6 * properties(function)["Timeout"]
    assert properties(queue)["RedrivePolicy"]["deadLetterTargetArn"] == {"GetAtt": f"{dead_letters}.Arn"}
    assert properties(dead_letters)["MessageRetentionPeriod"] >= properties(queue)["MessageRetentionPeriod"]


def permissions(properties, function):
    """(action, resource) of everything that the function's role allows."""
    for policy in properties(function)["Policies"]:
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            for action in actions if isinstance(actions, list) else [actions]:
                (resource,) = statement["Resource"].values()
                yield action, resource


def test_the_worker_can_write_no_artifact(properties):
    assert set(permissions(properties, "OnMessage")) == {
        ("s3:GetObject", "${Artifacts.Arn}/artifacts/*"),
        ("s3:ListBucket", "Artifacts.Arn"),
        ("sqs:SendMessage", "Compiles.Arn"),
        ("sqs:ChangeMessageVisibility", "Events.Arn"),
    }


def test_the_sweep_can_put_back_and_nothing_else(properties):
    assert set(permissions(properties, "Sweep")) == {("sqs:SendMessage", "Events.Arn")}


def test_what_is_put_back_is_in_no_queue_and_in_no_function_any_more(properties):
    """A message that failed waits for the longest time, and a function that was killed for the queue's own timeout."""
    waits = Backoff().longest_seconds + properties("Events")["VisibilityTimeout"] + properties("OnMessage")["Timeout"]
    (requeue_after,) = (s.default for s in fields(SweepSettings) if s.name == "requeue_after_seconds")
    assert waits < requeue_after


def test_the_parameters_defaults_are_the_librarys(template):
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    assert defaults["GuildFuelPerMinute"] == Budget().guild_fuel_per_minute
    assert defaults["GuildSendsPerMinute"] == Budget().guild_sends_per_minute
    assert defaults["QuarantineFailuresInARow"] == QuarantineRules().most_in_a_row
    assert defaults["QuarantineFailuresInAnHour"] == QuarantineRules().most_in_an_hour


def test_the_compile_function_writes_artifacts_and_reads_uploads(properties):
    assert set(permissions(properties, "CompilePlugin")) == {
        *((f"s3:{action}Object", "${Artifacts.Arn}/artifacts/*") for action in ("Get", "Put", "Delete")),
        ("s3:GetObject", "${Artifacts.Arn}/uploads/*"),
        ("s3:ListBucket", "Artifacts.Arn"),
        ("sqs:SendMessage", "Compiles.Arn"),
    }


def test_the_compiler_has_the_time_and_memory_that_it_may_use(properties):
    limits = CompileLimits()
    assert properties("CompilePlugin")["Timeout"] > 2 * limits.timeout_seconds
    assert properties("CompilePlugin")["MemorySize"] * 1024**2 > 2 * limits.memory_bytes


def test_an_upload_asks_for_its_compiling(template, properties):
    (notice,) = properties("Artifacts")["NotificationConfiguration"]["QueueConfigurations"]
    assert notice["Queue"] == {"GetAtt": "Compiles.Arn"}
    assert notice["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    assert template["Resources"]["Artifacts"]["DependsOn"] == "QueuePolicy"


@pytest.mark.parametrize("function", ["OnMessage", "CompilePlugin", "Sweep"])
def test_every_variable_of_the_function_is_documented(properties, function):
    documented = (PROJECT / "docs" / "configuration.md").read_text()
    for name in properties(function)["Environment"]["Variables"]:
        assert f"`{name}`" in documented


def test_the_bucket_is_closed_and_encrypted(properties):
    assert set(properties("Artifacts")["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties("Artifacts")["BucketEncryption"]


def test_every_parameter_is_described_and_constrained(template):
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"], name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name


def test_the_function_has_room_for_its_disk_cache(properties):
    size = properties("OnMessage")["EphemeralStorage"]["Size"] * 1024 * 1024
    # Beside it the largest module is written before the oldest ones go.
    limit = int(properties("OnMessage")["Environment"]["Variables"]["GUILDHOOK_DISK_CACHE_BYTES"])
    assert limit + CompileLimits().artifact_bytes < size


def test_the_default_disk_cache_fits_the_smallest_disk():
    (limit,) = (setting.default for setting in fields(WorkerSettings) if setting.name == "disk_cache_bytes")
    assert limit + CompileLimits().artifact_bytes < 512 * 1024 * 1024
