"""The queue of the compile function: what it is asked to compile."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from guildhook.errors import InfrastructureError

_SENT_AT_ONCE = 10
"""What SQS takes in one request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Wasm that Postgres holds."""

    wasm_sha256: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """Wasm that was put into the bucket."""

    key: str


class CompileQueue:
    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, wasm_sha256: Sequence[bytes]) -> None:
        """Ask for wasm that Postgres holds. Raises InfrastructureError. Asking twice does no harm."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        for start in range(0, len(wasm_sha256), _SENT_AT_ONCE):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps({"wasm_sha256": digest.hex()})}
                for number, digest in enumerate(wasm_sha256[start : start + _SENT_AT_ONCE])
            ]
            try:
                answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise self._failed(error) from None
            for failure in answer.get("Failed", ()):
                raise self._failed(failure["Code"])

    @cached_property
    def _sqs(self) -> Any:
        # Only here: it is asked once in a plugin's life, and the client takes longer to build than a batch to handle.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
        return boto3.client("sqs", config=config)

    def _failed(self, reason: object) -> InfrastructureError:
        return InfrastructureError(f"compile queue {self._url} (GUILDHOOK_COMPILE_QUEUE_URL): {reason}")


def read_requests(body: str) -> list[Stored | Upload]:
    """What a message of the queue asks for: by `ask`, or by S3, which tells of uploads. Raises ValueError."""
    match _parsed(body):
        case {"wasm_sha256": str(digest)} if len(digest) == 64:
            return [Stored(bytes.fromhex(digest))]
        case {"Service": "Amazon S3", "Event": "s3:TestEvent"}:
            return []  # S3 sends it once, to see that it may
        case {"Records": [*records]}:
            return [_upload(record) for record in records]
    raise ValueError("the body is neither a request to compile nor a notice of an upload")


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _upload(record: Any) -> Upload:
    match record:
        case {"eventSource": "aws:s3", "s3": {"object": {"key": str(key)}}}:
            return Upload(unquote_plus(key))
    raise ValueError("a record of the body is not a notice of an upload to S3")
