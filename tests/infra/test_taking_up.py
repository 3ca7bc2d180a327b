"""The commands of docs/deployment.md with which a stack takes up what another one left, run against moto."""

import json
import re
import shutil
from uuid import uuid4

import pytest

from docs.blocks import blocks
from infra.stand_ins import deploy, resources
from infra.templates import CHAT, read_template
from project import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("aws"), reason="the documented commands need the AWS CLI")

FIND, DEPLOY, ANNOUNCE, EMPTY = (
    block.text for block in blocks(ROOT / "docs" / "deployment.md") if block.markers == ("aws", "kept")
)


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
