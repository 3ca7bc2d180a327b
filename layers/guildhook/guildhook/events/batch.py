"""Reads a batch of the queue, and sorts its records by message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from guildhook.events.malformed_events import MalformedEventError
from guildhook.events.queue_events import (
    Event,
    MessageDeleted,
    QueueEvent,
    SkippedMessage,
    UnknownEvent,
    UnmarkedAuthors,
    parse_event,
)
from guildhook.model import Message

ANOTHER_BODY = "its message id came with another body before, and the body that was recorded first counts"
DELETED = "it was deleted in the chat"


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A record as the queue delivers it, under the id that the queue gave it."""

    id: str
    body: str
    sent_at: datetime
    receive_count: int = 1
    """The number of times that the queue has handed it out, this time included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The message and the guild that an event is about."""

    message_id: UUID
    guild_id: UUID


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch after its records are read. Nothing of it is compared with the database yet."""

    messages: Mapping[UUID, Message]
    """The messages that plugins may get, by their ids."""
    guilds: Mapping[UUID, UUID]
    """The guild of each of these messages, and of each message of which intents are still to be sent, by message."""
    records: Mapping[UUID, Sequence[QueueRecord]]
    """The records of each message, which come back if it must. The queue may deliver an event twice in a batch."""
    subjects: Mapping[str, Subject]
    """The subjects of all records that are events, by their ids."""
    deletions: Mapping[Subject, Sequence[QueueRecord]]
    """The records of each message that was deleted in the chat. Its other records in the batch are skipped."""
    skipped: Mapping[str, str]
    """The reasons why records are given to no plugin, by their ids."""
    unknown_types: Mapping[str, str]
    """The event types and message types that guildhook does not know, by the ids of records, which are skipped."""
    repaired: frozenset[str]
    """The ids of records in which half a surrogate pair was replaced."""
    malformed: Mapping[str, str]
    """The reasons why records are no events, by their ids."""
    second_bodies: Sequence[QueueRecord]
    """Records that have the id of an earlier message of the batch, and another body.

    They come back, and are compared with the runs that are recorded by then.
    """


def read_batch(records: Sequence[QueueRecord], unmarked_authors: UnmarkedAuthors = UnmarkedAuthors.PERSON) -> Batch:
    """Read all records. A malformed one raises nothing: it is in `malformed`."""
    events, malformed = _parse(records, unmarked_authors)
    deletions = _deletions(events)
    messages: dict[UUID, Message] = {}
    guilds: dict[UUID, UUID] = {}
    by_message: dict[UUID, list[QueueRecord]] = {}
    subjects: dict[str, Subject] = {}
    skipped: dict[str, str] = {}
    unknown_types: dict[str, str] = {}
    repaired: set[str] = set()
    second_bodies: list[QueueRecord] = []
    for record, event in events:
        if isinstance(event, UnknownEvent):
            skipped[record.id], unknown_types[record.id] = event.skip, event.unknown_type
            continue
        subject = subjects[record.id] = Subject(event.message_id, event.guild_id)
        if isinstance(event, Event | SkippedMessage):
            if event.repaired:
                repaired.add(record.id)
            if event.unknown_type:
                unknown_types[record.id] = event.unknown_type
            if event.skip:
                skipped[record.id] = event.skip
                continue
        if subject in deletions:
            if record not in deletions[subject]:
                skipped[record.id] = DELETED
            continue
        if isinstance(event, Event) and messages.setdefault(event.message_id, event.message) != event.message:
            second_bodies.append(record)
            continue
        guilds[event.message_id] = event.guild_id
        by_message.setdefault(event.message_id, []).append(record)
    return Batch(
        messages=messages,
        guilds=guilds,
        records=by_message,
        subjects=subjects,
        deletions=deletions,
        skipped=skipped,
        unknown_types=unknown_types,
        repaired=frozenset(repaired),
        malformed=malformed,
        second_bodies=second_bodies,
    )


def _parse(
    records: Sequence[QueueRecord], unmarked_authors: UnmarkedAuthors
) -> tuple[list[tuple[QueueRecord, QueueEvent]], dict[str, str]]:
    """The events with their records, and the reasons why records are no events, by their ids."""
    events: list[tuple[QueueRecord, QueueEvent]] = []
    malformed: dict[str, str] = {}
    for record in records:
        try:
            events.append((record, parse_event(record.body, record.sent_at, unmarked_authors)))
        except MalformedEventError as error:
            malformed[record.id] = str(error)
    return events, malformed


def _deletions(events: Sequence[tuple[QueueRecord, QueueEvent]]) -> dict[Subject, list[QueueRecord]]:
    deletions: dict[Subject, list[QueueRecord]] = {}
    for record, event in events:
        if isinstance(event, MessageDeleted):
            deletions.setdefault(Subject(event.message_id, event.guild_id), []).append(record)
    return deletions
