"""template.yaml as `sam deploy` sends it, created in moto's CloudFormation."""

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from moto.cloudformation.parsing import NULL_MODELS, get_model_map

from admin_client import Client
from guildhook_local.aws import create_secret
from guildhook_local.function import loaded_function
from guildhook_local.stack import ADMIN_API
from infra.templates import BY_EDDSA, BY_ES256, BY_TOKEN, OWNER_APART, transformed


def without_unknown(template: Mapping[str, Any]) -> dict[str, Any]:
    """The resource as moto has it.

    Custom resources are left out too, since moto would start their functions in Docker, and nested stacks, which use
    functions of the template language that moto does not know.
    """
    known = {*get_model_map(), *NULL_MODELS} - {"AWS::CloudFormation::Stack"}
    unknown = {name for name, resource in template["Resources"].items() if resource["Type"] not in known}
    resources = {
        name: {key: value for key, value in resource.items() if key != "DependsOn"}
        for name, resource in template["Resources"].items()
        if name not in unknown
    }
    return _named({**template, "Resources": resources}, unknown)


def _named(value: Any, unknown: Collection[str]) -> Any:
    """Replace references to unknown resources by text."""
    match value:
        case {"Ref": str(name)} if name in unknown:
            return name
        case {"Fn::GetAtt": [str(name), attribute]} if name in unknown:
            return f"{name}.{attribute}"
        case dict():
            return {key: _named(each, unknown) for key, each in value.items()}
        case list():
            return [_named(each, unknown) for each in value]
    return value


class Deployed:
    def __init__(self, aws, name):
        self._aws = aws
        self.name = name
        self.cloudformation = aws.client("cloudformation")
        made = self.cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        # moto reports these fields alone.
        ids = ("LogicalResourceId", "PhysicalResourceId")
        self.resources = {each[ids[0]]: each[ids[1]] for each in made if set(ids) <= set(each)}

    def client(self, service):
        return self._aws.client(service)

    def function(self, name):
        return self.client("lambda").get_function_configuration(FunctionName=self.resources[name])

    def queue(self, name):
        url = self.resources[name]
        return self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


DEPLOYED = {"by token": BY_TOKEN, "owner apart, in a VPC": OWNER_APART, "ES256": BY_ES256, "EdDSA": BY_EDDSA}


@contextmanager
def deploying(aws, parameters):
    name, packages = f"guildhook-{uuid4().hex[:8]}", f"packages-{uuid4().hex}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=packages, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=packages, Key="code.zip", Body=archive.getvalue())
    cloudformation = aws.client("cloudformation")
    template = without_unknown(transformed(parameters, packages))
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    yield Deployed(aws, name)
    cloudformation.delete_stack(StackName=name)


@pytest.fixture(params=DEPLOYED.values(), ids=list(DEPLOYED))
def deployed(aws, request):
    with deploying(aws, request.param) as deployed:
        yield deployed


def test_the_stack_is_created(deployed):
    (stack,) = deployed.cloudformation.describe_stacks(StackName=deployed.name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["QueueUrl"] == deployed.resources["Events"]
    assert outputs["ArtifactBucket"] == deployed.resources["Artifacts"]


def test_a_queue_calls_each_function_and_keeps_failed_records(deployed):
    mappings = deployed.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    for queue, dead_letters, function, batch_size in (
        ("Events", "DeadLetters", "OnMessage", 10),
        ("Compiles", "DeadCompiles", "CompilePlugin", 1),
    ):
        attributes = deployed.queue(queue)
        (mapping,) = [each for each in mappings if each["EventSourceArn"] == attributes["QueueArn"]]
        assert mapping["FunctionArn"] == deployed.function(function)["FunctionArn"]
        assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (batch_size, ["ReportBatchItemFailures"])
        assert int(attributes["VisibilityTimeout"]) >= 6 * deployed.function(function)["Timeout"]
        assert attributes["SqsManagedSseEnabled"] == "true"
        redrive = json.loads(attributes["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == deployed.queue(dead_letters)["QueueArn"]


def test_the_functions_find_each_other(deployed):
    variables = deployed.function("OnMessage")["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == deployed.name
    assert variables["GUILDHOOK_EVENT_QUEUE_URL"] == deployed.resources["Events"]
    assert variables["GUILDHOOK_COMPILE_QUEUE_URL"] == deployed.resources["Compiles"]
    assert variables["GUILDHOOK_ARTIFACT_BUCKET"] == deployed.resources["Artifacts"]
    compiler = deployed.function("CompilePlugin")["Environment"]["Variables"]
    assert compiler["GUILDHOOK_ARTIFACT_BUCKET"] == deployed.resources["Artifacts"]
    admin = deployed.function("AdminApi")["Environment"]["Variables"]
    assert admin["GUILDHOOK_TEST_RUN_FUNCTION"] == deployed.resources["TestRun"]


def test_the_same_key_seals_and_opens_secrets_of_plugins(deployed):
    """moto's CloudFormation generates no secret. The tests of the template check that the secret is generated."""
    secret = deployed.function("AdminApi")["Environment"]["Variables"]["GUILDHOOK_SETTINGS_SECRET"]
    assert deployed.function("OnMessage")["Environment"]["Variables"]["GUILDHOOK_SETTINGS_SECRET"] == secret


def test_a_deployment_without_an_authorizer_answers_its_cache_alone(aws, shared_system):
    secret, name = "s3cret-" * 8, f"origin-{uuid4().hex}"
    create_secret(aws, name, {"origin_secret": secret})
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    with deploying(aws, {**BY_EDDSA, "OriginSecretArn": arn}) as deployed:
        for function in ("AdminApi", "AdminPage", "OperatorApi"):
            declared = deployed.function(function)["Environment"]["Variables"]
            given = {each: declared[each] for each in ("GUILDHOOK_JWT_ALGORITHM", "GUILDHOOK_ORIGIN_SECRET")}
            with loaded_function(ADMIN_API, {**shared_system.environment, **given}) as handler:
                for path in ("/", "/api/sign-in", "/api/guilds", "/api/operator/audit", "/api/subscribers"):
                    assert Client(handler, None).get(path).kind == "closed-address"
                cache = Client(handler, None, headers={"x-guildhook-origin": secret})
                assert cache.get("/api/sign-in").ok()["algorithms"] == ["EdDSA"]
                assert cache.get("/api/guilds").kind == "unauthorized"


def test_the_bucket_is_encrypted(deployed):
    s3, bucket = deployed.client("s3"), deployed.resources["Artifacts"]
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_schedules_call_their_functions(deployed):
    events = deployed.client("events")
    for rule, function, schedule in (
        ("SweepOften", "Sweep", "rate(5 minutes)"),
        ("CompilePluginPrune", "CompilePlugin", "rate(7 days)"),
    ):
        name = deployed.resources[rule]
        assert events.describe_rule(Name=name)["ScheduleExpression"] == schedule
        (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
        assert target["Arn"] == deployed.function(function)["FunctionArn"]


def test_every_log_group_has_a_retention(deployed):
    groups = deployed.client("logs").describe_log_groups(logGroupNamePrefix=f"/guildhook/{deployed.name}/")["logGroups"]
    names = {group["logGroupName"].rpartition("/")[2]: group["retentionInDays"] for group in groups}
    assert names == dict.fromkeys(
        (
            "on_message",
            "compile_plugin",
            "migrate",
            "admin_api",
            "admin_page",
            "operator_api",
            "sweep",
            "test_run",
            "erase",
            "account_preflight",
            "network_preflight",
            "api",
        ),
        30,
    )
