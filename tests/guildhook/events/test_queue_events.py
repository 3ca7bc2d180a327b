import json
import re
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from operator import getitem
from uuid import UUID, uuid4

import pytest

from guildhook.events.malformed_events import MalformedEventError
from guildhook.events.queue_events import (
    MAX_HOPS,
    DeliveryDue,
    Event,
    MessageDeleted,
    SkippedMessage,
    UnknownEvent,
    UnmarkedAuthors,
    parse_event,
)
from guildhook.model import Causality
from samples import TIME, deletion_of, event

SENT = datetime(2026, 2, 1, tzinfo=UTC)


def read(body, unmarked_authors=UnmarkedAuthors.PERSON) -> Event:
    """Read a body that has a whole message."""
    found = parse_event(body, SENT, unmarked_authors)
    assert isinstance(found, Event)
    return found


def parsed(**fields) -> Event:
    return read(json.dumps(event(**fields)))


def test_a_message_reaches_the_plugin_whole_with_its_guild():
    raw = event(content="grüße \U0001f600 \"'\\", mentions=["everyone"])
    message = read(json.dumps(raw)).message
    assert json.loads(message.payload) == {**raw["message"], "guild_id": raw["guild_id"]}
    assert "grüße \U0001f600" in message.payload
    assert ": " not in message.payload
    assert str(message.id) == raw["message"]["id"]
    assert message.created_at == TIME


def test_a_guild_id_in_the_message_does_not_win_over_the_events():
    raw = event(guild_id="6a1d0000-0000-4000-8000-000000000001")
    raw["message"]["guild_id"] = "ffffffff-0000-4000-8000-000000000001"
    assert json.loads(read(json.dumps(raw)).message.payload)["guild_id"] == raw["guild_id"]


def test_a_message_without_a_time_has_that_of_the_queue():
    raw = event()
    del raw["message"]["created_at"]
    assert read(json.dumps(raw)).message.created_at == SENT


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2026-01-25T12:00:00", "2026-01-25T12:00:00Z"),
        ("2026-01-25 12:00:00+00", "2026-01-25T12:00:00Z"),
        ("2026-01-25 17:30:00.5+0530", "2026-01-25T12:00:00.500000Z"),
        ("2026-01-25t12:00:00z", "2026-01-25T12:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_reaches_plugins_as_rfc_3339_writes_it(created_at, expected):
    message = parsed(created_at=created_at).message
    assert json.loads(message.payload)["created_at"] == expected
    assert message.created_at == datetime.fromisoformat(expected)
    assert message.created_at.tzinfo is UTC


@pytest.mark.parametrize("created_at", ["2026-01-25T13:00:00+01:00", "2026-01-25T12:00:00.123456789Z"])
def test_a_time_of_rfc_3339_stays_as_it_is(created_at):
    assert json.loads(parsed(created_at=created_at).message.payload)["created_at"] == created_at


OPTIONAL = {
    "content": "",
    "encrypted": False,
    "attachments": [],
    "reply_to": None,
    "parent_id": None,
    "created_at": SENT.isoformat().replace("+00:00", "Z"),
    "message_type": "user",
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_field_that_is_null_is_the_same_as_one_that_is_missing(name):
    raw = event(**{name: None})
    null = read(json.dumps(raw))
    del raw["message"][name]
    missing = read(json.dumps(raw))
    for each in (null, missing):
        assert each.skip is None
        assert json.loads(each.message.payload)[name] == OPTIONAL[name]
    assert null.message.created_at == missing.message.created_at


@pytest.mark.parametrize("name", ["username", "display_name", "bot"])
def test_a_field_of_the_author_that_is_null_is_the_same_as_one_that_is_missing(name):
    author = {"id": "1", "username": "ada", "display_name": "Ada", "bot": False}
    authors = [{**author, name: None}, {each: value for each, value in author.items() if each != name}]
    payloads = [json.loads(parsed(author=each).message.payload)["author"] for each in authors]
    assert payloads == [{**author, name: False if name == "bot" else None}] * 2


def test_a_causality_that_is_null_is_one_that_is_missing():
    assert parsed(author=BOT, causality=None).skip == parsed(author=BOT).skip


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("6A1D00000000400080000000000000AB", "6a1d0000-0000-4000-8000-0000000000ab"), ("7", "7"), ("", None)],
)
def test_a_message_has_its_author_in_the_spelling_that_is_searched(sent, kept):
    assert parsed(author={"id": sent, "bot": False}).message.author_id == kept


@pytest.mark.parametrize("author", [{"id": "1"}, {"id": "1", "bot": None}])
def test_an_author_who_is_not_said_to_be_a_bot_is_treated_as_the_operator_wants(author):
    body = json.dumps(event(author=author))
    assert read(body, UnmarkedAuthors.PERSON).skip is None
    with pytest.raises(MalformedEventError) as raised:
        parse_event(body, SENT, UnmarkedAuthors.REFUSE)
    found = "is null" if "bot" in author else "is missing"
    assert str(raised.value) == (
        f"not a message.created event: message.author.bot {found}; true or false is wanted, because "
        "GUILDHOOK_UNMARKED_AUTHORS is refuse"
    )


@pytest.mark.parametrize(
    ("fields", "skipped"),
    [
        ({"author": {"id": "1", "bot": False}}, False),
        ({"author": {"id": "1", "bot": True}}, True),
        ({"author": {"id": "1"}, "message_type": "system"}, True),
        ({"author": {"id": "1"}, "message_type": "pinned"}, True),
        ({"author": {"id": "1"}, "encrypted": True}, True),
    ],
)
def test_no_other_message_is_refused(fields, skipped):
    assert (read(json.dumps(event(**fields)), UnmarkedAuthors.REFUSE).skip is not None) is skipped


ID = "6a1d0000-0000-4000-8000-00000000000a"
SPELLINGS = [ID.upper(), ID.replace("-", ""), f"{{{ID.upper()}}}", f"urn:uuid:{ID.upper()}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ids_reach_plugins_in_one_spelling(spelling):
    raw = event(
        guild_id=spelling,
        channel_id=spelling,
        id=spelling,
        reply_to=spelling,
        parent_id=spelling,
        author={"id": spelling, "username": spelling, "display_name": "Ada", "bot": True},
        causality={"root": spelling, "hops": 1},
        content=spelling,
    )
    message = read(json.dumps(raw)).message
    assert {message.id, message.guild_id, message.channel_id, message.causality.root_id} == {UUID(ID)}
    assert message.payload == (
        f'{{"id":"{ID}","channel_id":"{ID}","author":{{"id":"{ID}","username":"{spelling}","display_name":"Ada",'
        f'"bot":true}},"content":"{spelling}","encrypted":false,"attachments":[],"reply_to":"{ID}","parent_id":"{ID}",'
        f'"created_at":"{TIME.isoformat()}","message_type":"user","causality":{{"root":"{ID}","hops":1}},'
        f'"guild_id":"{ID}"}}'
    )


def test_an_id_that_is_no_uuid_stays_as_it_is():
    payload = json.loads(parsed(author={"id": "80351110224678912"}, reply_to={"id": ID.upper()}).message.payload)
    assert (payload["author"]["id"], payload["reply_to"]) == ("80351110224678912", {"id": ID.upper()})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_due_delivery_is_read_in_every_spelling_of_its_ids(spelling):
    body = json.dumps({"type": "guildhook.delivery_due", "guild_id": spelling, "message_id": spelling})
    assert parse_event(body, SENT) == DeliveryDue(UUID(ID), UUID(ID))


def sent_digest(raw):
    """The digest with which the release before recorded runs on an event."""
    message = {**raw["message"], "guild_id": str(UUID(raw["guild_id"]))}
    return sha256(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()).digest()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": ID.upper()},
        {"channel_id": ID.replace("-", "")},
        {"author": {"id": ID.upper()}},
        {"author": {"bot": False, "id": "1"}},
        {"created_at": None},
        {"created_at": "2026-01-25T12:00:00"},
        {"reply_to": ID.upper(), "attachments": None},
    ],
)
def test_the_digest_of_a_message_is_that_of_the_message_as_it_was_sent(fields):
    raw = event(**fields)
    assert read(json.dumps(raw)).message.sha256 == sent_digest(raw)


def test_another_spelling_of_a_message_is_the_same_message():
    raw = event(id=ID)
    other = {**raw, "message": {**raw["message"], "id": ID.upper(), "reply_to": None}}
    assert parse_event(json.dumps(raw), SENT) == parse_event(json.dumps(other), SENT)


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"Type": "Notification", "Message": body}])
@pytest.mark.parametrize("content", ["a\ud800b", "\udfff", "\ud83d\ud83d\ude00"])
def test_half_a_surrogate_becomes_the_replacement_character(wrap, content):
    raw = event(content=content, author={"id": "1", "username": "ad\ud800a", "bot": False})
    body = json.dumps(raw)
    body = body if wrap(body) == body else json.dumps(wrap(body))
    found = read(body)
    payload = json.loads(found.message.payload)
    assert payload["content"] == content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert payload["author"]["username"] == "ad\ufffda"
    assert found.repaired


def test_half_a_surrogate_that_is_not_escaped_becomes_the_replacement_character_as_well():
    found = read(json.dumps(event(content="a\ud800b"), ensure_ascii=False))
    assert json.loads(found.message.payload)["content"] == "a\ufffdb"
    assert found.repaired


def test_a_pair_of_surrogates_and_an_escaped_backslash_stay_as_they_are():
    found = parsed(content="\U0001f600 \\ud800")
    assert json.loads(found.message.payload)["content"] == "\U0001f600 \\ud800"
    assert not found.repaired


def test_an_event_that_is_nested_deeply_is_malformed():
    nested = '{"message":' * 900 + "1" + "}" * 900
    with pytest.raises(MalformedEventError):
        parse_event(f'{{"type": "message.created", "guild_id": "x", "message": {nested}}}', SENT)


def test_times_are_those_of_utc_so_that_postgres_understands_every_offset():
    message = parsed(created_at="2026-01-25T12:00:00+16:30").message
    assert message.created_at.isoformat() == "2026-01-24T19:30:00+00:00"


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
    assert parsed(**fields).skip == reason


def test_a_bots_message_with_a_causality_may_be_answered_one_hop_further():
    found = parsed(author=BOT, causality=causality_of(MAX_HOPS))
    assert found.skip is None
    assert found.message.causality == Causality(ROOT, MAX_HOPS)
    assert found.message.causality_of_answers == Causality(ROOT, MAX_HOPS + 1)


def test_a_persons_message_begins_a_chain_and_its_claimed_causality_is_ignored():
    found = parsed(causality=causality_of(MAX_HOPS + 1))
    assert (found.skip, found.message.causality) == (None, None)
    assert found.message.causality_of_answers == Causality(found.message.id, 1)


@pytest.mark.parametrize("author", [{"id": "1"}, {"id": "1", "bot": None}, {"id": "1", "bot": False}])
@pytest.mark.parametrize(
    "causality",
    [{}, {"root": None, "hops": 0}, {"root": "", "hops": 0}, {"root": str(UUID(int=0)), "hops": 0}, [], "", 7],
)
def test_a_persons_causality_can_be_anything(author, causality):
    found = parsed(author=author, causality=causality)
    assert (found.skip, found.message.causality) == (None, None)
    assert json.loads(found.message.payload)["causality"] == causality


def test_the_causality_of_a_person_has_the_spelling_of_a_bots():
    causality = {"root": f"{{{ID.upper()}}}", "hops": 1.0}
    for author in ({"id": "1"}, BOT):
        payload = parsed(author=author, causality=causality).message.payload
        assert f'"causality":{{"root":"{ID}","hops":1}}' in payload


@pytest.mark.parametrize("hops", ["1.0", "1e0"])
def test_hops_may_be_written_with_a_fraction_of_zero(hops):
    body = json.dumps(event(author=BOT, causality=causality_of(7))).replace('"hops": 7', f'"hops": {hops}')
    found = read(body)
    assert (found.skip, found.message.causality) == (None, Causality(ROOT, 1))


def test_a_delivery_that_is_due_is_read_as_it_was_written():
    due = DeliveryDue(guild_id=uuid4(), message_id=uuid4())
    assert parse_event(due.to_json(), SENT) == due


@pytest.mark.parametrize("wrap", [lambda body: body, sns, eventbridge])
def test_a_deleted_message_is_read_in_every_spelling_of_its_ids(wrap):
    ids = {name: uuid4() for name in ("guild_id", "channel_id", "message_id")}
    deleted = MessageDeleted(ids["guild_id"], ids["message_id"])
    for spelling in (str, lambda each: each.hex, lambda each: f"{{{each}}}", lambda each: f"URN:UUID:{each}"):
        body = {"type": "message.deleted", **{name: spelling(each) for name, each in ids.items()}, "deleted_at": 7}
        assert parse_event(json.dumps(wrap(body)), SENT) == deleted


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
    ("{}", "type is missing; a text is wanted"),
    ("[]", "not a message.created event: it is a list; an object is wanted"),
    ("null", "not a message.created event: it is null; an object is wanted"),
    ("true", "it is true; an object is wanted"),
    ('"hello"', "it is a text of 5 characters; an object is wanted"),
    (json.dumps({**event(), "type": 7}), "type is 7; a text is wanted"),
    (json.dumps({**event(), "type": None}), "type is null; a text is wanted"),
    (without("guild_id"), "guild_id is missing; a UUID is wanted"),
    (without("message", "id"), "message.id is missing; a UUID is wanted"),
    (without("message", "author"), "message.author is missing; an object is wanted"),
    (without("message", "author", "id"), "message.author.id is missing; a text is wanted"),
    (json.dumps({**event(), "guild_id": 7}), "guild_id is 7; a UUID is wanted"),
    (json.dumps(event(id="4711")), 'message.id is "4711"; a UUID is wanted'),
    (json.dumps(event(author={"id": 80351110224678912})), "message.author.id is 80351110224678912; a text is wanted"),
    (json.dumps(event(author={"id": "1", "bot": "no"})), 'message.author.bot is "no"; true or false is wanted'),
    (
        json.dumps(event(author=BOT, causality={"root": str(ROOT), "hops": 0})),
        "message.causality.hops is 0; a whole number from 1",
    ),
    (json.dumps(event(author=BOT, causality={"hops": 1})), "message.causality.root is missing; a UUID is wanted"),
    (json.dumps(event(author=BOT, causality=7)), "message.causality is 7; an object is wanted"),
    (json.dumps(event(created_at="noon")), 'message.created_at is "noon"; a time such as 2026-01-25T12:00:00Z is'),
    (json.dumps(event(created_at="0001-01-01T00:00:00+23:00")), 'is "0001-01-01T00:00:00+23:00"; a time in the years'),
    (json.dumps(event(created_at="9999-12-31T23:59:59-23:00")), 'is "9999-12-31T23:59:59-23:00"; a time in the years'),
    ('{"type": "guildhook.delivery_due", "guild_id": "x"}', 'guildhook.delivery_due event: guild_id is "x"; a UUID'),
    ('{"type": "guildhook.delivery_due"}', "guild_id is missing; a UUID is wanted"),
    (json.dumps(deletion_of(event(), guild_id=None)), "message.deleted event: guild_id is null; a UUID is wanted"),
    (json.dumps(deletion_of(event(), message_id="4711")), 'message.deleted event: message_id is "4711"; a UUID is'),
    (json.dumps(deletion_of(event(), channel_id=7)), "message.deleted event: channel_id is 7; a UUID is wanted"),
    ('{"type": "message.deleted"}', "message.deleted event: guild_id is missing; a UUID is wanted"),
    (json.dumps({**event(), "type": "message.deleted"}), "channel_id is missing; a UUID is wanted"),
    (json.dumps({**event(), "message": "hello there"}), "message is a text of 11 characters; an object is wanted"),
    (json.dumps(event(author="hello")), "message.author is a text of 5 characters; an object is wanted"),
    (json.dumps(event(content=5)), "message.content is 5; a text is wanted"),
    (json.dumps(event(content=["hello"])), "message.content is a list; a text is wanted"),
    (json.dumps(event(id=10**400)), "message.id is 1000"),
    (json.dumps(event()).replace('"attachments": []', f'"attachments": {"9" * 5_000}'), "not JSON"),
    ('"\\ud800', "not JSON"),
    (json.dumps(event(created_at="infinity")), 'message.created_at is "infinity"; a time such as'),
    (
        json.dumps(event(created_at="0044-03-15 12:00:00+00 BC")),
        "message.created_at is a text of 25 characters; a time",
    ),
    (json.dumps(event(message_type=3)), "message.message_type is 3; a text is wanted"),
    (json.dumps(event()).replace('"attachments": []', '"attachments": 1e999'), "not JSON: Number out of range"),
    (json.dumps({"Type": "Notification", "Message": "not an event"}), "not JSON"),
    (json.dumps(sns(sns(sns(event())))), "type is missing; a text is wanted"),
]


@pytest.mark.parametrize(("body", "reason"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_body_is_refused_with_a_short_reason(body, reason):
    with pytest.raises(MalformedEventError) as raised:
        parse_event(body, SENT)
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "path",
    [
        *("type", "guild_id", "message", "message.id", "message.channel_id", "message.author", "message.author.id"),
        *("message.author.bot", "message.content", "message.encrypted", "message.message_type", "message.created_at"),
        *("message.causality", "message.causality.root", "message.causality.hops"),
    ],
)
@pytest.mark.parametrize(("value", "shown"), [([1], "a list"), (1.5, "1.5"), (-7, "-7")])
def test_every_field_of_a_wrong_type_is_named_with_its_value(path, value, shown):
    raw = event(author={"id": "1", "bot": True}, causality=causality_of(1))
    *above, name = path.split(".")
    reduce(getitem, above, raw)[name] = value
    with pytest.raises(MalformedEventError, match=re.escape(f"event: {path} is {shown}; ")):
        parse_event(json.dumps(raw), SENT)


@pytest.mark.parametrize(
    ("type_", "shown"),
    [
        ("message.edited", '"message.edited"'),
        ("guild/member:added", '"guild/member:added"'),
        ("", "a text of 0 characters"),
        ("some secret words", "a text of 17 characters"),
        ("x" * 100_000, "a text of 100000 characters"),
    ],
)
def test_types_that_are_not_known_are_skipped_by_name(type_, shown):
    assert parse_event(json.dumps({"type": type_, "anything": [1]}), SENT) == UnknownEvent(shown)
    assert UnknownEvent(shown).skip == f"event type {shown} is not known"
    found = parsed(message_type=type_)
    assert (found.skip, found.unknown_type) == (f"message type {shown} is not known", shown)


@pytest.mark.parametrize(
    ("fields", "skip", "unknown_type"),
    [
        ({"message_type": "pinned"}, 'message type "pinned" is not known', '"pinned"'),
        ({"message_type": "system"}, "system message", None),
        ({"encrypted": True}, "encrypted message", None),
    ],
)
@pytest.mark.parametrize(
    "others",
    [
        {"author": None},
        {"author": {}},
        {"author": {"id": None, "bot": "no"}},
        {"content": {"ciphertext": "…"}},
        {"created_at": 1_769_342_400},
        {"author": {"id": "1", "bot": True}, "causality": {}},
    ],
)
def test_a_message_that_no_plugin_gets_may_have_other_fields_than_plugins_need(fields, skip, unknown_type, others):
    raw = event(**fields, **others)
    expected = SkippedMessage(UUID(raw["message"]["id"]), UUID(raw["guild_id"]), skip, unknown_type, repaired=False)
    assert parse_event(json.dumps(raw), SENT, UnmarkedAuthors.REFUSE) == expected
    with pytest.raises(MalformedEventError):
        parse_event(json.dumps(event(**others)), SENT)


@pytest.mark.parametrize("fields", [{"message_type": "pinned"}, {"message_type": "system"}, {"encrypted": True}])
def test_a_message_that_no_plugin_gets_needs_its_ids_and_its_type(fields):
    with pytest.raises(MalformedEventError, match="channel_id"):
        parse_event(json.dumps(event(**fields, channel_id=7)), SENT)
    raw = event(**fields, author=None)
    for name in ("type", "guild_id"):
        with pytest.raises(MalformedEventError, match=f"{name} is missing"):
            parse_event(json.dumps({each: value for each, value in raw.items() if each != name}), SENT)


def test_the_reason_quotes_nothing_of_the_message():
    with pytest.raises(MalformedEventError) as raised:
        parse_event(json.dumps(event(content=["secret words"], channel_id="secret place")), SENT)
    assert "secret" not in str(raised.value)
