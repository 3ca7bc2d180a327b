"""The commands of docs/deployment.md with which a stack takes up what another one left, run against moto.

moto's CloudFormation lacks parts of the network and the cluster, and secrets: stacks with the outputs of the real ones,
and a queue, stand in for them.
"""

import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest

from docs.blocks import blocks
from infra.templates import CHAT, read_template, transformed
from infra.test_deployment import without_unknown
from project import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("aws"), reason="the documented commands need the AWS CLI")

FIND, DEPLOY, ANNOUNCE, EMPTY = (
    block.text for block in blocks(ROOT / "docs" / "deployment.md") if block.markers == ("aws", "kept")
)
NESTED = {
    "Network": "network",
    "Database": "database",
    "UsedNetwork": "used_network",
    "UsedDatabase": "used_database",
}


def stand_in(name: str) -> dict[str, Any]:
    """The nested template with its parameters, outputs and exports. The values of what is made are texts."""
    template = read_template(f"infra/{NESTED[name]}.yaml")
    outputs = template["Outputs"]
    if not name.startswith("Used"):
        outputs = {output: {**each, "Value": f"{name.lower()}-{output}"} for output, each in outputs.items()}
    named = template["Parameters"] if name.startswith("Used") else {}
    parameters = {parameter: {"Type": "String"} for parameter in named}
    return {"Parameters": parameters, "Resources": {"Held": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}


@pytest.fixture
def packages(aws):
    """A bucket with code and nested templates."""
    s3, name = aws.client("s3"), f"packages-{uuid4().hex}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=name, Key="code.zip", Body=archive.getvalue())
    for nested in NESTED:
        s3.put_object(Bucket=name, Key=f"{nested}.json", Body=json.dumps(stand_in(nested)))
    return name


def deploy(aws: Any, packages: str, stack: str, parameters: Mapping[str, str], nested: Sequence[str]) -> None:
    """Create the stack as `sam deploy` does, with some of its nested stacks."""
    whole = transformed(parameters, packages)
    known = without_unknown(whole)
    added: dict[str, Any] = {}
    for name in nested:
        resource = whole["Resources"][name]
        # moto has no attributes of nested stacks. Those that stand in for others need no parameters.
        given = resource["Properties"]["Parameters"] if name.startswith("Used") else {}
        properties = {"TemplateURL": f"https://{packages}.s3.amazonaws.com/{name}.json", "Parameters": given}
        added[name] = {**resource, "Properties": properties, "DependsOn": []}
    if "ExistingSettingsKey" not in parameters:
        added["SettingsKey"] = {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain"}
    # moto finds resources of a deleted stack only before the first one that is gone.
    # moto would start the functions in Docker if their queues called them.
    sources = {n for n, each in known["Resources"].items() if each["Type"] == "AWS::Lambda::EventSourceMapping"}
    known["Resources"] = {n: each for n, each in known["Resources"].items() if n not in sources}
    kept = {n: each for n, each in known["Resources"].items() if "Retain" in each.get("DeletionPolicy", "")}
    template = {**known, "Resources": added | kept | known["Resources"]}
    for resource in template["Resources"].values():
        # moto knows neither policy, and would delete these resources.
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"
    aws.client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )


@pytest.fixture
def run(aws, tmp_path):
    def run(script: str, variables: Mapping[str, str], *names: str) -> dict[str, str]:
        """The variables of these names, after the script."""
        printed = "".join(f'printf "%s\\n" "${name}"\n' for name in names)
        # Version 1 of the CLI asks SQS at a name of its own, whatever its environment says.
        begin = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }'
        environment = {**os.environ, **aws.environment, **variables}
        ended = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=f"{begin}\n{script}\n{printed}",
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert ended.returncode == 0, ended.stderr
        lines = ended.stdout.splitlines()
        return dict(zip(names, lines[len(lines) - len(names) :], strict=True))

    return run


def resources(aws: Any, stack: str) -> dict[str, str]:
    made = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made if "PhysicalResourceId" in each}


def test_another_stack_takes_up_what_the_deleted_one_left(aws, packages, run):
    cloudformation, s3, sqs = (aws.client(service) for service in ("cloudformation", "s3", "sqs"))
    stack = f"guildhook-{uuid4().hex[:8]}"
    deploy(aws, packages, stack, CHAT, ["Network", "Database"])
    before = resources(aws, stack)
    s3.put_object(Bucket=before["Artifacts"], Key="artifacts/1", Body=b"compiled")
    sqs.send_message(QueueUrl=before["DeadLetters"], MessageBody="letter")
    cloudformation.delete_stack(StackName=stack)

    find = re.sub(r"^stack=guildhook$", f"stack={stack}", FIND, flags=re.MULTILINE)
    names = ("network", "database", "bucket", "settings_key", "dead_letters")
    kept = run(find, {}, *names)
    assert kept == {
        "network": before["Network"],
        "database": before["Database"],
        "bucket": before["Artifacts"],
        "settings_key": before["SettingsKey"],
        "dead_letters": before["DeadLetters"],
    }
    secret = aws.client("secretsmanager").create_secret(Name=uuid4().hex, SecretString='{"settings_key": "k"}')
    kept["settings_key"] = secret["ARN"]

    given = {key: kept[name] for key, name in re.findall(r'(\w+)="\$(\w+)"', DEPLOY)}
    assert set(given) == {"ExistingNetwork", "ExistingDatabase", "ExistingBucket", "ExistingSettingsKey"}
    assert set(re.findall(r"(\w+)=", DEPLOY)) - set(given) == {*CHAT, "UnmarkedAuthors"}
    deploy(aws, packages, stack, {**CHAT, **given}, ["UsedNetwork", "UsedDatabase"])
    after = resources(aws, stack)
    assert not {"Network", "Database", "Artifacts"} & set(after)
    function = aws.client("lambda").get_function_configuration(FunctionName=after["OnMessage"])
    variables = function["Environment"]["Variables"]
    assert variables["GUILDHOOK_ARTIFACT_BUCKET"] == before["Artifacts"]
    assert variables["GUILDHOOK_SETTINGS_SECRET"] == secret["ARN"]
    for name in ("Network", "Database"):
        (used,) = cloudformation.describe_stacks(StackName=after[f"Used{name}"])["Stacks"]
        exported = {
            key for key, each in read_template(f"infra/{name.lower()}.yaml")["Outputs"].items() if "Export" in each
        }
        outputs = {output["OutputKey"]: output["OutputValue"] for output in used["Outputs"]}
        assert {key: outputs[key] for key in exported} == {key: f"{name.lower()}-{key}" for key in exported}
    assert s3.get_object(Bucket=before["Artifacts"], Key="artifacts/1")["Body"].read() == b"compiled"

    run(ANNOUNCE, {"stack": stack, **kept})
    (notice,) = s3.get_bucket_notification_configuration(Bucket=kept["bucket"])["QueueConfigurations"]
    arn = sqs.get_queue_attributes(QueueUrl=after["Compiles"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert notice["QueueArn"] == arn
    declared = read_template()["Resources"]["Artifacts"]["Properties"]["NotificationConfiguration"]
    (wanted,) = declared["QueueConfigurations"]
    assert notice["Events"] == [wanted["Event"]]
    rules = {(rule["Name"].lower(), rule["Value"]) for rule in notice["Filter"]["Key"]["FilterRules"]}
    assert rules == {(rule["Name"], rule["Value"]) for rule in wanted["Filter"]["S3Key"]["Rules"]}

    empty = run(EMPTY, kept, "empty", "letters")
    attributes = sqs.get_queue_attributes(QueueUrl=empty["empty"], AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == empty["letters"]
    (letter,) = sqs.receive_message(QueueUrl=kept["dead_letters"])["Messages"]
    assert letter["Body"] == "letter"
