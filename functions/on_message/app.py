"""Lambda: message-created events from SQS in; out, the ids of the records that must come back."""

import atexit
import sys
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from guildhook.chat import RestChatApi
from guildhook.errors import ConfigurationError, InfrastructureError
from guildhook.modules import ArtifactBucket, ModuleCache
from guildhook.observability import create_logger, create_metrics, report_batch
from guildhook.sandbox import Engine, Sandbox
from guildhook.settings import Settings, load_settings
from guildhook.store import Store
from guildhook.worker import BatchReport, QueueRecord, Worker

# What Lambda takes for "the whole batch failed": an id that names no record.
_WHOLE_BATCH = {"batchItemFailures": [{"itemIdentifier": ""}]}

logger = create_logger()
metrics = create_metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def create_worker(settings: Settings) -> Worker:
    engine = Engine()
    store = Store(settings.database_url.get_secret_value())
    chat = RestChatApi(str(settings.chat_api_url), settings.chat_api_token.get_secret_value())
    for connect in (store.connect, chat.connect):
        # Init time is free, so connections are opened now; what is down may be up again for the first batch.
        try:
            connect()
        except InfrastructureError as error:
            logger.error(str(error))  # noqa: TRY400 - one line, as the operator needs it
    modules = ModuleCache(
        loader=engine,
        bucket=ArtifactBucket(settings.artifact_bucket),
        directory=settings.cache_dir,
        memory_bytes=settings.memory_cache_bytes,
        disk_bytes=settings.disk_cache_bytes,
    )
    return Worker(engine.fingerprint, Sandbox(engine), settings.limits_of, modules, store, chat)


try:
    worker = create_worker(load_settings())
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
# Connections that are closed properly free their place on the other side at once.
close = atexit.register(worker.close)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: Any, context: Any) -> dict[str, Any]:
    records = (isinstance(event, dict) and event.get("Records")) or []
    metrics.add_metric("records", "Count", len(records))
    if not records:
        logger.error("the event has no Records; this function takes events from SQS")
        return {"batchItemFailures": []}
    try:
        batch = [_queue_record(SQSRecord(record)) for record in records]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.error("a record is not one of SQS: %r", error)  # noqa: TRY400 - nothing of ours failed
        return _WHOLE_BATCH
    report = worker.process(batch)
    report_batch(logger, metrics, report)
    return _answer(event, context, report)


def _queue_record(record: SQSRecord) -> QueueRecord:
    if not isinstance(record.body, str):
        raise TypeError("its body is no text")
    sent_at = datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC)
    return QueueRecord(id=record.message_id, body=record.body, sent_at=sent_at)


def _answer(event: dict[str, Any], context: Any, report: BatchReport) -> dict[str, Any]:
    def settle(record: SQSRecord) -> None:
        if record.message_id in report.failures:
            raise InfrastructureError(report.failures[record.message_id])

    return dict(process_partial_response(event, settle, processor, context))
