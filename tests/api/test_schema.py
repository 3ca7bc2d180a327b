"""The API conforms to its OpenAPI document. The requests are generated from the document and sent as HTTP."""

import json
import re
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from admin_client import add_plugin
from guildhook.admin.endpoints import OPERATOR_PREFIX
from guildhook_local.http_api import http_api
from guildhook_local.serve import admin_secret
from project import ROOT

_DOCUMENT = json.loads((ROOT / "web" / "openapi.json").read_text())
_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GOOD = {"name": r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", "number": r"[1-9][0-9]{0,8}"}
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

schema = schemathesis.openapi.from_dict(_DOCUMENT)
# Unknown parameters and headers are ignored, as is usual on the web.
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], allow_extra_parameters=False)


@pytest.fixture(scope="module")
def url(admin):
    with http_api(admin.stack.admin_handler, admin_secret(admin.stack)) as url:
        yield url


@pytest.fixture(scope="module")
def known(admin):
    """The path parameters of an existing plugin, which is created again after its deletion."""
    current = {}

    def known(perhaps_not=False):
        if not current or (perhaps_not and admin.client().get(f"/plugins/{current['plugin_id']}").status == 404):
            current.update(add_plugin(admin))
        return current

    return known


@schema.parametrize()
@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_document(case, admin, url, known):
    # The local HTTP API has no route for a path with a line break, and answers without the function.
    assume(not any("\n" in unquote(str(value)) for value in case.path_parameters.values()))
    there = known()
    for name, value in case.path_parameters.items():
        # Well-formed ids become those of existing resources, because most requests would fail otherwise.
        if re.fullmatch(_GOOD.get(name, _ID), str(value)):
            case.path_parameters[name] = there[name]
    # The cookie lets requests with a wrong token reach the function, which answers them.
    cookie = admin.stack.chat.session.cookie
    client = admin.operator() if case.path.startswith(OPERATOR_PREFIX) else admin.client()
    headers = {"Authorization": f"Bearer {client.token}", "Cookie": cookie}
    if case.headers and "if-match" in case.headers and case.headers["if-match"].isprintable():
        path = f"/plugins/{there['plugin_id']}" if "{plugin_id}" in case.path else ""
        headers["If-Match"] = admin.client().get(path).headers["ETag"]
    case.call_and_validate(base_url=url, headers=headers, checks=_CHECKS)
    if case.operation.method == "delete":
        known(perhaps_not=True)
