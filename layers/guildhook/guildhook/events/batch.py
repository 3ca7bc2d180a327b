"""What a batch of the queue holds, once it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from guildhook.events.queue_events import Event, MalformedEventError, parse_event
from guildhook.model import Message

ANOTHER_BODY = "its message id came with another body before, and what was recorded first counts"


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """One record of a batch, by the id that the queue gave it."""

    id: str
    body: str
    sent_at: datetime
    receive_count: int = 1
    """How often the queue has handed it out."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about."""

    message_id: UUID
    guild_id: UUID


@dataclass(frozen=True, slots=True)
class Batch:
    messages: Mapping[UUID, Message]
    """Those that plugins may be given."""
    guilds: Mapping[UUID, UUID]
    """Of these and of the messages whose answers are due, by message."""
    records: Mapping[UUID, Sequence[QueueRecord]]
    """What must come back if the message must: the queue may deliver it more than once, even in one batch."""
    subjects: Mapping[str, Subject]
    """Of every record that is an event, by its id."""
    skipped: Mapping[str, str]
    """Why no plugin is given a record, by its id."""
    malformed: Mapping[str, str]
    """Why a record is no event, by its id."""
    second_bodies: Sequence[QueueRecord]
    """With the id of another message of the batch. They come back, to be compared with what is recorded by then."""


def read_batch(records: Sequence[QueueRecord]) -> Batch:
    messages: dict[UUID, Message] = {}
    guilds: dict[UUID, UUID] = {}
    by_message: dict[UUID, list[QueueRecord]] = {}
    subjects: dict[str, Subject] = {}
    skipped: dict[str, str] = {}
    malformed: dict[str, str] = {}
    second_bodies: list[QueueRecord] = []
    for record in records:
        try:
            event = parse_event(record.body, record.sent_at)
        except MalformedEventError as error:
            malformed[record.id] = str(error)
            continue
        subjects[record.id] = Subject(event.message_id, event.guild_id)
        if isinstance(event, Event):
            if event.skip:
                skipped[record.id] = event.skip
                continue
            if messages.setdefault(event.message_id, event.message) != event.message:
                second_bodies.append(record)
                continue
        guilds[event.message_id] = event.guild_id
        by_message.setdefault(event.message_id, []).append(record)
    return Batch(messages, guilds, by_message, subjects, skipped, malformed, second_bodies)
