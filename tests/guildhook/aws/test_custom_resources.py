import json

import pytest

from guildhook.aws.custom_resources import provide
from guildhook.errors import InfrastructureError, MigrationError, PreflightError
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


@pytest.mark.parametrize(("character", "kept"), [("x", 1_200), ('"', 1_200), ("ü", 600), ("\U0001f980", 300)])
def test_a_long_reason_is_cut_to_the_limit_of_an_answer(ask, character, kept):
    answer = ask(failing(InfrastructureError(character * 10_000)), LogicalResourceId="L" * 255, StackId="S" * 300)
    assert answer["Reason"] == character * kept


def test_a_reason_is_one_line_of_text(ask):
    assert ask(failing(InfrastructureError("a\0b\nc")))["Reason"] == "a b c"


@pytest.fixture
def ask_check():
    """Handles a request for a check with these properties, and returns the answer and whether the work was done."""

    def ask_check(work=dict, request_type="Update", physical_id=None, **properties):
        done = []

        def counted():
            done.append(True)
            return work()

        with http_server(Answer()) as server:
            request = resource_request(server.url, KIND, request_type)
            had = {"PhysicalResourceId": physical_id} if physical_id else {}
            provide({**request, **had, "ResourceProperties": properties}, {KIND: counted}, is_check=True)
        (upload,) = server.uploads
        assert len(upload.body) <= 4_096
        return json.loads(upload.body), bool(done)

    return ask_check


def test_the_id_of_a_check_names_the_properties_that_have_passed(ask_check):
    passed, _ = ask_check(request_type="Create", url="a", list=["b"])
    assert passed["PhysicalResourceId"].startswith(f"{PHYSICAL_ID}/")
    again, was_done = ask_check(physical_id="as it was", list=["b"], url="a")
    assert (again["PhysicalResourceId"], was_done) == (passed["PhysicalResourceId"], True)
    assert ask_check(url="c")[0]["PhysicalResourceId"] != passed["PhysicalResourceId"]


def test_a_failed_deploy_is_rolled_back_to_properties_that_have_passed_although_they_would_fail_now(ask_check):
    before, _ = ask_check(request_type="Create", url="a")
    fails = failing(PreflightError("it is down"))
    failed, _ = ask_check(fails, physical_id=before["PhysicalResourceId"], url="b")
    assert (failed["Status"], failed["Reason"]) == ("FAILED", "it is down")
    back, was_done = ask_check(fails, physical_id=failed["PhysicalResourceId"], url="a")
    assert (back["Status"], was_done) == ("SUCCESS", False)
    assert back["PhysicalResourceId"] == before["PhysicalResourceId"]


def test_a_deploy_that_passes_and_fails_later_is_rolled_back_although_the_former_properties_would_fail_now(ask_check):
    before, _ = ask_check(request_type="Create", url="a")
    passed, was_done = ask_check(physical_id=before["PhysicalResourceId"], url="b")
    assert was_done
    fails = failing(PreflightError("it is gone"))
    back, was_done = ask_check(fails, physical_id=passed["PhysicalResourceId"], url="a")
    assert (back["Status"], was_done) == ("SUCCESS", False)
    assert back["PhysicalResourceId"] == before["PhysicalResourceId"]
    # Only the properties of the time before are known.
    third, was_done = ask_check(physical_id=passed["PhysicalResourceId"], url="c")
    assert was_done
    assert ask_check(fails, physical_id=third["PhysicalResourceId"], url="a")[0]["Status"] == "FAILED"
    assert ask_check(fails, physical_id=third["PhysicalResourceId"], url="b")[0]["Status"] == "SUCCESS"
    assert len(third["PhysicalResourceId"]) <= 1_024


def test_a_check_that_failed_at_first_is_made_again(ask_check):
    failed, _ = ask_check(failing(PreflightError("it is down")), request_type="Create", url="a")
    passed, was_done = ask_check(physical_id=failed["PhysicalResourceId"], url="a")
    assert (passed["Status"], was_done) == ("SUCCESS", True)


def test_a_check_is_deleted_at_once(ask_check):
    deleted, was_done = ask_check(request_type="Delete", physical_id="as it was", url="a")
    assert (deleted["Status"], deleted["PhysicalResourceId"], was_done) == ("SUCCESS", "as it was", False)


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
