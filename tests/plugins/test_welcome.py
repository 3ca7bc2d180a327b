import json
from dataclasses import replace

import pytest

from builds import rebuild
from guildhook.model import HostFunctionCall, Outcome
from guildhook.plugin_settings.schema import check_schema, check_settings, secret_names
from guildhook.sandbox import inspect
from project import ROOT
from samples import CHANNEL, MESSAGE

PLUGIN = ROOT / "plugins" / "welcome"
WELCOME = PLUGIN / "welcome.wasm"


def test_the_committed_component_equals_the_build_of_the_source(tmp_path):
    assert rebuild(PLUGIN, tmp_path / "welcome.wasm") == WELCOME.read_bytes()


@pytest.fixture
def schema():
    inspection = inspect(WELCOME.read_bytes())
    assert inspection.accepted
    assert inspection.needs == {"SEND_MESSAGES"}
    assert inspection.settings_schema == (PLUGIN / "schema.json").read_bytes()
    return check_schema(inspection.settings_schema)


def test_its_schema_is_accepted_and_has_a_secret(schema):
    assert list(schema["properties"]) == ["greeting", "style", "excited", "api_key"]
    assert secret_names(schema) == {"api_key"}


def test_its_schema_says_which_settings_it_takes(schema):
    assert check_settings(schema, {}) == []
    assert check_settings(schema, {"greeting": "hi", "style": "loud", "excited": True}, ["api_key"]) == []
    wrong = {"greeting": "", "style": "silent", "excited": "yes", "api_key": "x", "other": 1}
    assert {pointer for pointer, _ in check_settings(schema, wrong)} == {f"/{name}" for name in wrong}


def test_its_defaults_equal_its_behaviour_without_settings(schema, welcome):
    defaults = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}
    assert welcome(defaults) == welcome({}) == ["Welcome"]


@pytest.fixture
def ran(run):
    """The result of the message "!welcome", or of another payload, with these settings."""

    def ran(settings, payload=None, **options):
        payload = payload or json.dumps({"content": "!welcome", "channel_id": CHANNEL})
        result = run(WELCOME.read_bytes(), message=replace(MESSAGE, payload=payload), settings=settings, **options)
        assert (result.outcome, result.detail) == (Outcome.OK, "")
        return result

    return ran


@pytest.fixture
def welcome(ran):
    """The messages of the plugin to the channel of the question."""

    def welcome(settings):
        intents = ran(settings).intents
        assert {intent.channel_id for intent in intents} == {CHANNEL}
        return [intent.content for intent in intents]

    return welcome


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"greeting": "Hello"}, "Hello"),
        ({"greeting": 'grüß \U0001f600\n"zz"'}, 'grüß \U0001f600\n"zz"'),
        ({"style": "loud"}, "WELCOME"),
        ({"style": "plain", "excited": True}, "Welcome!"),
        ({"excited": True, "style": "loud", "greeting": "azü {`"}, "AZü {`!"),
        ({"nested": {"greeting": "no", "list": [{"style": "loud"}, "]"]}, "greeting": "yes"}, "yes"),
        ({"greeting": 5, "style": True, "excited": "yes", "api_key": []}, "Welcome"),
        ({"greeting": ""}, "Welcome"),
    ],
)
def test_the_greeting_is_as_the_settings_have_it(welcome, settings, answer):
    assert welcome(settings) == [answer]


@pytest.mark.parametrize(
    ("settings", "line"),
    [({}, "api_key is not set"), ({"api_key": ""}, "api_key is not set"), ({"api_key": "s3cret"}, "api_key is set")],
)
def test_whether_it_has_its_secret_is_logged_and_nothing_of_it(ran, settings, line):
    result = ran(settings)
    assert result.logs == (line,)
    assert result.calls == tuple(
        HostFunctionCall(function, None) for function in ("settings.get", "log", "send-message")
    )


@pytest.mark.parametrize(
    "payload", ["{}", "[]", '{"content":"welcome"}', '{"content":"!welcome!"}', '{"content":7}', '{"content":"!welc']
)
def test_anything_else_is_not_answered(ran, payload):
    result = ran({"greeting": "hi", "api_key": "s3cret"}, payload)
    assert (result.intents, result.logs, result.calls) == ((), (), ())
