"""Lambda's event source mapping for SQS: takes batches off the queue and hands them to a function."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from guildhook_local.aws import queue_arn
from guildhook_local.function import Handler, LambdaContext

_logger = logging.getLogger(__name__)

_LONG_POLL_SECONDS = 1
# As in template.yaml. It is told to the function and not enforced on it.
_FUNCTION_TIMEOUT_SECONDS = 60


class EventSourceMapping:
    """Invokes the function with batches, and deletes the messages that it handled. A message that it reports as failed
    comes back after its visibility timeout; after maxReceiveCount the queue moves it to the dead-letter queue.
    """

    def __init__(self, sqs: Any, queue_url: str, function_name: str, handler: Handler, batch_size: int = 10) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._queue_arn = queue_arn(queue_url, sqs.meta.region_name)
        self._function_name = function_name
        self._handler = handler
        self._batch_size = batch_size

    def poll(self, wait_seconds: int = 0) -> int:
        """Take one batch, if there is one, and invoke the function. Returns the number of its records."""
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=self._batch_size,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if messages:
            failed = self._invoke(messages)
            done = [message for message in messages if message["MessageId"] not in failed]
            if done:
                entries = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(done)]
                self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
        return len(messages)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Poll in a thread of its own until the block is left."""
        stop = threading.Event()

        def loop() -> None:
            while not stop.is_set():
                self.poll(_LONG_POLL_SECONDS)

        thread = threading.Thread(target=loop, name="event-source-mapping")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _invoke(self, messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """The ids of the records that the function did not do."""
        everything = {message["MessageId"] for message in messages}
        event = {"Records": [_record(message, self._queue_arn) for message in messages]}
        deadline = time.monotonic() + _FUNCTION_TIMEOUT_SECONDS
        context = LambdaContext(self._function_name, str(uuid4()), deadline)
        try:
            answer = self._handler(event, context)
        except Exception:
            # Lambda counts any error of an invocation as a failure of the whole batch.
            _logger.exception("function %s failed", self._function_name)
            return everything
        failed = _failed_ids(answer)
        return everything if failed is None or not failed <= everything else failed


def _failed_ids(answer: Any) -> set[str] | None:
    """None where Lambda would not understand the answer, and so takes the whole batch for failed."""
    if not answer or not answer.get("batchItemFailures"):
        return set()
    try:
        ids = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    except (KeyError, TypeError):
        return None
    return ids if all(isinstance(item, str) and item for item in ids) else None


def _record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
