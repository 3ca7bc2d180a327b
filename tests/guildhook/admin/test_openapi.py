import json

from guildhook.admin.api import ENDPOINTS
from guildhook.admin.endpoints import Access
from guildhook.admin.openapi import document
from project import ROOT

COMMITTED = ROOT / "web" / "openapi.json"


def test_the_committed_document_is_current():
    text = json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert COMMITTED.read_text() == text, "run `make openapi`"


def test_the_function_answers_with_the_document(admin):
    client = admin.client()
    answer = type(client)(client.handler, None).get("/api/openapi.json")
    assert answer.ok() == document()
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_every_operation_has_a_description_and_names_its_permissions():
    found = document()
    operations = {
        operation["operationId"]: operation for path in found["paths"].values() for operation in path.values()
    }
    assert set(operations) == {endpoint.operation_id for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        operation = operations[endpoint.operation_id]
        assert operation["summary"], endpoint
        assert not operation["summary"].startswith(endpoint.method)
        assert ("security" in operation) == (endpoint.access is not Access.ANYBODY)
        for response in operation["responses"].values():
            assert "$ref" in response or "description" in response
    assert "HTTPValidationError" not in found["components"]["schemas"]
