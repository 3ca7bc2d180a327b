"""Lambda: message-created events from SQS in; out, the ids of the records that must come back."""

import atexit
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from snapshot_restore_py import register_after_restore, register_before_snapshot

from guildhook.aws.queues import Queue
from guildhook.aws.secrets import Secret
from guildhook.chat import RestChatApi, ServiceToken
from guildhook.configuration import WorkerConfiguration, load_configuration
from guildhook.errors import ConfigurationError, InfrastructureError
from guildhook.events.batch import QueueRecord
from guildhook.events.delivery import CircuitBreaker, Sender
from guildhook.events.worker import BatchReport, Rules, Worker
from guildhook.modules import ArtifactBucket, ModuleCache
from guildhook.observability import create_telemetry, report_batch, report_delays
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.sandbox import Engine, Sandbox
from guildhook.store.events import EventStore
from guildhook.versions.compile_queue import CompileQueue

# What Lambda takes for "the whole batch failed": an id that names no record.
_WHOLE_BATCH = {"batchItemFailures": [{"itemIdentifier": ""}]}


def create_worker(configuration: WorkerConfiguration) -> Worker:
    engine = Engine()
    modules = ModuleCache(
        loader=engine,
        bucket=ArtifactBucket(configuration.artifact_bucket),
        ask=CompileQueue(configuration.compile_queue_url).ask,
        directory=configuration.cache_dir,
        memory_bytes=configuration.memory_cache_bytes,
        disk_bytes=configuration.disk_cache_bytes,
    )
    rules = Rules(configuration.limits_of, configuration.budget_of, configuration.quarantine, configuration.backoff)
    store = EventStore(configuration.database)
    token = Secret(configuration.chat_secret, "GUILDHOOK_CHAT_SECRET", ServiceToken)
    sender = Sender(RestChatApi(configuration.chat_api_url, token), CircuitBreaker())
    return Worker(
        engine.fingerprint,
        Sandbox(engine),
        rules,
        modules,
        store,
        sender,
        telemetry.stage,
        create_sealer(configuration),
    )


def create_sealer(configuration: WorkerConfiguration) -> Sealer | None:
    name = configuration.settings_secret
    return Sealer(Secret(name, "GUILDHOOK_SETTINGS_SECRET", SettingsKeys)) if name else None


def renew() -> None:
    """What each process must have of its own, also if it starts from a snapshot of another: connections, and the
    random numbers that spread retries.
    """
    random.seed()
    worker.close()
    for problem in worker.connect():
        logger.error(str(problem))


try:
    telemetry = create_telemetry()
    configuration = load_configuration(WorkerConfiguration)
    worker = create_worker(configuration)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
logger, metrics = telemetry.logger, telemetry.metrics
events = Queue(configuration.event_queue_url, "GUILDHOOK_EVENT_QUEUE_URL")
# Now, since init costs no message any time.
renew()
register_after_restore(renew)
# Connections that are closed properly free their place on the other side at once.
register_before_snapshot(worker.close)
close = atexit.register(worker.close)


class SqsAttributes(msgspec.Struct, frozen=True, rename="pascal"):
    sent_timestamp: int
    approximate_receive_count: int


class SqsRecord(msgspec.Struct, frozen=True, rename="camel"):
    """What the function reads of it."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: SqsAttributes


@telemetry.handler
def handler(event: Any, context: Any) -> dict[str, Any]:
    started = datetime.now(UTC)
    records = (isinstance(event, dict) and event.get("Records")) or []
    metrics.add_metric("records", "Count", len(records))
    if not records:
        logger.error("the event has no Records; this function takes events from SQS")
        return {"batchItemFailures": []}
    try:
        batch = msgspec.convert(records, list[SqsRecord], strict=False)
        queued = [_queue_record(record) for record in batch]
    except (ValueError, OverflowError, OSError) as error:
        logger.error("a record is not one of SQS: %s", error)  # noqa: TRY400 - nothing of ours failed
        return _WHOLE_BATCH
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    report_delays(telemetry, queued, started)
    report = worker.process(queued, deadline)
    report_batch(telemetry, report)
    postpone(batch, report)
    return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in report.failures]}


def postpone(batch: list[SqsRecord], report: BatchReport) -> None:
    """Lambda leaves what failed invisible for as long as the queue says, the same time for everything."""
    handles = {record.message_id: record.receipt_handle for record in batch}
    waits = {handles[record_id]: postponed.seconds for record_id, postponed in report.failures.items()}
    try:
        events.postpone(waits)
    except InfrastructureError as error:
        logger.warning("records come back when the queue's own timeout is over", extra={"reason": str(error)})


def _queue_record(record: SqsRecord) -> QueueRecord:
    return QueueRecord(
        id=record.message_id,
        body=record.body,
        sent_at=datetime.fromtimestamp(record.attributes.sent_timestamp / 1000, UTC),
        receive_count=record.attributes.approximate_receive_count,
    )
