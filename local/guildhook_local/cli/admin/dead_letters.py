"""Moves dead letters back into their queue. SQS moves all or none, so the wanted ones are chosen here."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from guildhook.events.malformed_events import MalformedEventError
from guildhook.events.queue_events import without_envelopes
from guildhook.uuids import canonical_spelling

_AT_ONCE: Final = 10
_HIDDEN_SECONDS: Final = 600
"""A letter that is received is hidden so long, so that a pass receives it once."""
_WAIT_SECONDS: Final = 1
_EMPTY_ANSWERS: Final = 2
"""SQS asks a part of its servers, so one empty answer does not mean that the queue is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """The letters that are wanted: all if nothing is given."""

    guilds: frozenset[str] = frozenset()
    """Ids in lower case with hyphens."""
    sent_after: datetime | None = None
    sent_before: datetime | None = None

    def takes(self, letter: "DeadLetter") -> bool:
        if self.guilds and letter.guild_id not in self.guilds:
            return False
        if self.sent_after is not None and letter.sent_at <= self.sent_after:
            return False
        return self.sent_before is None or letter.sent_at < self.sent_before


@dataclass(frozen=True, slots=True)
class DeadLetter:
    id: str
    receipt: str
    body: str
    sent_at: datetime
    group_id: str | None
    guild_id: str | None
    """The guild that the event names; None if the body is no event."""


@dataclass(frozen=True, slots=True)
class PassOfLetters:
    """The counts of one pass through the dead letters."""

    matching: int
    others: int


class DeadLetters:
    """All methods raise botocore's errors. What was moved by then is moved."""

    def __init__(self, sqs: Any, url: str, queue_url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sqs = sqs
        self._url = url
        self._queue_url = queue_url
        self._sleep = sleep

    def requeue(self, wanted: DeadLetterFilter, limit: int, per_second: int) -> PassOfLetters:
        """Move the wanted letters: each is sent first and deleted then, so that none is lost."""
        moved = others = 0
        for letters in self._received():
            matching = [letter for letter in letters if wanted.takes(letter)][: limit - moved]
            if matching:
                self._move(matching)
                moved += len(matching)
                self._sleep(len(matching) / per_second)
            others += sum(not wanted.takes(letter) for letter in letters)
            if moved >= limit:
                self._show_again([letter for letter in letters if letter not in matching])
                break
        return PassOfLetters(moved, others)

    def count(self, wanted: DeadLetterFilter, limit: int) -> PassOfLetters:
        """Count without a change. The letters become visible again."""
        seen: list[DeadLetter] = []
        matching = others = 0
        for letters in self._received():
            seen += letters
            found = sum(map(wanted.takes, letters))
            matching, others = matching + found, others + len(letters) - found
            if matching >= limit:
                break
        self._show_again(seen)
        return PassOfLetters(matching, others)

    def _received(self) -> Iterator[Sequence[DeadLetter]]:
        """Yield each letter once, until no more come.

        In a long pass, letters that were seen come back between those that were not. The pass ends when as many have
        come back, one after the other, as there are.
        """
        seen: set[str] = set()
        empty = again = 0
        while empty < _EMPTY_ANSWERS and again <= len(seen):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_AT_ONCE,
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp", "MessageGroupId"],
            )
            received = [_letter(message) for message in answer.get("Messages", ())]
            letters = [letter for letter in received if letter.id not in seen]
            empty = 0 if received else empty + 1
            again = 0 if letters else again + len(received)
            seen.update(letter.id for letter in letters)
            if letters:
                yield letters

    def _move(self, letters: Sequence[DeadLetter]) -> None:
        """Move letters one by one, since together they may be too large for a request."""
        for letter in letters:
            group = letter.group_id or letter.guild_id
            fair = {"MessageGroupId": group} if group else {}
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=letter.body, **fair)
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def _show_again(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def _letter(message: Mapping[str, Any]) -> DeadLetter:
    attributes = message.get("Attributes", {})
    return DeadLetter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", 0)) / 1000, UTC),
        group_id=attributes.get("MessageGroupId"),
        guild_id=_guild_of(message["Body"]),
    )


def _guild_of(body: str) -> str | None:
    try:
        event, _ = without_envelopes(body)
    except MalformedEventError:
        return None
    guild_id = event.get("guild_id") if isinstance(event, dict) else None
    return canonical_spelling(guild_id) if isinstance(guild_id, str) else None
