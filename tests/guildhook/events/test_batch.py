import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from guildhook.events.batch import DELETED, QueueRecord, Subject, read_batch
from guildhook.events.queue_events import DeliveryDue, UnmarkedAuthors
from samples import deletion_of, event

NOW = datetime(2026, 1, 25, 12, 0, tzinfo=UTC)


def records(*bodies):
    return [
        QueueRecord(str(i), body if isinstance(body, str) else json.dumps(body), NOW) for i, body in enumerate(bodies)
    ]


def ids(batch, message_id):
    return [record.id for record in batch.records[message_id]]


def test_a_record_with_half_a_surrogate_pair_is_known():
    batch = read_batch(records(event(content="\ud800"), event(content="\U0001f600"), event(message_type="\ud800")))
    assert batch.repaired == {"0", "2"}


def test_a_message_that_comes_twice_in_two_spellings_is_one_message():
    first = event()
    second = {**first, "message": {**first["message"], "id": first["message"]["id"].upper(), "reply_to": None}}
    batch = read_batch(records(first, second))
    (both,) = batch.records.values()
    assert ([record.id for record in both], batch.second_bodies) == (["0", "1"], [])


def test_an_unmarked_author_is_treated_as_the_operator_wants():
    raw = event(author={"id": "1"})
    assert read_batch(records(raw)).malformed == {}
    assert "author.bot" in read_batch(records(raw), UnmarkedAuthors.REFUSE).malformed["0"]


def test_every_record_is_a_message_or_skipped_or_malformed():
    message = event()
    batch = read_batch(records("{", event(encrypted=True), message))
    (message_id,) = batch.messages
    assert str(message_id) == message["message"]["id"]
    assert batch.guilds == {message_id: UUID(message["guild_id"])}
    assert ids(batch, message_id) == ["2"]
    assert batch.skipped == {"1": "encrypted message"}
    assert list(batch.malformed) == ["0"]


@pytest.mark.parametrize("author", [{"id": "1", "bot": False}, None])
def test_types_that_are_not_known_are_skipped_and_named(author):
    messages = [event(message_type=type_, author=author) for type_ in ("pinned", "system")]
    batch = read_batch(records({"type": "guild.renamed"}, *messages))
    assert batch.unknown_types == {"0": '"guild.renamed"', "1": '"pinned"'}
    assert list(batch.skipped) == ["0", "1", "2"]
    assert list(batch.subjects) == ["1", "2"]
    assert (batch.messages, batch.malformed) == ({}, {})


def test_the_same_message_twice_is_one_message_of_two_records():
    message = event()
    batch = read_batch(records(message, message))
    (message_id,) = batch.messages
    assert ids(batch, message_id) == ["0", "1"]


def test_a_second_body_with_the_same_message_id_comes_back_to_be_compared_with_the_recorded_one():
    first = event(content="first")
    second = {**first, "message": {**first["message"], "content": "second"}}
    batch = read_batch(records(first, second))
    (message,) = batch.messages.values()
    assert json.loads(message.payload)["content"] == "first"
    assert ids(batch, message.id) == ["0"]
    assert [record.id for record in batch.second_bodies] == ["1"]
    assert batch.skipped == {}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
def test_everything_else_about_a_deleted_message_is_skipped(order):
    message = event()
    due = DeliveryDue(UUID(message["guild_id"]), UUID(message["message"]["id"]))
    deletion = deletion_of(message)
    bodies = [message, json.loads(due.to_json()), deletion, deletion]
    batch = read_batch([records(*bodies)[i] for i in order])
    assert (batch.messages, batch.guilds, batch.malformed) == ({}, {}, {})
    assert batch.skipped == {"0": DELETED, "1": DELETED}
    ((subject, deletions),) = batch.deletions.items()
    assert subject == Subject(due.message_id, due.guild_id)
    assert {record.id for record in deletions} == {"2", "3"}
    assert set(batch.subjects) == {"0", "1", "2", "3"}


def test_a_message_is_not_deleted_by_another_guild():
    message = event()
    batch = read_batch(records(message, deletion_of(message, guild_id=str(uuid4()))))
    assert list(batch.messages) == [UUID(message["message"]["id"])]
    assert batch.skipped == {}


def test_a_delivery_that_is_due_has_a_guild_and_no_message():
    due = DeliveryDue(guild_id=uuid4(), message_id=uuid4())
    batch = read_batch(records(due.to_json()))
    assert batch.messages == {}
    assert batch.guilds == {due.message_id: due.guild_id}
    assert ids(batch, due.message_id) == ["0"]
