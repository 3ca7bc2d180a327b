import io
import json
import zipfile
from uuid import uuid4

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.aws.account import Account
from guildhook.errors import InfrastructureError

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}


@pytest.fixture
def stack(aws):
    """The name of a stack with two functions."""
    name, packages = f"guildhook-{uuid4().hex[:8]}", f"packages-{uuid4().hex}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=packages, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=packages, Key="code.zip", Body=archive.getvalue())
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "app.handler",
            "Code": {"S3Bucket": packages, "S3Key": "code.zip"},
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        },
    }
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    template = {"Resources": {"Role": role, "First": function, "Second": function}}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    yield name
    cloudformation.delete_stack(StackName=name)


def test_the_reserved_concurrency_of_a_stack_is_that_of_its_functions(aws, stack):
    assert Account(aws.access).reserved_concurrency(stack) == 0
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    names = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::Lambda::Function"]
    assert len(names) == 2
    for name, units in zip(names, (2, 5), strict=True):
        aws.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=units)
    assert Account(aws.access).reserved_concurrency(stack) == 7


def test_zones_have_their_ids(aws):
    zones = Account(aws.access).zones()
    found = {(zone.name, zone.id) for zone in zones}
    assert {name for name, _ in found} == {"eu-central-1a", "eu-central-1b", "eu-central-1c"}
    assert {zone_id for _, zone_id in found} == {"euc1-az1", "euc1-az2", "euc1-az3"}
    assert all(zone.is_available and zone.is_ordinary for zone in zones)


def test_an_account_that_cannot_be_asked_is_named_in_one_line():
    with pytest.raises(InfrastructureError, match=r"^ec2 of AWS: ") as raised:
        Account(AwsAccess({})).zones()
    assert "\n" not in str(raised.value)
