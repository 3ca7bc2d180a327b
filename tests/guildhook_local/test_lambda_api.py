import json

import boto3
import pytest
from botocore.exceptions import ClientError

from guildhook_local.lambda_api import MAX_PAYLOAD_BYTES, lambda_api
from guildhook_local.signatures import KeyPair


def echo(event, context):
    return {"event": event, "name": context.function_name, "time": context.get_remaining_time_in_millis() > 0}


def fails(_event, _context):
    raise ValueError("no")


def talks(_event, _context):
    return "x" * MAX_PAYLOAD_BYTES


@pytest.fixture
def lambda_():
    """boto3's client, which understands Lambda's answers."""
    keys = KeyPair()
    with lambda_api({"echo": echo, "fails": fails, "talks": talks, "odd": lambda *_: object()}, keys) as url:
        yield boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="eu-central-1",
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
        )


def test_a_function_gets_the_event_and_gives_the_answer(lambda_):
    answer = lambda_.invoke(FunctionName="echo", Payload=json.dumps({"ü": [1]}).encode())
    assert json.loads(answer["Payload"].read()) == {"event": {"ü": [1]}, "name": "echo", "time": True}
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer


@pytest.mark.parametrize(
    ("name", "error"), [("fails", "ValueError"), ("talks", "Function.ResponseSizeTooLarge"), ("odd", "TypeError")]
)
def test_a_failed_function_is_answered_as_by_lambda(lambda_, name, error):
    answer = lambda_.invoke(FunctionName=name, Payload=b"{}")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read())["errorType"] == error


@pytest.mark.parametrize(
    ("name", "payload", "error"),
    [
        ("nobody", b"{}", "ResourceNotFoundException"),
        ("echo", b"{", "InvalidRequestContentException"),
        ("echo", b'"' + bytes(MAX_PAYLOAD_BYTES) + b'"', "RequestTooLargeException"),
    ],
)
def test_requests_that_lambda_refuses_are_refused(lambda_, name, payload, error):
    with pytest.raises(ClientError) as raised:
        lambda_.invoke(FunctionName=name, Payload=payload)
    assert raised.value.response["Error"]["Code"] == error
