"""Reads and writes the files that arguments name. An option has JSON inline, @FILE, or - for standard input."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from errno import EBADF, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO
from pathlib import Path
from typing import Any, Final, TypeVar

from guildhook.events.malformed_events import MalformedEventError
from guildhook.model import Message
from guildhook.sandbox import MAX_WASM_BYTES
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.json_text import UnreadableTextError, decode, parse_json
from guildhook_local.output_files import replace_file
from guildhook_local.sample import MESSAGE_FIELDS, sample_message

MAX_TEXT_BYTES: Final = 1024 * 1024
"""The size of a message, settings or a state as text. A message of the queue cannot be larger."""
_WRONG_NAME: Final = (ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EBADF, ENXIO)
"""The errors of a name or stream that can never work; after others the same command may succeed later."""
_MEANT_AS_JSON: Final = re.compile(r"(?:\s|//[^\n]*\n|/\*.*?\*/)*(?:\{|\[\s*\{)", re.DOTALL)
"""The beginning of an object, or of a list of objects, perhaps after comments."""
_ENVELOPE_FIELDS: Final = ("Records", "Message", "detail-type")
_MESSAGE_CREATED: Final = "message.created"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of an option, and its origin for errors."""

    name: str
    text: str
    is_inline: bool
    is_json_file: bool = False


def read_wasm(path: Path) -> bytes:
    """The bytes of a plugin. Inspection refuses a file that has more than its limit; no more than that is read.

    Raises CommandError.
    """
    return _read(str(path), lambda: _read_file(path, MAX_WASM_BYTES))


def read_json_file(path: Path) -> str:
    """The text of a JSON file. Raises CommandError; with REFUSED if the file is not JSON."""
    data = _within_limit(str(path), _read(str(path), lambda: _read_file(path, MAX_TEXT_BYTES)))
    try:
        text = decode(data)
        parse_json(text)
    except UnreadableTextError as error:
        raise CommandError(ExitStatus.REFUSED, f"{path.name} is refused: it {error}") from None
    return text


def read_object(option: str, argument: str) -> dict[str, Any]:
    """The JSON object that an option gives. Raises CommandError."""
    source = _source(option, argument)
    value = _parsed(source)
    if not isinstance(value, dict):
        raise CommandError(ExitStatus.USAGE, f"{source.name} is not a JSON object")
    return value


def read_texts(option: str, argument: str) -> dict[str, str]:
    """The JSON object of texts that an option gives. Raises CommandError."""
    for name, value in (texts := read_object(option, argument)).items():
        if not (isinstance(value, str) and _is_storable(value) and name and _is_storable(name)):
            raise CommandError(
                ExitStatus.USAGE, f"{option} is not a JSON object of texts without NUL characters: look at {name!r}"
            )
    return texts


def read_secrets(option: str, argument: str) -> dict[str, str]:
    """The secrets that an option gives by name, as the admin API takes them. Raises CommandError."""
    # Only here: pydantic takes as long to import as everything else.
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from guildhook.admin.models import SecretName, SecretValue  # noqa: PLC0415

    try:
        return TypeAdapter(dict[SecretName, SecretValue]).validate_python(read_object(option, argument), strict=True)
    except ValidationError as error:
        # No value is quoted: it may be a real secret.
        first = error.errors(include_input=False, include_url=False)[0]
        raise CommandError(ExitStatus.USAGE, f"{option}: {first['loc'][0]!r}: {first['msg']}") from None


def read_line(option: str, path: str) -> str:
    """The one line of a file, or of standard input if `path` is `-`. Raises CommandError."""
    text = _source(option, path if path == "-" else f"@{path}").text
    return text.removesuffix("\n").removesuffix("\r")


def read_message(option: str, argument: str) -> Message:
    """The message that an option gives: its content, a message object, or the event of one. Raises CommandError."""
    source = _source(option, argument)
    try:
        return sample_message(_message_fields(source))
    except (MalformedEventError, RecursionError) as error:
        raise CommandError(ExitStatus.USAGE, f"{source.name} is no message: {error}") from None


def write_file(option: str, path: Path, content: bytes) -> None:
    """Write the file that an option names, or leave the old one as it was. Raises CommandError."""
    try:
        replace_file(path, content)
    except OSError as error:
        status = ExitStatus.USAGE if error.errno in _WRONG_NAME else ExitStatus.UNAVAILABLE
        raise CommandError(status, f"{option}: cannot write {path}: {error.strerror}; nothing is changed") from None


def is_meant_as_json(text: str) -> bool:
    return _MEANT_AS_JSON.match(text) is not None


def check_one_reads_stdin(**options: str | None) -> None:
    """Raises CommandError if several options are to read standard input, which has its text once."""
    readers = [f"--{name}" for name, argument in options.items() if argument == "-"]
    if len(readers) > 1:
        raise CommandError(ExitStatus.USAGE, f"{' and '.join(readers)} cannot both read standard input; use @FILE")


def _message_fields(source: Source) -> dict[str, Any]:
    if source.is_inline or not (source.is_json_file or is_meant_as_json(source.text)):
        return {"content": source.text if source.is_inline else source.text.removesuffix("\n")}
    match _parsed(source):
        case dict(value) if envelope := [name for name in _ENVELOPE_FIELDS if name in value]:
            raise CommandError(
                ExitStatus.USAGE,
                f"{source.name} is an envelope of the queue, SNS or EventBridge, with the field {envelope[0]!r}; "
                "give the event or the message in it",
            )
        case {"message": dict(message), **event}:
            if event.get("type") not in (None, _MESSAGE_CREATED):
                raise CommandError(
                    ExitStatus.USAGE,
                    f"{source.name} is an event of the type {event['type']!r}; plugins get {_MESSAGE_CREATED!r} only",
                )
            return {**({"guild_id": event["guild_id"]} if "guild_id" in event else {}), **message}
        case dict(value) if value.keys() & MESSAGE_FIELDS:
            return value
    raise CommandError(
        ExitStatus.USAGE,
        f"{source.name} is JSON, but neither a message object, with fields such as 'content', nor an event with one in "
        "'message'; give content that begins like JSON as TEXT",
    )


def _parsed(source: Source) -> Any:
    try:
        return parse_json(source.text)
    except UnreadableTextError as error:
        raise CommandError(ExitStatus.USAGE, f"{source.name} {error}") from None


def _source(option: str, argument: str) -> Source:
    if argument == "-":
        name = f"{option}: standard input"
        return Source(name, _decoded(name, _within_limit(name, _read(name, _read_stdin))), is_inline=False)
    if argument.startswith("@"):
        path = Path(argument[1:])
        name = f"{option}: {path}"
        data = _within_limit(name, _read(name, lambda: _read_file(path, MAX_TEXT_BYTES)))
        return Source(name, _decoded(name, data), is_inline=False, is_json_file=path.suffix.lower() == ".json")
    # Python keeps the bytes of an argument that are not UTF-8, in another form.
    return Source(option, _decoded(option, argument.encode(errors="surrogateescape")), is_inline=True)


def _decoded(name: str, data: bytes) -> str:
    try:
        return decode(data)
    except UnreadableTextError as error:
        raise CommandError(ExitStatus.USAGE, f"{name} {error}") from None


def _within_limit(name: str, data: bytes) -> bytes:
    if len(data) > MAX_TEXT_BYTES:
        raise CommandError(ExitStatus.USAGE, f"{name} has more than {MAX_TEXT_BYTES:,} bytes, which is the limit")
    return data


def _read(name: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except OSError as error:
        status = ExitStatus.USAGE if error.errno in (*_WRONG_NAME, None) else ExitStatus.UNAVAILABLE
        raise CommandError(status, f"cannot read {name}: {error.strerror or error}") from None


def _read_file(path: Path, limit: int) -> bytes:
    """At most one byte more than the limit: a device has no end."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise OSError("it is closed")
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)


def _is_storable(text: str) -> bool:
    """As the sandbox and Postgres keep texts: without NUL and without half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
