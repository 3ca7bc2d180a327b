"""What template.yaml must keep to, whatever else changes in it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from guildhook.settings import Settings

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


def test_a_batch_has_time_to_end_before_it_is_handed_out_again(properties):
    assert properties("Events")["VisibilityTimeout"] >= 6 * properties("OnMessage")["Timeout"]


def test_what_fails_comes_back_alone_and_ends_as_a_dead_letter(properties):
    (source,) = properties("OnMessage")["Events"].values()
    assert source["Type"] == "SQS"
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["BatchSize"] == 10
    assert properties("Events")["RedrivePolicy"]["deadLetterTargetArn"] == {"GetAtt": "DeadLetters.Arn"}
    assert properties("DeadLetters")["MessageRetentionPeriod"] >= properties("Events")["MessageRetentionPeriod"]


def test_the_worker_can_write_no_artifact(properties):
    actions = [
        statement["Action"] for policy in properties("OnMessage")["Policies"] for statement in policy["Statement"]
    ]
    assert actions == ["s3:GetObject", "s3:ListBucket"]


def test_every_variable_of_the_function_is_one_it_reads(properties):
    documented = (PROJECT / "docs" / "configuration.md").read_text()
    for name in properties("OnMessage")["Environment"]["Variables"]:
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
    assert Settings.model_fields["disk_cache_bytes"].default < size
