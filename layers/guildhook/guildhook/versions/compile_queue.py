"""The queue of the compile function, and the requests on it."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

from guildhook.aws.access import AwsAccess
from guildhook.aws.queues import Queue, QueueMessage
from guildhook.uuids import read_uuid

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
"""bytes.fromhex takes spaces as well, and returns a shorter digest, which nothing has."""
_CREATED: Final = "ObjectCreated:"


@dataclass(frozen=True, slots=True)
class WasmRequest:
    """Wasm that Postgres holds."""

    wasm_sha256: bytes


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """A version whose wasm Postgres holds."""

    version_id: UUID


@dataclass(frozen=True, slots=True)
class UploadNotice:
    """Wasm that was put into the bucket."""

    key: str


class CompileQueue:
    def __init__(self, access: AwsAccess, url: str) -> None:
        self._queue = Queue(access, url, "GUILDHOOK_COMPILE_QUEUE_URL")

    def ask(self, wasm_sha256: Iterable[bytes], in_time: Callable[[], bool] = lambda: True) -> int:
        """Ask for wasm that Postgres holds, in time as `Queue.send` does. Asking twice does no harm.

        Returns the number of requests that were sent. Raises InfrastructureError.
        """
        messages = [QueueMessage(json.dumps({"wasm_sha256": digest.hex()})) for digest in wasm_sha256]
        return self._queue.send(messages, in_time)

    def ask_versions(self, version_ids: Iterable[UUID], in_time: Callable[[], bool] = lambda: True) -> int:
        """Ask for versions whose wasm Postgres holds: the rest of `ask` holds for them as well."""
        messages = [QueueMessage(json.dumps({"version_id": str(version_id)})) for version_id in version_ids]
        return self._queue.send(messages, in_time)

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Let a received request come back after these seconds. Raises InfrastructureError."""
        self._queue.postpone({receipt_handle: seconds})


CompileRequest = WasmRequest | VersionRequest | UploadNotice


def read_requests(body: str) -> list[CompileRequest]:
    """The requests in a message of the queue, sent by `ask` or by S3 as a notice of uploads. Raises ValueError."""
    match _parsed(body):
        case {"wasm_sha256": str(digest)} if _DIGEST.fullmatch(digest):
            return [WasmRequest(bytes.fromhex(digest))]
        case {"version_id": str(version_id)}:
            return [VersionRequest(read_uuid(version_id))]
        case {"Service": "Amazon S3", "Event": "s3:TestEvent"}:
            return []  # S3 sends it once, to see that it may
        case {"Records": [_, *_] as records}:
            return [_upload(record) for record in records]
    raise ValueError("the body is neither a request to compile nor a notice of an upload")


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _upload(record: Any) -> UploadNotice:
    match record:
        case {"eventSource": "aws:s3", "eventName": str(event), "s3": {"object": {"key": str(key)}}} if (
            event.startswith(_CREATED)
        ):
            return UploadNotice(unquote_plus(key))
    raise ValueError("a record of the body is not a notice of an upload to S3")
