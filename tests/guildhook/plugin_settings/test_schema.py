import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from guildhook.errors import InvalidSchemaError
from guildhook.plugin_settings.schema import (
    MAX_SETTINGS_BYTES,
    check_schema,
    check_settings,
    check_settings_size,
    secret_names,
)

GREETING: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "Greeter",
    "properties": {
        "greeting": {"type": "string", "minLength": 1, "maxLength": 5, "default": "hello"},
        "every": {"type": "number", "multipleOf": 0.1, "exclusiveMinimum": 0, "maximum": 10},
        "mode": {"enum": ["loud", "quiet", 1, None]},
        "words": {"type": "array", "items": {"type": "string"}, "maxItems": 3, "uniqueItems": True},
        "by channel/team": {
            "type": "object",
            "properties": {"on": {"type": "boolean"}},
            "required": ["on"],
            "additionalProperties": False,
        },
        "api_key": {"type": "string", "writeOnly": True, "format": "textarea"},
    },
    "required": ["greeting", "api_key"],
    "additionalProperties": False,
}


def section(schema: object) -> bytes:
    return json.dumps(schema).encode()


def an_object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def nested(levels: int) -> object:
    return {"type": "array", "items": nested(levels - 1)} if levels > 1 else {"type": "string"}


def test_a_schema_comes_back_as_it_was_written():
    assert check_schema(section(GREETING)) == GREETING
    assert list(check_schema(section(GREETING))["properties"]) == list(GREETING["properties"])
    assert secret_names(GREETING) == {"api_key"}
    assert secret_names(None) == frozenset()


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", "it is not JSON: Expecting value"),
        (b"{", "it is not JSON"),
        (b'{"type": "\xff"}', "it is not UTF-8 at byte 10"),
        (b'{"type": "object", "type": "object"}', "it is not JSON: an object has 'type' twice"),
        (b'{"type": "object", "default": NaN}', "NaN is not a number of JSON"),
        (b'{"type": "object", "default": -Infinity}', "-Infinity is not a number of JSON"),
        (b'{"type": "object", "default": 1e999}', "'/default' is not a finite number"),
        (b'{"type": "object", "default": 9007199254740993}', "'/default' is beyond 9007199254740991"),
        (b'{"type": "object", "default": 1e-300}', "'/default' is closer to 0 than"),
        (b'{"type": "object", "default": ' + b"9" * 5_000 + b"}", "it is not JSON: Exceeds the limit"),
        (b'{"type": "object", "title": "a\\u0000b"}', "'/title' has a NUL character"),
        (b'{"type": "object", "title": "\\ud800"}', "'/title' is not Unicode"),
        (b'{"type": "object", "properties": {"a\\u0000b": {}}}', "'/properties' has a name that has a NUL character"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deeply; the limit is 100 levels"),
        (b"[" * 60_000, "nested too deeply; the limit is 100 levels"),
        (b'{"items":' * 5_000 + b"{}" + b"}" * 5_000, "nested too deeply; the limit is 100 levels"),
        (b'{"default":' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply; the limit is 100 levels"),
        (b" " * (64 * 1024 + 1), "it has 65537 bytes; the limit is 65536"),
        (section([]), "it is not a schema; a schema is a JSON object"),
        (section(True), "it is not a schema"),
        (section({}), 'its type must be "object"'),
        (section({"type": "string"}), 'its type must be "object"'),
        (section({"type": ["object"]}), "'/type' must be one of object, array"),
        (section({"type": "object", "$ref": "#"}), "it has the keyword '$ref'; the allowed keywords are $schema, type"),
        (section(an_object(a={"pattern": "(a+)+$"})), "'/properties/a' has the keyword 'pattern'"),
        (section({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}), "'/$schema' must be https"),
        (section({"type": "object", "title": 1}), "'/title' must be a text"),
        (section({"type": "object", "properties": []}), "'/properties' must be an object of schemas"),
        (section(an_object(a=True)), "'/properties/a' is not a schema"),
        (section(an_object(a={"enum": []})), "'/properties/a/enum' must be a list with at least one value"),
        (section(an_object(a={"minLength": -1})), "'/properties/a/minLength' must be a whole number from 0 on"),
        (section(an_object(a={"minLength": True})), "'/properties/a/minLength' must be a whole number from 0 on"),
        (section(an_object(a={"multipleOf": 0})), "'/properties/a/multipleOf' must be a number above 0"),
        (section(an_object(a={"minimum": "1"})), "'/properties/a/minimum' must be a number"),
        (section(an_object(a={"format": "regex"})), "'/properties/a/format' must be one of date, time"),
        (section(an_object(a={"items": [{}]})), "'/properties/a/items' must be one schema"),
        (
            section({**an_object(a={}), "required": ["a", "a"]}),
            "'/required' must be a list of names, each of them once",
        ),
        (section({**an_object(a={}), "required": ["b"]}), "it requires 'b', which is not one of its properties"),
        (section({"type": "object", "writeOnly": True}), "it is a secret (writeOnly); only settings at the top level"),
        (section({"type": "object", "items": {"type": "string", "writeOnly": True}}), "'/items' is a secret"),
        (
            section(an_object(a=an_object(b={"type": "string", "writeOnly": True}))),
            "'/properties/a/properties/b' is a secret (writeOnly); only settings at the top level can be secrets",
        ),
        (section(an_object(a={"type": "number", "writeOnly": True})), """is a secret (writeOnly); its type must be"""),
        (section(an_object(**{"a/b~": {"x": 1}})), "'/properties/a~1b~0' has the keyword 'x'"),
        (section(an_object(**{"a" * 257: {}})), "'/properties' has a name with more than 256 characters"),
        (section(an_object(a=nested(16))), "is a schema at level 17; the limit is 16 levels"),
        (section(an_object(**{f"p{i}": {} for i in range(201)})), "it has 201 properties; the limit is 200"),
        (
            section(an_object(**{f"o{i}": an_object(**{f"p{j}": {} for j in range(99)}) for i in range(5)})),
            "is schema number 501; the limit is 500 schemas",
        ),
    ],
)
def test_a_schema_outside_the_dialect_is_refused_with_the_reason(written, reason):
    with pytest.raises(InvalidSchemaError) as refused:
        check_schema(written)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 600
    assert str(refused.value).isprintable()


def test_a_schema_just_within_the_bounds_is_accepted():
    for schema in (
        an_object(a=nested(15)),
        an_object(**{f"p{i}": {} for i in range(200)}),
        an_object(**{f"o{i}": an_object(**{f"p{j}": {} for j in range(98)}) for i in range(5)}),
        {"type": "object"},
    ):
        assert check_schema(section(schema)) == schema


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\u0dtfn1e-. ', max_size=200).map(str.encode))
def test_no_bytes_are_anything_but_a_schema_or_refused(written):
    try:
        assert isinstance(check_schema(written), dict)
    except InvalidSchemaError as refused:
        assert str(refused)  # noqa: PT017 - a schema is a good answer as well


GOOD = {"greeting": "hi", "every": 0.3, "mode": "loud", "words": ["a", "b"], "by channel/team": {"on": True}}


def test_settings_that_keep_to_the_schema_have_no_errors():
    assert check_settings(GREETING, GOOD, {"api_key"}) == []
    assert check_settings(None, {"anything": [{"goes": None}]}) == []


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        ({"greeting": 1}, [("/greeting", "must be a text")]),
        ({"greeting": ""}, [("/greeting", "must have at least 1 characters")]),
        ({"greeting": "hellos"}, [("/greeting", "must have at most 5 characters")]),
        ({"every": 0}, [("/every", "must be more than 0")]),
        ({"every": 11}, [("/every", "must be at most 10")]),
        ({"every": 0.25}, [("/every", "must be a multiple of 0.1")]),
        ({"every": True}, [("/every", "must be a number")]),
        ({"mode": "other"}, [("/mode", 'must be one of "loud", "quiet", 1, null')]),
        ({"mode": True}, [("/mode", 'must be one of "loud", "quiet", 1, null')]),
        ({"mode": 1.0}, []),
        ({"words": ["a", "b", "c", "d"]}, [("/words", "must have at most 3 items")]),
        ({"words": ["a", 1]}, [("/words/1", "must be a text")]),
        ({"words": ["a", "a"]}, [("/words", "must not have the same item twice")]),
        ({"by channel/team": {}}, [("/by channel~1team/on", "is required")]),
        (
            {"by channel/team": {"on": True, "off": 1}},
            [("/by channel~1team/off", "is not a setting of this version; remove it")],
        ),
        ({"unknown": 1}, [("/unknown", "is not a setting of this version; remove it")]),
        ({"api_key": "k"}, [("/api_key", "is a secret; set it with the secrets, not in the settings")]),
    ],
)
def test_an_error_names_its_place_and_the_fault(changed, errors):
    assert check_settings(GREETING, {**GOOD, **changed}, {"api_key"}) == errors


def test_a_required_secret_counts_as_given_if_it_is_set():
    missing = ("/api_key", "is a secret that is required; set it with the secrets")
    assert check_settings(GREETING, GOOD) == [missing]
    assert check_settings(GREETING, {"every": 1}, {"api_key", "other"}) == [("/greeting", "is required")]


def test_errors_quote_no_value():
    errors = check_settings(GREETING, {"greeting": ["hunter2"], "mode": "hunter2", "words": "hunter2"}, {"api_key"})
    assert len(errors) == 3
    assert "hunter2" not in str(errors)


def test_there_are_twenty_errors_at_the_most():
    assert len(check_settings(GREETING, {**GOOD, "words": list(range(100))}, {"api_key"})) == 20
    assert len(check_settings(None, {"a": ["\0"] * 100})) == 20


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ([], ("", "is not a JSON object")),
        (None, ("", "is not a JSON object")),
        ({"a": "\0"}, ("/a", "has a NUL character")),
        ({"a\0": 1}, ("", "has a name that has a NUL character")),
        ({"a": ["\ud800"]}, ("/a/0", "is not Unicode: it has half of a surrogate pair")),
        ({"a": float("nan")}, ("/a", "is not a finite number")),
        ({"a": float("inf")}, ("/a", "is not a finite number")),
        ({"a": 10**400}, ("/a", "is beyond 9007199254740991; use a text for longer numbers")),
        ({"a": object()}, ("/a", "is not JSON")),
        ({"a" * 257: 1}, ("", "has a name with more than 256 characters")),
        ({"a": "x" * MAX_SETTINGS_BYTES}, ("", "has 65544 bytes of JSON; the limit is 65536")),
    ],
)
def test_settings_that_postgres_cannot_store_are_an_error_with_and_without_a_schema(settings, error):
    assert check_settings_size(settings) == [error]
    assert check_settings(None, settings) == [error]
    assert check_settings(GREETING, settings) == [error]


def test_settings_have_so_many_levels_and_no_more():
    def levels(count: int) -> dict[str, object]:
        return {"a": levels(count - 1)} if count > 1 else {}

    assert check_settings(None, levels(32)) == []
    assert check_settings(None, levels(33)) == [("/a" * 32, "is nested too deeply; the limit is 32 levels")]
    deep: dict[str, object] = {}
    for _ in range(10_000):
        deep = {"a": deep}
    assert check_settings(None, deep) == [("/a" * 32, "is nested too deeply; the limit is 32 levels")]


def test_errors_that_are_not_shown_are_not_collected():
    names = [f"p{number}" for number in range(200)]
    item = {"type": "object", "properties": {name: {} for name in names}, "required": names}
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": item}}}
    settings = {"a": [{} for _ in range(200)]}
    check_settings(schema, settings)  # the first call imports the validator
    tracemalloc.start()
    try:
        assert len(check_settings(schema, settings)) == 20
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20


def test_many_items_and_many_allowed_values_are_compared_by_looking_them_up():
    # Comparing each item with each would take tens of millions of comparisons.
    allowed = [[n] for n in range(7_000)]
    schema = check_schema(section(an_object(a={"items": {"enum": allowed}, "uniqueItems": True})))
    items = [[n + 0.0] for n in range(7_000)]
    assert check_settings(schema, {"a": items[:6_000]}) == []
    assert check_settings(schema, {"a": [*items[:6_000], [0]]}) == [("/a", "must not have the same item twice")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0]) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)
BOUNDS = {
    "type": st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]),
    "enum": st.lists(JSON, min_size=1, max_size=3),
    "const": JSON,
    "uniqueItems": st.booleans(),
    "minimum": st.integers(-2, 2),
    "exclusiveMaximum": st.integers(-2, 2),
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "maxLength": st.integers(0, 2),
    "minItems": st.integers(0, 2),
    "additionalProperties": st.booleans(),
}


def schemas(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    parts = {**BOUNDS, "items": inner, "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)}
    return st.fixed_dictionaries({}, optional=parts)


@given(st.recursive(schemas(st.just({})), schemas, max_leaves=4), JSON)
def test_the_verdict_is_that_of_the_whole_of_json_schema(inner, value):
    schema = check_schema(section(an_object(a=inner)))
    assert (check_settings(schema, {"a": value}) == []) == Draft202012Validator(schema).is_valid({"a": value})
