import json
import subprocess
import sys

import pytest

from guildhook.aws import custom_resource_entry
from guildhook.aws.custom_resource_entry import CustomResourceEntry
from guildhook.aws.custom_resources import provide
from http_server import Answer, http_server
from project import ROOT
from samples import resource_request

KIND = "Custom::Thing"


def failing(error):
    def start():
        raise error

    return start


@pytest.fixture
def ask():
    """Handles a request with an entry that cannot start, and returns the answer to CloudFormation."""

    def ask(error, **fields):
        entry = CustomResourceEntry(failing(error))
        with http_server(Answer()) as server:
            assert entry({**resource_request(server.url, KIND), **fields}, None) == {}
        assert server.requests == ["/answer?Signature=s3cret"]
        (upload,) = server.uploads
        # The signature of the URL allows no content type.
        assert upload.headers["Content-Type"] == ""
        assert len(upload.body) <= 4_096
        return json.loads(upload.body)

    return ask


def test_a_function_that_starts_handles_its_events():
    starts = []

    def start():
        starts.append(1)
        return lambda event, context: (event, context)

    entry = CustomResourceEntry(start)
    assert starts == [1]
    assert entry({"a": 1}, "context") == ({"a": 1}, "context")
    assert starts == [1]


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ModuleNotFoundError("No module named 'lazy_importer'"),
            "the function cannot start: ModuleNotFoundError: No module named 'lazy_importer'",
        ),
        (
            SyntaxError("invalid syntax", ("/var/task/function.py", 3, 1, "", None, None)),
            "the function cannot start: SyntaxError: invalid syntax (function.py, line 3)",
        ),
        (SystemExit("guildhook: wrong environment: A: missing"), "guildhook: wrong environment: A: missing"),
        (RuntimeError("with words of a user"), "the function cannot start: RuntimeError; its log has more"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_function_that_cannot_start_answers_with_the_reason_and_logs_it(ask, caplog, request_type, error, reason):
    answer = ask(error, RequestType=request_type)
    assert (answer["Status"], answer["Reason"]) == ("FAILED", reason)
    assert f"{type(error).__name__}: {error.args[0]}" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_answer_is_about_the_resource_that_the_function_provides_when_it_starts(ask):
    with http_server(Answer()) as server:
        provide(resource_request(server.url, KIND), {KIND: dict})
    started = json.loads(server.uploads[0].body)
    answer = ask(ImportError())
    assert answer == {**started, "Status": "FAILED", "Reason": "the function cannot start: ImportError: "}
    assert ask(ImportError(), PhysicalResourceId="as it was")["PhysicalResourceId"] == "as it was"


def test_a_resource_is_deleted_so_that_a_failed_deploy_can_be_rolled_back(ask):
    answer = ask(ImportError("broken"), RequestType="Delete", PhysicalResourceId="as it was")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "as it was")


@pytest.mark.parametrize("character", ["x", "\0", "ü", "\U0001f980"])
def test_a_long_reason_is_cut_to_the_limit_of_an_answer(ask, character):
    answer = ask(ImportError(character * 10_000), LogicalResourceId="L" * 255, StackId="S" * 300)
    assert len(answer["Reason"]) == 400


@pytest.mark.parametrize("event", [{}, None, {"Records": []}, {"action": "recompile"}])
@pytest.mark.parametrize("error", [ImportError("broken"), SystemExit("guildhook: wrong environment")], ids=repr)
def test_another_event_fails_with_the_error(event, error):
    with pytest.raises(type(error)) as raised:
        CustomResourceEntry(failing(error))(event, None)
    assert raised.value is error


def test_a_function_that_can_start_later_does_so():
    outcomes = [ImportError("broken"), lambda event, context: "handled"]

    def start():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert CustomResourceEntry(start)({}, None) == "handled"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Answer(status=503), "HTTP 503"), (Answer(status=307, headers={"Location": "/elsewhere"}), "HTTP 307")],
)
def test_an_answer_that_cannot_be_delivered_makes_lambda_try_again(answer, reason):
    with http_server(answer) as server, pytest.raises(OSError, match=reason) as raised:
        CustomResourceEntry(failing(ImportError()))(resource_request(server.url, KIND), None)
    assert "s3cret" not in str(raised.value)


def test_nobody_to_answer_makes_lambda_try_again():
    with pytest.raises(OSError, match="refused") as raised:
        CustomResourceEntry(failing(ImportError()))(resource_request("http://127.0.0.1:1", KIND), None)
    assert "s3cret" not in str(raised.value)


def test_the_module_imports_nothing_but_the_standard_library():
    layer = ROOT / "layers" / "guildhook"
    script = (
        f"import sys; sys.path.insert(0, {str(layer)!r}); import {custom_resource_entry.__name__}; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, capture_output=True, text=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()} - {"guildhook", "__main__"}
    assert imported <= sys.stdlib_module_names
