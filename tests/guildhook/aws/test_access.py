import json
from importlib.resources import files

import pytest
from botocore.config import Config

from guildhook.aws.access import AwsAccess
from guildhook.aws.s3_objects import bucket_url

PARTITIONS = json.loads((files("botocore") / "data" / "partitions.json").read_text())["partitions"]

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "nowhere", "AWS_CONFIG_FILE": "/nowhere"},
        {"HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "ALL_PROXY": NOWHERE, "NO_PROXY": "", "no_proxy": ""},
        {"AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_SQS": NOWHERE, "AWS_ENDPOINT_URL_S3": NOWHERE},
        {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_CA_BUNDLE": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere"},
        {
            "AWS_REGION": "us-gov-west-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_SESSION_TOKEN": "x",
        },
        {"AWS_RETRY_MODE": "none", "AWS_MAX_ATTEMPTS": "none", "AWS_DEFAULTS_MODE": "nowhere"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_client_takes_nothing_from_the_environment_of_its_process(aws, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for service, operation in (("sqs", "list_queues"), ("s3", "list_buckets")):
        answer = getattr(aws.access.client(service, Config()), operation)()
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda partition: partition["id"])
def test_each_partition_has_the_domains_that_aws_gives_it(partition):
    outputs = partition["outputs"]
    for region in partition["regions"]:
        if region.endswith("-global"):
            continue
        access = AwsAccess({"AWS_REGION": region})
        assert (access.domain(), access.domain(dual_stack=True)) == (
            outputs["dnsSuffix"],
            outputs["dualStackDnsSuffix"],
        ), region


@pytest.mark.parametrize("service", ["lambda", "secretsmanager", "sqs"])
@pytest.mark.parametrize("dual_stack", ["true", "false"])
@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_a_service_has_the_url_that_boto3_uses(service, dual_stack, region):
    access = AwsAccess({"AWS_REGION": region, "AWS_USE_DUALSTACK_ENDPOINT": dual_stack})
    assert access.client(service, Config()).meta.endpoint_url == access.url(service)


def test_a_bucket_is_reached_by_ipv4_through_the_endpoint_of_its_network():
    access = AwsAccess({"AWS_REGION": "eu-central-1", "AWS_USE_DUALSTACK_ENDPOINT": "true"})
    assert bucket_url(access, "artifacts") == "https://artifacts.s3.eu-central-1.amazonaws.com"


def test_the_environment_names_the_endpoint_of_a_service():
    access = AwsAccess({"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:5000/"})
    assert access.url("secretsmanager") == "http://127.0.0.1:5000"
    assert access.url("lambda") == "https://lambda.eu-central-1.amazonaws.com"
