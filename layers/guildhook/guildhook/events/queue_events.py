"""The events of the queue: those of the chat server about messages, and guildhook's own, delivery-due events."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec

from guildhook.events.event_times import is_rfc_3339, read_time
from guildhook.events.malformed_events import MalformedEventError, described, malformed, unmarked_author
from guildhook.model import Causality, Message
from guildhook.surrogates import replace_half_surrogates
from guildhook.user_ids import canonical_user_id
from guildhook.uuids import canonical_spelling
from guildhook.whole_numbers import with_whole_numbers

_MAX_WRAPPERS = 2
"""The envelopes of SNS and EventBridge around an event. SNS in EventBridge in SQS is the deepest chain in use."""
_MAX_REASON_CHARS: Final = 300
_MESSAGE_CREATED = "message.created"
_MESSAGE_DELETED = "message.deleted"
_DELIVERY_DUE = "guildhook.delivery_due"
_USER = "user"
_SYSTEM = "system"
_DEFAULTS: Final[Mapping[str, Any]] = {
    "content": "",
    "encrypted": False,
    "attachments": [],
    "message_type": _USER,
}
"""The values for plugins of fields of a message that are missing or null."""
_NULL_IF_MISSING: Final = ("reply_to", "parent_id")
_NULL_IF_MISSING_OF_AUTHOR: Final = ("username", "display_name")

MAX_HOPS = 4
"""A bot's message that is more answers away from a person's message reaches no plugin, so that loops of bots end."""


class _Causality(msgspec.Struct, frozen=True):
    root: UUID
    hops: Annotated[int, msgspec.Meta(ge=1)]


# A field that is null is the same as one that is missing.
class _Author(msgspec.Struct, frozen=True):
    id: str
    bot: bool | None = None


class _Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a message that are read even if no plugin gets it."""

    id: UUID
    channel_id: UUID
    encrypted: bool | None = None
    message_type: str | None = None


class _Message(_Heading, frozen=True, kw_only=True):
    author: _Author
    content: str | None = None
    created_at: datetime | None = None
    causality: _Causality | None = None


class _HeadingCreated(msgspec.Struct, frozen=True):
    type: str
    guild_id: UUID
    message: _Heading


class _MessageCreated(_HeadingCreated, frozen=True):
    message: _Message


class _MessageDeleted(msgspec.Struct, frozen=True):
    guild_id: UUID
    channel_id: UUID
    message_id: UUID


class _DeliveryDue(msgspec.Struct, frozen=True):
    guild_id: UUID
    message_id: UUID


Shape = TypeVar("Shape", _MessageCreated, _HeadingCreated, _MessageDeleted, _DeliveryDue)


class UnmarkedAuthors(StrEnum):
    """The treatment of a message whose `author.bot` is missing or null."""

    PERSON = "person"
    """The author is a person."""
    REFUSE = "refuse"
    """The event is malformed, since plugins must not answer bots as if they were persons."""


@dataclass(frozen=True, slots=True)
class Event:
    """A message that was created."""

    message: Message
    skip: str | None
    """The reason why no plugin gets it, or None."""
    unknown_type: str | None = None
    """The type of the message, if guildhook does not know it."""
    repaired: bool = False
    """Half a surrogate pair in the body was replaced by U+FFFD."""

    @property
    def message_id(self) -> UUID:
        return self.message.id

    @property
    def guild_id(self) -> UUID:
        return self.message.guild_id


@dataclass(frozen=True, slots=True)
class SkippedMessage:
    """A message that no plugin gets, and whose other fields are not as plugins need them."""

    message_id: UUID
    guild_id: UUID
    skip: str
    unknown_type: str | None
    """The type of the message, if guildhook does not know it."""
    repaired: bool
    """Half a surrogate pair in the body was replaced by U+FFFD."""


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message was deleted in the chat. No plugin gets it."""

    guild_id: UUID
    message_id: UUID


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


QueueEvent = Event | SkippedMessage | MessageDeleted | DeliveryDue | UnknownEvent


def parse_event(body: str, sent_at: datetime, unmarked_authors: UnmarkedAuthors = UnmarkedAuthors.PERSON) -> QueueEvent:
    """Read a queue body, unwrapping SNS and EventBridge envelopes.

    `sent_at` is the time of a message that has no `created_at`. Raises MalformedEventError.
    """
    raw, repaired = without_envelopes(body)
    match raw:
        case {"type": str(type_)} if type_ == _DELIVERY_DUE:
            due = _converted(raw, _DeliveryDue, _DELIVERY_DUE)
            return DeliveryDue(due.guild_id, due.message_id)
        case {"type": str(type_)} if type_ == _MESSAGE_DELETED:
            deleted = _converted(raw, _MessageDeleted, _MESSAGE_DELETED)
            return MessageDeleted(deleted.guild_id, deleted.message_id)
        case {"type": str(type_)} if type_ != _MESSAGE_CREATED:
            return UnknownEvent(described(type_))
    try:
        event = _converted(raw, _MessageCreated, _MESSAGE_CREATED)
    except MalformedEventError:
        if skipped := _skipped_by_heading(raw, repaired=repaired):
            return skipped
        raise
    message = event.message
    unknown_type = _unknown_type(message)
    skip = _reason_by_heading(message) or _reason_by_author(message)
    if skip is None and message.author.bot is None and unmarked_authors is UnmarkedAuthors.REFUSE:
        raise unmarked_author(_MESSAGE_CREATED, raw)
    created_at = _in_utc(message.created_at or sent_at, raw)
    received = {**raw["message"], "guild_id": str(event.guild_id)}
    changes = _changes(received, message, created_at)
    return Event(
        message=Message(
            id=message.id,
            guild_id=event.guild_id,
            channel_id=message.channel_id,
            created_at=created_at,
            # The received object is the base, so that plugins get fields that guildhook does not know.
            payload=_payload({**received, **changes} if changes else received),
            causality=_causality(message),
            author_id=canonical_user_id(message.author.id),
            received_payload=_payload(received) if changes else None,
        ),
        skip=skip,
        unknown_type=unknown_type,
        repaired=repaired,
    )


def _skipped_by_heading(raw: Any, *, repaired: bool) -> SkippedMessage | None:
    """The malformed message if no plugin would get it anyway: one of another type has other fields.

    Raises MalformedEventError for a heading that is malformed.
    """
    event = _converted(raw, _HeadingCreated, _MESSAGE_CREATED)
    skip = _reason_by_heading(event.message)
    if skip is None:
        return None
    return SkippedMessage(event.message.id, event.guild_id, skip, _unknown_type(event.message), repaired)


def without_envelopes(body: str) -> tuple[Any, bool]:
    """The event without those of SNS and EventBridge, and True if a half surrogate was replaced in it.

    Raises MalformedEventError for a body that is not JSON.
    """
    event, repaired = _parse_json(body)
    for _ in range(_MAX_WRAPPERS):
        match event:
            case {"Type": "Notification", "Message": str(inner)}:
                event, inner_repaired = _parse_json(inner)
                repaired = repaired or inner_repaired
            case {"detail-type": _, "detail": dict(inner)}:
                event = inner
            case _:
                break
    return event, repaired


def _parse_json(text: str) -> tuple[Any, bool]:
    """The value, and True if a half surrogate was replaced in it."""
    # json.loads would accept half surrogates and NaN.
    try:
        return msgspec.json.decode(text), False
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        repaired = replace_half_surrogates(text)
        if repaired == text:
            raise _no_json(error) from None
    try:
        return msgspec.json.decode(repaired), True
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _no_json(error) from None


def _no_json(error: Exception) -> MalformedEventError:
    return MalformedEventError(f"not JSON: {str(error)[:_MAX_REASON_CHARS]}")


def _converted(raw: Any, shape: type[Shape], event_type: str) -> Shape:
    """Raises MalformedEventError."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError:
        # msgspec knows two spellings of a UUID, and not all of a time.
        try:
            return msgspec.convert(_respelled(raw), shape)
        except msgspec.ValidationError as error:
            raise malformed(event_type, error, raw) from None


def _respelled(raw: Any) -> Any:
    """The event with the ids and the time that guildhook reads in spellings that msgspec reads."""
    if not isinstance(raw, dict):
        return raw
    event = _with_canonical_ids(raw, "guild_id", "channel_id", "message_id")
    if isinstance(message := event.get("message"), dict):
        event["message"] = message = _with_canonical_ids(message, "id", "channel_id")
        if not _is_of_bot(message):
            message["causality"] = None  # it is ignored
        elif isinstance(causality := message.get("causality"), dict):
            message["causality"] = {**causality, **_changed_causality(causality)}
        if isinstance(time := message.get("created_at"), str):
            with suppress(ValueError):
                message["created_at"] = read_time(time)
    return event


def _is_of_bot(message: Mapping[str, Any]) -> bool:
    author = message.get("author")
    return isinstance(author, dict) and author.get("bot") is True


def _changed_causality(causality: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are in another spelling. 1.0 is the whole number 1."""
    changes = _changed_ids(causality, "root")
    if isinstance(hops := causality.get("hops"), float):
        changes["hops"] = with_whole_numbers(hops)
    return changes


def _with_canonical_ids(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**fields, **_changed_ids(fields, *names)}


def _changed_ids(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The canonical spelling of each id that is in another one. A value that is no UUID is left out."""
    changes: dict[str, Any] = {}
    for name in names:
        text = fields.get(name)
        if isinstance(text, str):
            canonical = canonical_spelling(text)
            if canonical and canonical != text:
                changes[name] = canonical
    return changes


def _in_utc(time: datetime, raw: Mapping[str, Any]) -> datetime:
    """Convert to UTC, since PostgreSQL does not accept every offset. A time without an offset is one in UTC."""
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        wrong = f"message.created_at is {described(raw['message']['created_at'])}"
        raise MalformedEventError(
            f"not a {_MESSAGE_CREATED} event: {wrong}; a time in the years 1 to 9999 of UTC is wanted"
        ) from None


def _changes(received: Mapping[str, Any], message: _Message, created_at: datetime) -> dict[str, Any]:
    """The fields that are in another spelling than the one that plugins know: ids, times, null and missing fields."""
    changes = _changed_ids(received, "id", "channel_id", "reply_to", "parent_id")
    for name, default in _DEFAULTS.items():
        if received.get(name) is None:
            changes[name] = default
    changes |= {name: None for name in _NULL_IF_MISSING if name not in received}
    if message.created_at is None or not is_rfc_3339(received["created_at"]):
        changes["created_at"] = created_at
    causality = received.get("causality")
    # That of a person is ignored, and can therefore be anything.
    if isinstance(causality, dict) and (in_causality := _changed_causality(causality)):
        changes["causality"] = {**causality, **in_causality}
    author = received["author"]
    about_author = _changed_ids(author, "id")
    about_author |= {name: None for name in _NULL_IF_MISSING_OF_AUTHOR if name not in author}
    if message.author.bot is None:
        about_author["bot"] = False
    if about_author:
        changes["author"] = {**author, **about_author}
    return changes


def _payload(message: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(message).decode()
    except RecursionError as error:
        raise MalformedEventError(f"the message is nested too deeply: {error}") from None


def _causality(message: _Message) -> Causality | None:
    # A person's message begins a chain. A causality in it is ignored.
    if not message.author.bot or message.causality is None:
        return None
    return Causality(message.causality.root, message.causality.hops)


def _unknown_type(message: _Heading) -> str | None:
    return None if message.message_type in (None, _USER, _SYSTEM) else described(message.message_type)


def _reason_by_heading(message: _Heading) -> str | None:
    if unknown_type := _unknown_type(message):
        return f"message type {unknown_type} is not known"
    if message.message_type == _SYSTEM:
        return "system message"
    return "encrypted message" if message.encrypted else None


def _reason_by_author(message: _Message) -> str | None:
    if not message.author.bot:
        return None
    if message.causality is None:
        return "author is a bot, and its message has no causality"
    if message.causality.hops > MAX_HOPS:
        return f"author is a bot, {message.causality.hops} hops away from a person; the limit is {MAX_HOPS}"
    return None
