import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from guildhook.events.queue_events import MAX_HOPS, DeliveryDue, MalformedEventError, parse_event
from guildhook.model import Causality
from samples import TIME, event

SENT = datetime(2026, 2, 1, tzinfo=UTC)


def test_a_message_reaches_the_plugin_whole_with_its_guild():
    raw = event(content="grüße \U0001f600 \"'\\", mentions=["everyone"])
    message = parse_event(json.dumps(raw), SENT).message
    assert json.loads(message.payload) == {**raw["message"], "guild_id": raw["guild_id"]}
    assert "grüße \U0001f600" in message.payload
    assert ": " not in message.payload
    assert str(message.id) == raw["message"]["id"]
    assert message.created_at == TIME


def test_a_guild_id_in_the_message_does_not_win_over_the_events():
    raw = event(guild_id="6a1d0000-0000-4000-8000-000000000001")
    raw["message"]["guild_id"] = "ffffffff-0000-4000-8000-000000000001"
    assert json.loads(parse_event(json.dumps(raw), SENT).message.payload)["guild_id"] == raw["guild_id"]


def test_a_message_without_a_time_has_that_of_the_queue():
    raw = event()
    del raw["message"]["created_at"]
    assert parse_event(json.dumps(raw), SENT).message.created_at == SENT


def test_a_time_without_a_zone_is_utc():
    assert parse_event(json.dumps(event(created_at="2026-01-25T12:00:00")), SENT).message.created_at.tzinfo is UTC


def test_times_are_those_of_utc_so_that_postgres_understands_every_offset():
    parsed = parse_event(json.dumps(event(created_at="2026-01-25T12:00:00+16:30")), SENT)
    assert parsed.message.created_at.isoformat() == "2026-01-24T19:30:00+00:00"


def sns(body):
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:0:chat", "Message": json.dumps(body)}


def eventbridge(body):
    return {"version": "0", "detail-type": "message.created", "source": "chat", "detail": body}


@pytest.mark.parametrize("wrap", [sns, eventbridge, lambda body: sns(eventbridge(body))])
def test_envelopes_are_unwrapped(wrap):
    raw = event()
    assert parse_event(json.dumps(wrap(raw)), SENT) == parse_event(json.dumps(raw), SENT)


BOT = {"id": "1", "bot": True}
ROOT = UUID("6a1d0000-0000-4000-8000-00000000000a")


def causality_of(hops):
    return {"root": str(ROOT), "hops": hops}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"author": BOT}, "author is a bot, and its message has no causality"),
        ({"author": BOT, "causality": causality_of(5)}, "author is a bot, 5 hops away from a person; the limit is 4"),
        ({"message_type": "system"}, "system message"),
        ({"encrypted": True}, "encrypted message"),
    ],
)
def test_some_messages_are_not_for_plugins(fields, reason):
    assert parse_event(json.dumps(event(**fields)), SENT).skip == reason


def test_a_bots_message_with_a_causality_may_be_answered_one_hop_further():
    parsed = parse_event(json.dumps(event(author=BOT, causality=causality_of(MAX_HOPS))), SENT)
    assert parsed.skip is None
    assert parsed.message.causality == Causality(ROOT, MAX_HOPS)
    assert parsed.message.causality_of_answers == Causality(ROOT, MAX_HOPS + 1)


def test_a_persons_message_begins_a_chain_and_its_claimed_causality_is_ignored():
    parsed = parse_event(json.dumps(event(causality=causality_of(MAX_HOPS + 1))), SENT)
    assert (parsed.skip, parsed.message.causality) == (None, None)
    assert parsed.message.causality_of_answers == Causality(parsed.message.id, 1)


def test_a_delivery_that_is_due_is_read_as_it_was_written():
    due = DeliveryDue(guild_id=uuid4(), message_id=uuid4())
    assert parse_event(due.to_json(), SENT) == due


def without(*path):
    raw = event()
    target = raw
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return json.dumps(raw)


MALFORMED = [
    ("", "not JSON"),
    ("hello", "not JSON"),
    ("\0" * 1_000_000, "not JSON"),
    ("[" * 1_000_000, "not JSON"),
    ('{"a": NaN}', "not JSON"),
    ("{}", "missing required field `type`"),
    ("[]", "not a message.created event"),
    ("null", "not a message.created event"),
    (without("guild_id"), "missing required field `guild_id`"),
    (without("message", "id"), "missing required field `id` - at `$.message`"),
    (without("message", "author"), "missing required field `author` - at `$.message`"),
    (json.dumps({**event(), "type": "message.deleted"}), "not a message.created event: its type"),
    (json.dumps({**event(), "guild_id": 7}), "guild_id"),
    (json.dumps(event(causality={"root": str(ROOT), "hops": 0})), "message.causality.hops"),
    (json.dumps(event(causality=7)), "message.causality"),
    (json.dumps(event(created_at="0001-01-01T00:00:00+23:00")), "message.created_at is out of range"),
    (json.dumps(event(created_at="9999-12-31T23:59:59-23:00")), "message.created_at is out of range"),
    ('{"type": "guildhook.delivery_due", "guild_id": "x"}', "not a guildhook.delivery_due event"),
    (json.dumps({**event(), "message": "hello"}), "message"),
    (json.dumps(event(content=5)), "message.content"),
    (json.dumps(event(content="\ud800")), "not JSON"),
    (json.dumps(event(message_type="secret")), "message.message_type is none of user, system"),
    (json.dumps(event()).replace('"attachments": []', '"attachments": 1e999'), "not JSON: Number out of range"),
    (json.dumps({"Type": "Notification", "Message": "not an event"}), "not JSON"),
    (json.dumps(sns(sns(sns(event())))), "missing required field `type`"),
]


@pytest.mark.parametrize(("body", "reason"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_body_is_refused_with_a_short_reason(body, reason):
    with pytest.raises(MalformedEventError) as raised:
        parse_event(body, SENT)
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 400


def test_the_reason_quotes_nothing_of_the_message():
    with pytest.raises(MalformedEventError) as raised:
        parse_event(json.dumps(event(content=["secret words"], channel_id="secret place")), SENT)
    assert "secret" not in str(raised.value)
