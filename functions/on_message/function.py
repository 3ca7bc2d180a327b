"""Handles events from SQS: takes a batch of records and returns the ids of the records that must come back.

An invocation with any other event fails.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from guildhook.aws.queues import Queue
from guildhook.aws.secrets import Secret
from guildhook.aws.sqs_events import SqsRecord, read_records
from guildhook.chat import RestChatApi, ServiceToken
from guildhook.configuration import WorkerConfiguration, load_configuration
from guildhook.errors import InfrastructureError
from guildhook.events.batch import QueueRecord
from guildhook.events.delivery import CircuitBreaker, Sender
from guildhook.events.worker import BatchReport, Worker, WorkerRules
from guildhook.modules import ArtifactBucket, ModuleCache
from guildhook.observability import Metric, Telemetry, create_telemetry, report_batch, report_delays
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.sandbox import CompileLimits, Engine, Sandbox
from guildhook.startup import Function
from guildhook.store.events import EventStore
from guildhook.versions.compile_queue import CompileQueue

_COMPILE_SECONDS = 25
"""The wall time of a compile for this process alone: the other messages of its batch are waiting to be settled."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(WorkerConfiguration, environment)
    if configuration.metrics_by_version:
        telemetry = telemetry.by_version(environment.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"))
    worker = _worker(configuration, telemetry)
    events = Queue(configuration.aws, configuration.event_queue_url, "GUILDHOOK_EVENT_QUEUE_URL")

    def renew() -> None:
        worker.close()
        for problem in worker.connect():
            telemetry.logger.error(str(problem))

    # Connections are opened now, since the time of the start is not a message's time.
    renew()
    return Function(telemetry.handler(OnMessage(worker, events, telemetry).handle), worker.close, renew)


class OnMessage:
    def __init__(self, worker: Worker, events: Queue, telemetry: Telemetry) -> None:
        self._worker = worker
        self._events = events
        self._telemetry = telemetry

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Raises UnknownEventError."""
        started = datetime.now(UTC)
        batch = read_records(event)
        queued = [_queue_record(record) for record in batch]
        self._telemetry.add(Metric.RECORDS, len(batch))
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
        report_delays(self._telemetry, queued, started)
        report = self._worker.process(queued, deadline)
        report_batch(self._telemetry, report)
        self._postpone(batch, report)
        return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in report.failures]}

    def _postpone(self, batch: list[SqsRecord], report: BatchReport) -> None:
        """Give each failed record its own wait: Lambda leaves all of them to the queue's visibility timeout."""
        handles = {record.message_id: record.receipt_handle for record in batch}
        waits = {handles[record_id]: postponed.seconds for record_id, postponed in report.failures.items()}
        try:
            self._events.postpone(waits)
        except InfrastructureError as error:
            text = "records come back when the queue's own timeout is over"
            self._telemetry.logger.warning(text, extra={"reason": str(error)})


def _worker(configuration: WorkerConfiguration, telemetry: Telemetry) -> Worker:
    engine, aws = Engine(CompileLimits(timeout_seconds=_COMPILE_SECONDS)), configuration.aws
    modules = ModuleCache(
        loader=engine,
        bucket=ArtifactBucket(aws, configuration.artifact_bucket),
        ask=CompileQueue(aws, configuration.compile_queue_url).ask,
        directory=configuration.cache_dir,
        memory_bytes=configuration.memory_cache_bytes,
        disk_bytes=configuration.disk_cache_bytes,
        public_keys=configuration.artifact_public_keys,
    )
    rules = WorkerRules(
        limits_of=configuration.limits_of,
        budget_of=configuration.budget_of,
        quarantine=configuration.quarantine,
        backoff=configuration.backoff,
        unmarked_authors=configuration.unmarked_authors,
    )
    token = Secret(aws, configuration.chat_secret, "GUILDHOOK_CHAT_SECRET", ServiceToken)
    chat = RestChatApi(configuration.chat_api_url, token, unclear_pause_seconds=configuration.backoff.longest_seconds)
    return Worker(
        engine.fingerprint,
        Sandbox(engine),
        rules,
        modules,
        EventStore(configuration.database),
        Sender(chat, CircuitBreaker()),
        telemetry.stage,
        _sealer(configuration),
    )


def _sealer(configuration: WorkerConfiguration) -> Sealer | None:
    name = configuration.settings_secret
    return Sealer(Secret(configuration.aws, name, "GUILDHOOK_SETTINGS_SECRET", SettingsKeys)) if name else None


def _queue_record(record: SqsRecord) -> QueueRecord:
    return QueueRecord(
        id=record.message_id,
        body=record.body,
        sent_at=record.sent_at,
        receive_count=record.attributes.approximate_receive_count,
    )
