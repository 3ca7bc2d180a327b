import json

import pytest

from guildhook.aws.custom_resources import provide
from guildhook.errors import InfrastructureError, MigrationError
from http_server import Answer, http_server
from samples import resource_request

KIND = "Custom::Thing"
IDENTITY = {
    "StackId": "arn:aws:cloudformation:eu-central-1:000000000000:stack/guildhook/6a1d0000",
    "RequestId": "5f1c7a53-0000-4000-8000-000000000001",
    "LogicalResourceId": "TheResource",
}
PHYSICAL_ID = f"{IDENTITY['StackId']}/TheResource"


@pytest.fixture
def ask():
    """Handles a request, and returns the answer to CloudFormation."""

    def ask(work, **fields):
        with http_server(Answer()) as server:
            provide({**resource_request(server.url, KIND), **fields}, {KIND: work})
        assert server.requests == ["/answer?Signature=s3cret"]
        (upload,) = server.uploads
        # The signature of the URL allows no content type.
        assert upload.headers["Content-Type"] == ""
        assert len(upload.body) <= 4_096
        return json.loads(upload.body)

    return ask


def failing(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_finished_request_is_answered_with_its_attributes(ask, request_type):
    assert ask(lambda: {"Asked": 3}, RequestType=request_type) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": PHYSICAL_ID,
        **IDENTITY,
        "Data": {"Asked": 3},
    }


def test_the_resource_keeps_its_id(ask):
    assert ask(dict, RequestType="Update", PhysicalResourceId="as it was")["PhysicalResourceId"] == "as it was"


def test_there_is_nothing_to_delete(ask):
    answer = ask(failing(AssertionError()), RequestType="Delete", PhysicalResourceId="as it was")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "as it was")


def test_a_resource_of_another_release_is_deleted_after_a_roll_back(ask):
    assert ask(failing(AssertionError()), RequestType="Delete", ResourceType="Custom::Later")["Status"] == "SUCCESS"


def test_a_failure_is_answered_with_the_reason(ask, caplog):
    assert ask(failing(MigrationError("migration 7 failed"))) == {
        "Status": "FAILED",
        "PhysicalResourceId": PHYSICAL_ID,
        **IDENTITY,
        "Reason": "migration 7 failed",
    }
    assert "migration 7 failed" in caplog.text
    assert "s3cret" not in caplog.text


def test_an_unexpected_failure_is_answered_and_its_text_is_only_logged(ask, caplog):
    answer = ask(failing(RuntimeError("with words of a user")))
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "RuntimeError; the function's log has more")
    assert "with words of a user" in caplog.text


@pytest.mark.parametrize("character", ["x", "\0", "ü", "\U0001f980"])
def test_a_long_reason_is_cut_to_the_limit_of_an_answer(ask, character):
    answer = ask(failing(InfrastructureError(character * 10_000)), LogicalResourceId="L" * 255, StackId="S" * 300)
    assert answer["Reason"] == character * 400


def test_a_resource_of_another_function_is_refused(ask):
    answer = ask(failing(AssertionError()), ResourceType="Custom::Other")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "this function provides Custom::Thing, not Custom::Other"


def test_an_answer_is_delivered_when_s3_recovers():
    with http_server(Answer(status=503), Answer(status=500), Answer()) as server:
        provide(resource_request(server.url, KIND), {KIND: lambda: {"Asked": 1}})
    assert len({upload.body for upload in server.uploads}) == 1
    assert len(server.uploads) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=503), "HTTP 503"),
        (Answer(status=403), "HTTP 403"),
        (Answer(status=307, headers={"Location": "/elsewhere"}), "HTTP 307"),
    ],
)
def test_an_answer_that_cannot_be_delivered_is_an_error_without_the_url(answer, reason):
    with http_server(answer) as server, pytest.raises(InfrastructureError) as raised:
        provide(resource_request(server.url, KIND), {KIND: dict})
    assert str(raised.value) == f"CloudFormation's answer about TheResource: {reason}"


def test_nobody_to_answer_is_an_error_without_the_url(caplog):
    with pytest.raises(InfrastructureError, match=r"TheResource: NewConnectionError$"):
        provide(resource_request("http://127.0.0.1:1", KIND), {KIND: dict})
    # urllib3 logs each attempt.
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("field", ["StackId", "RequestType", "LogicalResourceId"])
def test_a_missing_field_of_a_request_is_named(field):
    request = resource_request("http://127.0.0.1:1", KIND)
    del request[field]
    with pytest.raises(ValueError, match=field) as raised:
        provide(request, {KIND: dict})
    assert "s3cret" not in str(raised.value)
