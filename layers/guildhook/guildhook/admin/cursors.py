"""Cursors: the end of one page of a list. A cursor begins with its kind, which changes whenever its format does."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel

from guildhook.admin.problems import ProblemError

_MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""The size of a page as JSON. Lambda takes answers of 6 MiB."""


class TimeCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="t1"):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID

    @property
    def key(self) -> tuple[datetime, UUID]:
        return self.at, self.id


class NumberCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="n1"):
    number: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class IdCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="i1"):
    id: UUID


class DigestCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="d1"):
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


AnyCursor = TimeCursor | NumberCursor | IdCursor | DigestCursor
CursorType = TypeVar("CursorType", TimeCursor, NumberCursor, IdCursor, DigestCursor)
Item = TypeVar("Item", bound=BaseModel)
Record = TypeVar("Record")


def encode(cursor: AnyCursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode(text: str | None, kind: type[CursorType]) -> CursorType | None:
    """The cursor. Raises ProblemError for a text that is not a cursor of this kind."""
    if text is None:
        return None
    try:
        # Python skips characters that are not base64url. The comparison below finds them.
        decoded = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        cursor = msgspec.json.decode(decoded, type=kind)
    except (ValueError, Error, RecursionError):
        cursor = None
    if cursor is None or encode(cursor) != text:
        raise ProblemError("bad-cursor", "the cursor does not belong to this list; begin without a cursor")
    return cursor


def page(
    records: Sequence[Record],
    limit: int,
    item_of: Callable[[Record], Item],
    cursor_of: Callable[[Record], AnyCursor],
) -> tuple[list[Item], str | None]:
    """The items of a page, and the cursor of the next page if there is one.

    `records` has one more than `limit` if there is a next page. A page that would have too many bytes ends early.
    """
    items: list[Item] = []
    size = 0
    for record in records[:limit]:
        item = item_of(record)
        size += len(item.model_dump_json())
        if items and size > _MAX_PAGE_BYTES:
            break
        items.append(item)
    more = len(items) < len(records)
    return items, encode(cursor_of(records[len(items) - 1])) if more else None
