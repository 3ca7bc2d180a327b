"""The reasons why a body of the queue is no event. A reason quotes no text that a person may have written."""

import json
import re
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any, Final

import msgspec

_OBJECT: Final = "an object"
_UUID: Final = "a UUID"
_TEXT: Final = "a text"
_FLAG: Final = "true or false"
_WANTED: Final = {
    "type": _TEXT,
    "guild_id": _UUID,
    "channel_id": _UUID,
    "message_id": _UUID,
    "message": _OBJECT,
    "message.id": _UUID,
    "message.channel_id": _UUID,
    "message.author": _OBJECT,
    "message.author.id": _TEXT,
    "message.author.bot": _FLAG,
    "message.content": _TEXT,
    "message.encrypted": _FLAG,
    "message.message_type": _TEXT,
    "message.created_at": "a time such as 2026-01-25T12:00:00Z",
    "message.causality": _OBJECT,
    "message.causality.root": _UUID,
    "message.causality.hops": "a whole number from 1",
}
"""The fields that guildhook reads, with their values."""
_FAULT: Final = re.compile(
    r"(?:Object missing required field `(?P<missing>\w+)`|.*?)(?: - at `\$\.?(?P<path>[\w.]*)`)?", re.DOTALL
)
"""The text of a ValidationError of msgspec."""
_WORD: Final = re.compile(r"[A-Za-z0-9_.:+/-]{1,64}|\d[\d :.+-]{0,63}")
"""Only such a text of an event is shown: any other could be of a message."""
_MAX_NUMBER_CHARS: Final = 100


class MalformedEventError(Exception):
    """The body is no event that guildhook reads. The text names the field, its value and the wanted one."""


def malformed(event_type: str, error: msgspec.ValidationError, raw: Any) -> MalformedEventError:
    """The error for an event that msgspec does not convert. `raw` is the whole event."""
    fault = _FAULT.fullmatch(str(error))
    path = ".".join(filter(None, (fault["path"], fault["missing"]))) if fault else ""
    wanted = _WANTED[path] if path else _OBJECT
    if fault and fault["missing"]:
        found = f"{path} is missing"
    else:
        value = reduce(getitem, path.split("."), raw) if path else raw
        # A text in the place of an object can be any, also a message.
        found = f"{path or 'it'} is {described(value, show_text=wanted != _OBJECT)}"
    return MalformedEventError(f"not a {event_type} event: {found}; {wanted} is wanted")


def unmarked_author(event_type: str, raw: Mapping[str, Any]) -> MalformedEventError:
    """The error for a message that does not say whether its author is a bot."""
    found = "is null" if "bot" in raw["message"]["author"] else "is missing"
    return MalformedEventError(
        f"not a {event_type} event: message.author.bot {found}; {_FLAG} is wanted, because GUILDHOOK_UNMARKED_AUTHORS "
        "is refuse"
    )


def described(value: Any, *, show_text: bool = True) -> str:
    """A JSON value for a log. A text is shown in quotation marks if it can be an id, a name or a time."""
    match value:
        case dict():
            return _OBJECT
        case list():
            return "a list"
        case str() if show_text and _WORD.fullmatch(value):
            return f'"{value}"'
        case str():
            return f"a text of {len(value)} characters"
    return json.dumps(value)[:_MAX_NUMBER_CHARS]
