"""The event with which somebody invokes erase."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from guildhook.errors import UnknownEventError
from guildhook.user_ids import MOST_USER_ID_CHARS, canonical_user_id
from guildhook.uuids import read_uuid

MOST_NAMED_ENTRIES: Final = 1_000
"""The entries of states that one invocation may name."""
_FORM: Final = (
    'this function takes {"action": "find", "export" or "erase"} with "user_id" or "guild_id"; "erase" also takes '
    '"confirm" with the same id and, for a user, "state"; "cursor" is that of the answer before'
)


class ErasureAction(StrEnum):
    FIND = "find"
    EXPORT = "export"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class PersonSubject:
    user_id: str
    """In its canonical spelling."""

    @property
    def parameters(self) -> dict[str, object]:
        return {"person": self.user_id}

    @property
    def pattern(self) -> str:
        """A regular expression of Postgres for the id as a word of its own: 12 is not a mention of 123."""
        return rf"(^|[^0-9A-Za-z]){re.escape(self.user_id)}($|[^0-9A-Za-z])"


@dataclass(frozen=True, slots=True)
class GuildSubject:
    guild_id: UUID

    @property
    def parameters(self) -> dict[str, object]:
        return {"guild_id": self.guild_id}


class NamedEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a plugin's state, which somebody has looked at and wants erased."""

    plugin_id: UUID
    key: str


class ErasureCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The place at which an invocation ended. The next one continues there."""

    step: str
    after: str | None = None
    """The position within the step; None for its beginning."""
    export: UUID | None = None
    """The folder of the export's files."""
    files: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The number of files that are written."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    action: ErasureAction
    subject: PersonSubject | GuildSubject
    cursor: ErasureCursor | None = None
    entries: tuple[NamedEntry, ...] = ()


class _Invocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: ErasureAction
    user_id: str | None = None
    guild_id: str | None = None
    confirm: str | None = None
    cursor: ErasureCursor | None = None
    state: Annotated[tuple[NamedEntry, ...], msgspec.Meta(max_length=MOST_NAMED_ENTRIES)] = ()


def read_erasure_request(event: Any) -> ErasureRequest:
    """Raises UnknownEventError."""
    try:
        invocation = msgspec.convert(event, _Invocation)
    except msgspec.ValidationError as error:
        # msgspec quotes a value that is no member of an enum.
        raise UnknownEventError(f"{_FORM}: {str(error).partition(' ' + chr(39))[0]}") from None
    subject = _subject(invocation)
    erases = invocation.action is ErasureAction.ERASE
    given = invocation.user_id or invocation.guild_id
    if erases and invocation.confirm != given:
        raise UnknownEventError(f'{_FORM}: "confirm" is not the id; nothing is erased without it')
    if invocation.state and not (erases and isinstance(subject, PersonSubject)):
        raise UnknownEventError(f'{_FORM}: "state" is for the action "erase" and a user')
    return ErasureRequest(invocation.action, subject, invocation.cursor, invocation.state)


def _subject(invocation: _Invocation) -> PersonSubject | GuildSubject:
    match invocation.user_id, invocation.guild_id:
        case str(user_id), None:
            if (canonical := canonical_user_id(user_id)) is None:
                raise UnknownEventError(
                    f'{_FORM}: "user_id" is not 1 to {MOST_USER_ID_CHARS} visible ASCII characters without " and \\'
                )
            return PersonSubject(canonical)
        case None, str(guild_id):
            try:
                return GuildSubject(read_uuid(guild_id))
            except ValueError:
                raise UnknownEventError(f'{_FORM}: "guild_id" is not a UUID') from None
    raise UnknownEventError(f'{_FORM}: either "user_id" or "guild_id" is needed')
