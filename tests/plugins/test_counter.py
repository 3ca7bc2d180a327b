import json
from dataclasses import replace

import pytest

from builds import rebuild
from guildhook.model import Outcome
from guildhook.sandbox import inspect
from project import ROOT
from samples import CHANNEL, MESSAGE, limits

PLUGIN = ROOT / "plugins" / "counter"
COUNTER = PLUGIN / "counter.wasm"


def test_the_committed_component_equals_the_build_of_the_source(tmp_path):
    assert rebuild(PLUGIN, tmp_path / "counter.wasm") == COUNTER.read_bytes()


def test_the_plugin_is_accepted_and_needs_one_permission():
    inspection = inspect(COUNTER.read_bytes())
    assert inspection.accepted
    assert inspection.needs == {"SEND_MESSAGES"}


@pytest.fixture
def count(run):
    """Gives the plugin a message with this content; returns its sends and its new state."""

    def count(content, state=None, **options):
        payload = json.dumps({"content": content, "channel_id": CHANNEL})
        result = run(COUNTER.read_bytes(), message=replace(MESSAGE, payload=payload), state=state, **options)
        assert (result.outcome, result.detail) == (Outcome.OK, "")
        return [(intent.channel_id, intent.content) for intent in result.intents], result.state

    return count


def test_each_count_is_one_more_than_the_last(count):
    sent, state = count("!count")
    assert (sent, state) == ([(CHANNEL, "1")], {"count": "1"})
    for number in range(2, 12):
        sent, state = count("!count", state)
        assert (sent, state) == ([(CHANNEL, str(number))], {"count": str(number)})


def test_text_after_the_command_is_sent_along(count):
    assert count("!count grüße \U0001f600", {"count": "41"})[0] == [(CHANNEL, "42 grüße \U0001f600")]
    assert count("!count  two  blanks ")[0] == [(CHANNEL, "1  two  blanks ")]
    assert count("!count ")[0] == [(CHANNEL, "1 ")]


def test_other_keys_stay(count):
    assert count("!count", {"other": "kept", "count": "9"})[1] == {"other": "kept", "count": "10"}


def test_a_count_that_is_no_number_is_read_as_far_as_its_digits_go(count):
    assert count("!count", {"count": "no number"})[1] == {"count": "1"}
    assert count("!count", {"count": "12 or so"})[1] == {"count": "13"}
    assert count("!count", {"count": ""})[1] == {"count": "1"}


@pytest.mark.parametrize("content", ["", "!", "!coun", "!counts", "!count\n", "!count\0", " !count", "count", "!ping"])
def test_anything_else_is_not_counted(count, content):
    assert count(content, {"count": "5"}) == ([], None)


def test_a_count_that_is_not_kept_is_not_sent(count):
    assert count("!count", limits=limits(state_bytes=5)) == ([], None)


def test_a_count_that_may_not_be_sent_is_kept(count):
    assert count("!count", permissions=frozenset()) == ([], {"count": "1"})


@pytest.mark.parametrize("payload", ["{}", "", "[]", '{"content":5,"channel_id":7}', '{"content":"!count', "{,}"])
def test_a_payload_that_is_no_message_sends_nothing(run, payload):
    result = run(COUNTER.read_bytes(), message=replace(MESSAGE, payload=payload))
    assert (result.outcome, result.intents) == (Outcome.OK, ())
