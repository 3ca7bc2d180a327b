"""The reference of the admin API, from web/openapi.json, which `make openapi` makes from the routes."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reference.markdown import code, sentence, table, whole_page

DOCUMENT: Final = Path(__file__).parents[1] / "web" / "openapi.json"

Schema = Mapping[str, Any]

_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_LONGEST_PATTERN: Final = 60
"""Longer patterns are left to the OpenAPI document."""


def page() -> str:
    document = json.loads(DOCUMENT.read_text())
    intro = (
        "Every operation of the admin API, by subject. [The admin API](../api.md) explains the parts "
        "that they share: sign-in, problems, entity tags, idempotency keys and cursors. "
        "[`web/openapi.json`](../../web/openapi.json) has the same as an OpenAPI document, and so has "
        "`GET /api/openapi.json` of every installation."
    )
    operations = [
        (tag, path, method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for tag in operation["tags"]
    ]
    parts: list[str] = []
    for tag in document["tags"]:
        parts += [f"## {tag['name'].capitalize()}", tag["description"]]
        for of_tag, path, method, operation in operations:
            if of_tag == tag["name"]:
                parts += _operation(path, method, operation, document["components"]["responses"])
    parts += ["## Types", *(part for item in document["components"]["schemas"].items() for part in _schema(*item))]
    return whole_page("Operations of the admin API", intro, *parts)


def _operation(path: str, method: str, operation: Schema, shared: Mapping[str, Schema]) -> Iterator[str]:
    yield f"### {method} {path}"
    yield sentence(operation["summary"])
    yield operation.get("description", "")
    yield _access(operation)
    parameters = operation.get("parameters", [])
    rows = [(code(each["name"]), each["in"], *_meaning(each["schema"], each, each["required"])) for each in parameters]
    yield table(("parameter", "in", "type", "meaning"), rows)
    if "requestBody" in operation:
        yield f"The body is {_bodies(operation['requestBody'])}."
    yield table(
        ("status", "meaning", "body"),
        [_response(status, each, shared) for status, each in operation["responses"].items()],
    )


def _access(operation: Schema) -> str:
    """Return the access token that the operation needs, as a sentence. The operations of a guild can answer 403."""
    if not operation.get("security"):
        return "It is open to everybody."
    if "403" not in operation["responses"]:
        return "It needs an access token."
    return "It needs an access token of a person who has MANAGE_GUILD in the guild."


def _response(status: str, response: Schema, shared: Mapping[str, Schema]) -> tuple[str, str, str]:
    if "$ref" in response:
        response = shared[_name(response)]
    headers = [
        f"{code(name)}: {sentence(header['description'])}" for name, header in response.get("headers", {}).items()
    ]
    return code(status), " ".join([sentence(response["description"]), *headers]), _bodies(response)


def _bodies(part: Schema) -> str:
    return ", ".join(_type(body["schema"]) for body in part.get("content", {}).values())


def _schema(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield sentence(schema.get("description", ""))
    if "enum" in schema:
        yield f"One of {', '.join(map(code, schema['enum']))}."
    required = schema.get("required", [])
    rows = [
        (code(field), *_meaning(part, part, field in required)) for field, part in schema.get("properties", {}).items()
    ]
    yield table(("field", "type", "meaning"), rows)


def _meaning(schema: Schema, described: Schema, is_required: bool) -> tuple[str, str]:
    """Return the type, and the meaning with bounds and default."""
    facts = [text.format(f"{schema[bound]:,}") for bound, text in _BOUNDS.items() if bound in schema]
    if len(schema.get("pattern", "")) in range(1, _LONGEST_PATTERN):
        facts.append(f"matches {code(schema['pattern'])}")
    if "default" in schema:
        facts.append(f"default {code(json.dumps(schema['default']))}")
    elif not is_required:
        facts.append("optional")
    text = ", ".join(facts)
    return _type(schema), " ".join([sentence(described.get("description", "")), sentence(text[:1].upper() + text[1:])])


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type", "any"))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
