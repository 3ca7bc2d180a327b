import json
import threading

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.aws.functions import MAX_PAYLOAD_BYTES, LambdaFunction
from guildhook.errors import InfrastructureError
from guildhook_local.lambda_api import lambda_api
from guildhook_local.signatures import KeyPair
from http_server import Answer, http_server

VARIABLE = "GUILDHOOK_TEST_RUN_FUNCTION"


@pytest.fixture
def environment():
    return {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s3cret"}


def invoke(environment, *answers, name="trial", payload=b"{}", answer_seconds=20.0, **options):
    """The result of a call to a server with these answers, and the requested paths."""
    with http_server(*answers, **options) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        return LambdaFunction(AwsAccess(environment), name, VARIABLE, answer_seconds).invoke(payload), server.requests


def test_the_answer_is_the_functions(environment):
    answer, requests = invoke(environment, Answer(b'{"a": 1}', pieces=3))
    assert (answer, requests) == (b'{"a": 1}', ["/2015-03-31/functions/trial/invocations"])


def test_a_function_may_be_named_by_its_arn(environment):
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:trial"
    _, requests = invoke(environment, Answer(b"1"), name=arn)
    assert requests == [f"/2015-03-31/functions/{arn.replace(':', '%3A')}/invocations"]


def test_the_function_gets_the_payload(environment):
    keys = KeyPair("id", "s3cret")
    with lambda_api({"trial": lambda event, _context: {"got": event}}, keys) as url:
        environment["AWS_ENDPOINT_URL_LAMBDA"] = url
        answer = LambdaFunction(AwsAccess(environment), "trial", VARIABLE).invoke('["ü"]'.encode())
    assert json.loads(answer) == {"got": ["ü"]}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"{}", 403), "HTTP 403: this function's role may not invoke it; it needs lambda:InvokeFunction"),
        (Answer(b"{}", 404), "HTTP 404: there is no such function"),
        (Answer(b"{}", 429), "HTTP 429: all of its instances are busy"),
        (Answer(b"{}", 500), "HTTP 500"),
        (Answer(b"moved", 302, headers={"Location": "http://127.0.0.1:1"}), "HTTP 302"),
        (Answer(b"{}", 299), "HTTP 299"),
        (Answer(b"{}", length=100), "IncompleteRead|ProtocolError"),
        (
            Answer(b'{"errorMessage": "s3cret"}', headers={"X-Amz-Function-Error": "Unhandled"}),
            "it failed, or was ended by Lambda",
        ),
        (Answer(bytes(MAX_PAYLOAD_BYTES + 1)), f"the answer has more than {MAX_PAYLOAD_BYTES} bytes"),
    ],
)
def test_any_other_answer_is_an_infrastructure_error(environment, answer, reason):
    with pytest.raises(InfrastructureError, match=reason) as raised:
        invoke(environment, answer)
    assert str(raised.value).startswith("function trial (GUILDHOOK_TEST_RUN_FUNCTION): ")
    assert "s3cret" not in str(raised.value)


def test_an_invocation_that_fails_is_not_repeated(environment):
    with http_server(Answer(b"{}", 503), Answer(b"{}")) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        with pytest.raises(InfrastructureError, match="HTTP 503"):
            LambdaFunction(AwsAccess(environment), "trial", VARIABLE).invoke(b"{}")
    assert len(server.requests) == 1


def test_an_answer_that_does_not_come_is_not_waited_for(environment):
    come = threading.Event()
    try:
        with http_server(Answer(b"{}"), between=lambda: come.wait(60)) as server:
            environment["AWS_ENDPOINT_URL"] = server.url
            with pytest.raises(InfrastructureError, match="ReadTimeoutError"):
                LambdaFunction(AwsAccess(environment), "trial", VARIABLE, answer_seconds=0.2).invoke(b"{}")
            come.set()
    finally:
        come.set()


def test_a_payload_over_lambdas_limit_is_not_sent(environment):
    with pytest.raises(InfrastructureError, match=f"the request has {MAX_PAYLOAD_BYTES + 1} bytes; Lambda takes"):
        LambdaFunction(AwsAccess(environment), "trial", VARIABLE).invoke(bytes(MAX_PAYLOAD_BYTES + 1))


def test_nobody_to_be_asked_is_named(environment):
    environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    with pytest.raises(InfrastructureError, match="NewConnectionError"):
        LambdaFunction(AwsAccess(environment), "trial", VARIABLE).invoke(b"{}")
    del environment["AWS_ACCESS_KEY_ID"]
    with pytest.raises(InfrastructureError, match="credentials"):
        LambdaFunction(AwsAccess(environment), "trial", VARIABLE).invoke(json.dumps({}).encode())
