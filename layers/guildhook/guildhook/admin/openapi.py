"""The OpenAPI document of the admin API. `python -m guildhook.admin.openapi` prints it."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, Tag

from guildhook.admin.api import described_api
from guildhook.admin.endpoints import BEARER, OPERATOR_BEARER, SERVICE
from guildhook.admin.problems import CONTENT_TYPE

_REF: Final = re.compile(r'"#/components/schemas/([^"]+)"')
_TAGS: Final = {
    "service": "Routes that need no access token.",
    "guilds": "Guilds, and the audit log of changes in them.",
    "plugins": "Plugins with their permissions, settings and secrets.",
    "versions": "Versions of a plugin, and the choice of the one that runs.",
    "operator": "The levers of the installation's operators, over all guilds.",
    "runs": "Recorded runs of a plugin, and runs without effects.",
}


def document() -> dict[str, Any]:
    """The document. It depends on nothing but the source."""
    text = described_api().get_openapi_json_schema(
        title="guildhook",
        version="1",
        description="The API for a guild's admins: upload plugins, change their settings, and see their runs.",
        tags=[Tag(name=name, description=description) for name, description in _TAGS.items()],
        security_schemes={
            BEARER: HTTPBearer(bearerFormat="JWT", description="An access token. GET /api/sign-in names its issuer."),
            SERVICE: HTTPBearer(description="The service token that guildhook uses with the chat server."),
            OPERATOR_BEARER: HTTPBearer(
                bearerFormat="JWT",
                description="An access token for the operators' own audience. Its claim has the group of operators.",
            ),
        },
    )
    found: dict[str, Any] = json.loads(text, parse_float=_number)
    for operations in found["paths"].values():
        for operation in operations.values():
            _simplify_parameters(operation)
            _share_problems(operation, found["components"].setdefault("responses", {}))
    _drop_unused_schemas(found)
    for schema in found["components"]["schemas"].values():
        for part in schema.get("properties", {}).values():
            part.pop("title", None)
    return found


def _number(text: str) -> float | int:
    """A bound as in the source. Powertools turns every bound into a float."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _simplify_parameters(operation: dict[str, Any]) -> None:
    """Remove null, which no parameter can be, and the second copy of the description."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        schema.pop("title", None)
        schema.pop("description", None)
        given, *others = [option for option in schema.pop("anyOf", []) if option != {"type": "null"}] or [{}]
        if others:
            raise ValueError(f"{operation['operationId']}: {parameter['name']} may be one of several things")
        schema.update(given)


def _share_problems(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """Move the problems into shared responses, since a status has one meaning everywhere."""
    for status, response in operation["responses"].items():
        if CONTENT_TYPE in response.get("content", {}):
            # HTTPStatus has other names for 413 and 422 in Python 3.13.
            name = f"Problem{status}"
            shared[name] = response
            operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _drop_unused_schemas(found: dict[str, Any]) -> None:
    """Remove the schemas that Powertools adds for its own errors."""
    schemas = found["components"]["schemas"]
    used: set[str] = set()
    todo = [*_refs(found["paths"]), *_refs(found["components"]["responses"])]
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo.extend(_refs(schemas[name]))
    found["components"]["schemas"] = {name: schemas[name] for name in sorted(used)}


def _refs(part: Any) -> Iterator[str]:
    return (match[1] for match in _REF.finditer(json.dumps(part)))


def main() -> None:
    json.dump(document(), sys.stdout, indent=2, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
