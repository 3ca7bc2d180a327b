"""The event with which Lambda's event source mapping hands a batch of SQS to a function.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from guildhook.errors import UnknownEventError

_LAST_MILLISECOND: Final = 253_402_300_799_999
"""The end of the year 9999, since 1970."""


class SqsAttributes(msgspec.Struct, frozen=True, rename="pascal"):
    sent_timestamp: Annotated[int, msgspec.Meta(ge=0, le=_LAST_MILLISECOND)]
    """In milliseconds since 1970."""
    approximate_receive_count: int


class SqsRecord(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a record that functions read."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: SqsAttributes

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(self.attributes.sent_timestamp / 1000, UTC)


class _SqsEvent(msgspec.Struct, frozen=True):
    records: Annotated[list[SqsRecord], msgspec.Meta(min_length=1)] = msgspec.field(name="Records")


def read_records(event: Any) -> list[SqsRecord]:
    """The records of the batch, at least one. Raises UnknownEventError, whose text quotes no value."""
    try:
        # Numbers are texts in this event.
        return msgspec.convert(event, _SqsEvent, strict=False).records
    except msgspec.ValidationError as error:
        raise UnknownEventError(
            f"this function takes records of SQS, as Lambda's event source mapping sends them: {error}"
        ) from None
