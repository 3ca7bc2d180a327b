import json
from dataclasses import replace

import pytest

from builds import rebuild
from guildhook.model import Outcome
from guildhook.sandbox import inspect
from project import ROOT
from samples import CHANNEL, MESSAGE

PLUGIN = ROOT / "plugins" / "ping"
PING = PLUGIN / "ping.wasm"


def test_the_committed_component_equals_the_build_of_the_source(tmp_path):
    assert rebuild(PLUGIN, tmp_path / "ping.wasm") == PING.read_bytes()


def test_the_plugin_is_accepted_and_needs_one_permission():
    inspection = inspect(PING.read_bytes())
    assert inspection.accepted
    assert inspection.needs == {"SEND_MESSAGES"}


@pytest.fixture
def answer(run):
    """The answers of the plugin to a message object, given as JSON text."""

    def answer(payload):
        result = run(PING.read_bytes(), message=replace(MESSAGE, payload=payload))
        assert (result.outcome, result.detail) == (Outcome.OK, "")
        return [(str(intent.channel_id), intent.content) for intent in result.intents]

    return answer


NESTED = {"author": {"content": "!ping", "channel_id": "x"}, "attachments": [{"content": ["}", "]", '\\"']}]}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "!ping", "channel_id": CHANNEL},
        {"channel_id": CHANNEL, "content": "!ping"},
        {**NESTED, "content": "!ping", "channel_id": CHANNEL},
        {"channel_id": CHANNEL, **NESTED, "edited": None, "n": -1.5e3, "on": True, "content": "!ping", "z": []},
    ],
)
@pytest.mark.parametrize("style", [{}, {"separators": (",", ":")}, {"indent": 2}])
def test_ping_is_answered_in_its_channel_with_any_order_of_fields(answer, message, style):
    assert answer(json.dumps(message, **style)) == [(CHANNEL, "pong")]


def test_escapes_are_read(answer):
    escaped = "".join(f"\\u{ord(character):04x}" for character in "!ping")
    assert answer(f'{{"\\u0063ontent":"{escaped}","channel_id":"{CHANNEL}"}}') == [(CHANNEL, "pong")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "ping",
        "!pin",
        "!pings",
        "!ping!",
        " !ping",
        '"!ping"',
        "\\",
        '\\"!ping',
        "\n!ping",
        "grüße \U0001f600",
        "!ping\0",
    ],
)
def test_anything_else_is_not_answered(answer, content):
    for ascii_only in (True, False):
        message = {"content": content, "channel_id": CHANNEL}
        assert answer(json.dumps(message, ensure_ascii=ascii_only)) == []


@pytest.mark.parametrize(
    "payload",
    ["{}", "", "[]", "null", '{"content":5,"channel_id":7}', '{"content":"!ping', '{"a', '{"a":', '{"a":"\\', "{,}"],
)
def test_a_payload_that_is_no_message_is_not_answered(answer, payload):
    assert answer(payload) == []


def test_the_longest_message_is_taken(answer):
    message = {"content": "x" * 900_000, "channel_id": CHANNEL}
    assert answer(json.dumps(message)) == []
