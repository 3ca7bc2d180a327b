"""Every custom resource of the template is answered, even by a function whose imports fail."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from http_server import Answer, http_server
from infra.templates import read_template
from project import ROOT
from samples import resource_request

PROVIDERS = sorted(
    {
        (resource["Type"], resource["Properties"]["ServiceToken"]["Fn::GetAtt"][0])
        for resource in read_template()["Resources"].values()
        if resource["Type"].startswith("Custom::")
    }
)
INVOKE = "import json, sys; sys.path[:0] = sys.argv[2:]; import app; app.handler(json.loads(sys.argv[1]), None)"


@pytest.fixture(params=PROVIDERS, ids=" ".join)
def provider(request):
    """The type of a resource, and the folder of its function."""
    kind, function = request.param
    return kind, ROOT / read_template()["Resources"][function]["Properties"]["CodeUri"]


def invoke(event, *path):
    """Invoke app.py in a process that has these folders and the standard library alone."""
    command = [sys.executable, "-I", "-S", "-c", INVOKE, json.dumps(event), *path]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={})


def test_there_are_custom_resources():
    assert ("Custom::Migration", "Migrate") in PROVIDERS


def test_cloudformation_is_answered_if_the_layer_of_dependencies_is_broken(provider):
    kind, folder = provider
    with http_server(Answer()) as server:
        done = invoke(resource_request(server.url, kind), folder, ROOT / "layers" / "guildhook")
    assert done.returncode == 0, done.stderr
    (upload,) = server.uploads
    answer = json.loads(upload.body)
    assert answer["Status"] == "FAILED"
    assert re.fullmatch(r"the function cannot start: ModuleNotFoundError: No module named '\w+'", answer["Reason"])
    # The log has the error and where it was raised, and not the URL of the answer.
    assert answer["Reason"].rpartition(": ")[2] in done.stderr
    assert "Traceback" in done.stderr
    assert "s3cret" not in done.stderr


def test_cloudformation_is_answered_if_the_function_itself_does_not_import(provider, tmp_path):
    kind, folder = provider
    shutil.copy(folder / "app.py", tmp_path)
    (tmp_path / "function.py").write_text("from guildhook import a_module_of_another_release\n")
    with http_server(Answer()) as server:
        done = invoke(resource_request(server.url, kind), tmp_path, ROOT / "layers" / "guildhook")
    assert done.returncode == 0, done.stderr
    answer = json.loads(server.uploads[0].body)
    assert answer["Status"] == "FAILED"
    assert "ImportError: cannot import name 'a_module_of_another_release' from 'guildhook'" in answer["Reason"]


def test_another_event_fails_with_the_error(provider):
    _, folder = provider
    done = invoke({}, folder, ROOT / "layers" / "guildhook")
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named" in done.stderr.splitlines()[-1]
