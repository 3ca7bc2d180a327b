"""Sends messages to queues of SQS, and postpones received ones. Lambda receives and deletes them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

_AT_ONCE: Final = 10
"""The limit of SQS for one request."""
_LONGEST_VISIBILITY_SECONDS: Final = 43_200 - 900
"""SQS allows twelve hours from the moment that a message was received, and a batch may take its time."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    body: str
    group_id: str | None = None
    """A fair queue lets no group's backlog delay the others."""


class Queue:
    def __init__(self, access: AwsAccess, url: str, variable: str) -> None:
        """Errors name `variable`, which configures the URL."""
        self._access = access
        self._url = url
        self._variable = variable

    def send(self, messages: Sequence[QueueMessage], in_time: Callable[[], bool] = lambda: True) -> int:
        """Send messages, ten at a time. Each ten take up to 20 s, so `in_time` is asked before all but the first.

        Returns the number of messages that were sent. Raises InfrastructureError; some may have been sent then.
        """
        sent = 0
        for entries in _pieces([_sent(message) for message in messages]):
            if sent and not in_time():
                break
            self._request(self._patient, "send_message_batch", entries)
            sent += len(entries)
        return sent

    def postpone(self, waits: Mapping[str, float]) -> None:
        """Make received messages visible again after these seconds, by their receipt handles.

        Raises InfrastructureError; the others become visible when the queue's own timeout is over.
        """
        seconds = {handle: min(math.ceil(wait), _LONGEST_VISIBILITY_SECONDS) for handle, wait in waits.items()}
        changes = [{"ReceiptHandle": handle, "VisibilityTimeout": wait} for handle, wait in seconds.items()]
        for entries in _pieces(changes):
            self._request(self._impatient, "change_message_visibility_batch", entries)

    def _request(self, client: Any, operation: str, entries: Sequence[Mapping[str, Any]]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
        try:
            answer = getattr(client, operation)(QueueUrl=self._url, Entries=numbered)
        except (BotoCoreError, ClientError) as error:
            raise self._failed(error) from None
        for failure in answer.get("Failed", ()):
            raise self._failed(failure["Code"])

    @cached_property
    def _patient(self) -> Any:
        return self._client(read_timeout=5, attempts=3)

    @cached_property
    def _impatient(self) -> Any:
        # A batch has little time left for it (events/handling.py), and the queue's own timeout stands in for it.
        return self._client(read_timeout=2, attempts=1)

    def _client(self, read_timeout: int, attempts: int) -> Any:
        # Only here: most batches need no queue, and the client takes longer to build than a batch to handle.
        from botocore.config import Config  # noqa: PLC0415

        retries = {"mode": "standard", "total_max_attempts": attempts}
        return self._access.client("sqs", Config(connect_timeout=1, read_timeout=read_timeout, retries=retries))

    def _failed(self, reason: object) -> InfrastructureError:
        return InfrastructureError(f"queue {self._url} ({self._variable}): {reason}")


def _sent(message: QueueMessage) -> dict[str, str]:
    group = {"MessageGroupId": message.group_id} if message.group_id else {}
    return {"MessageBody": message.body, **group}


def _pieces(entries: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield entries[start : start + _AT_ONCE]
