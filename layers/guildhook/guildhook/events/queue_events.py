"""The events of the queue: message-created events of the chat server, and guildhook's own, delivery-due events."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from guildhook.events.malformed_events import MalformedEventError, described, malformed
from guildhook.model import Causality, Message

_MAX_WRAPPERS = 2
"""The envelopes of SNS and EventBridge around an event. SNS in EventBridge in SQS is the deepest chain in use."""
_MAX_REASON_CHARS: Final = 300
_MESSAGE_CREATED = "message.created"
_DELIVERY_DUE = "guildhook.delivery_due"
_MESSAGE_TYPES = ("user", "system")

MAX_HOPS = 4
"""A bot's message that is more answers away from a person's message reaches no plugin, so that loops of bots end."""


class _Causality(msgspec.Struct, frozen=True):
    root: UUID
    hops: Annotated[int, msgspec.Meta(ge=1)]


class _Author(msgspec.Struct, frozen=True):
    id: str
    bot: bool = False


class _Message(msgspec.Struct, frozen=True):
    id: UUID
    channel_id: UUID
    author: _Author
    content: str = ""
    encrypted: bool = False
    message_type: str = "user"
    created_at: datetime | None = None
    causality: _Causality | None = None


class _MessageCreated(msgspec.Struct, frozen=True):
    type: str
    guild_id: UUID
    message: _Message


class _DeliveryDue(msgspec.Struct, frozen=True):
    guild_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class Event:
    """A message that was created."""

    message: Message
    skip: str | None
    """The reason why no plugin gets it, or None."""
    unknown_type: str | None = None
    """The type of the message, if guildhook does not know it."""

    @property
    def message_id(self) -> UUID:
        return self.message.id

    @property
    def guild_id(self) -> UUID:
        return self.message.guild_id


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a type that guildhook does not know. A chat server may send more types than guildhook handles."""

    unknown_type: str

    @property
    def skip(self) -> str:
        return f"event type {self.unknown_type} is not known"


@dataclass(frozen=True, slots=True)
class DeliveryDue:
    """A message was handled, and some replies to it are still to be sent. The sweep puts such events on the queue."""

    guild_id: UUID
    message_id: UUID

    def to_json(self) -> str:
        return json.dumps({"type": _DELIVERY_DUE, "guild_id": str(self.guild_id), "message_id": str(self.message_id)})


def parse_event(body: str, sent_at: datetime) -> Event | DeliveryDue | UnknownEvent:
    """Read a queue body, unwrapping SNS and EventBridge envelopes.

    `sent_at` is the time of a message that has no `created_at`. Raises MalformedEventError.
    """
    raw = _unwrap(_parse_json(body))
    match raw:
        case {"type": str(type_)} if type_ == _DELIVERY_DUE:
            return _parse_delivery_due(raw)
        case {"type": str(type_)} if type_ != _MESSAGE_CREATED:
            return UnknownEvent(described(type_))
    try:
        event = msgspec.convert(raw, _MessageCreated)
    except msgspec.ValidationError as error:
        raise malformed(_MESSAGE_CREATED, error, raw) from None
    guild_id, message = event.guild_id, event.message
    unknown_type = None if message.message_type in _MESSAGE_TYPES else described(message.message_type)
    return Event(
        message=Message(
            id=message.id,
            guild_id=guild_id,
            channel_id=message.channel_id,
            created_at=_in_utc(message.created_at or sent_at, raw),
            payload=_payload(raw["message"], guild_id),
            causality=_causality(message),
        ),
        skip=_reason_to_skip(message) if unknown_type is None else f"message type {unknown_type} is not known",
        unknown_type=unknown_type,
    )


def _parse_delivery_due(raw: Mapping[str, Any]) -> DeliveryDue:
    try:
        due = msgspec.convert(raw, _DeliveryDue)
    except msgspec.ValidationError as error:
        raise malformed(_DELIVERY_DUE, error, raw) from None
    return DeliveryDue(due.guild_id, due.message_id)


def _parse_json(text: str) -> Any:
    # json.loads would accept lone surrogates and NaN.
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedEventError(f"not JSON: {str(error)[:_MAX_REASON_CHARS]}") from None


def _unwrap(event: Any) -> Any:
    for _ in range(_MAX_WRAPPERS):
        match event:
            case {"Type": "Notification", "Message": str(inner)}:
                event = _parse_json(inner)
            case {"detail-type": _, "detail": dict(inner)}:
                event = inner
            case _:
                break
    return event


def _in_utc(time: datetime, raw: Mapping[str, Any]) -> datetime:
    """Convert to UTC, since PostgreSQL does not accept every offset. A time without an offset is one in UTC."""
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        wrong = f"message.created_at is {described(raw['message']['created_at'])}"
        raise MalformedEventError(
            f"not a {_MESSAGE_CREATED} event: {wrong}; a time in the years 1 to 9999 of UTC is wanted"
        ) from None


def _payload(message: Mapping[str, Any], guild_id: UUID) -> str:
    # The raw object is used, so that plugins get fields that guildhook does not know.
    try:
        return msgspec.json.encode({**message, "guild_id": str(guild_id)}).decode()
    except RecursionError as error:
        raise MalformedEventError(f"the message is nested too deeply: {error}") from None


def _causality(message: _Message) -> Causality | None:
    # A person's message begins a chain. A causality in it is ignored.
    if not message.author.bot or message.causality is None:
        return None
    return Causality(message.causality.root, message.causality.hops)


def _reason_to_skip(message: _Message) -> str | None:
    if message.message_type == "system":
        return "system message"
    if message.encrypted:
        return "encrypted message"
    if not message.author.bot:
        return None
    if message.causality is None:
        return "author is a bot, and its message has no causality"
    if message.causality.hops > MAX_HOPS:
        return f"author is a bot, {message.causality.hops} hops away from a person; the limit is {MAX_HOPS}"
    return None
