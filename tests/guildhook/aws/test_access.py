import pytest
from botocore.config import Config

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
