"""Lambda: message-created events from SQS in; out, the ids of the records that must come back."""

import atexit
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from snapshot_restore_py import register_after_restore, register_before_snapshot

from guildhook.chat import RestChatApi
from guildhook.errors import ConfigurationError
from guildhook.modules import ArtifactBucket, CompileQueue, ModuleCache
from guildhook.observability import create_logger, create_metrics, report_batch
from guildhook.sandbox import Engine, Sandbox
from guildhook.settings import WorkerSettings, load_settings
from guildhook.store import Store
from guildhook.worker import QueueRecord, Worker

# What Lambda takes for "the whole batch failed": an id that names no record.
_WHOLE_BATCH = {"batchItemFailures": [{"itemIdentifier": ""}]}

logger = create_logger()
metrics = create_metrics()


def create_worker(settings: WorkerSettings) -> Worker:
    engine = Engine()
    modules = ModuleCache(
        loader=engine,
        bucket=ArtifactBucket(settings.artifact_bucket),
        ask=CompileQueue(settings.compile_queue_url).ask,
        directory=settings.cache_dir,
        memory_bytes=settings.memory_cache_bytes,
        disk_bytes=settings.disk_cache_bytes,
    )
    store = Store(settings.database_url)
    chat = RestChatApi(settings.chat_api_url, settings.chat_api_token)
    return Worker(engine.fingerprint, Sandbox(engine), settings.limits_of, modules, store, chat)


def renew() -> None:
    """What each process must have of its own, also if it starts from a snapshot of another: connections, and the
    random numbers that spread retries.
    """
    random.seed()
    worker.close()
    for problem in worker.connect():
        logger.error(str(problem))


try:
    worker = create_worker(load_settings(WorkerSettings))
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
# Now, since init costs no message any time.
renew()
register_after_restore(renew)
# Connections that are closed properly free their place on the other side at once.
register_before_snapshot(worker.close)
close = atexit.register(worker.close)


class SqsAttributes(msgspec.Struct, frozen=True, rename="pascal"):
    sent_timestamp: int


class SqsRecord(msgspec.Struct, frozen=True, rename="camel"):
    """What the function reads of it."""

    message_id: str
    body: str
    attributes: SqsAttributes


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: Any, context: Any) -> dict[str, Any]:
    records = (isinstance(event, dict) and event.get("Records")) or []
    metrics.add_metric("records", "Count", len(records))
    if not records:
        logger.error("the event has no Records; this function takes events from SQS")
        return {"batchItemFailures": []}
    try:
        batch = [_queue_record(record) for record in msgspec.convert(records, list[SqsRecord], strict=False)]
    except (ValueError, OverflowError, OSError) as error:
        logger.error("a record is not one of SQS: %s", error)  # noqa: TRY400 - nothing of ours failed
        return _WHOLE_BATCH
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    report = worker.process(batch, deadline)
    report_batch(logger, metrics, report)
    return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in report.failures]}


def _queue_record(record: SqsRecord) -> QueueRecord:
    sent_at = datetime.fromtimestamp(record.attributes.sent_timestamp / 1000, UTC)
    return QueueRecord(id=record.message_id, body=record.body, sent_at=sent_at)
