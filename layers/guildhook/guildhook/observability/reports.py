"""Reports the work of a function in its log and metrics."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from guildhook.events.batch import QueueRecord, Subject
from guildhook.events.quarantine import is_failure
from guildhook.events.worker import BatchReport
from guildhook.model import Artifact, DeliveryState, Outcome, OutgoingIntent, Refusal, RunResult, run_id
from guildhook.modules import CacheEvent
from guildhook.observability.metrics import Metric
from guildhook.observability.telemetry import Telemetry
from guildhook.store.events import RunRecord
from guildhook.sweeper import SweepReport
from guildhook.versions.compile_queue import CompileRequest, UploadNotice, VersionRequest, WasmRequest

if TYPE_CHECKING:
    # Most functions start without the admin API and without botocore's signatures, which trials import.
    from guildhook.admin.request_report import RequestReport
    from guildhook.trials import TrialRequest, TrialResult


def report_delays(telemetry: Telemetry, records: Iterable[QueueRecord], started: datetime) -> None:
    """How long records have been on the queue, since they were first sent."""
    for record in records:
        # The queue's clock is another.
        delay = max((started - record.sent_at).total_seconds() * 1000, 0)
        telemetry.add(Metric.QUEUE_DELAY, delay)


def report_batch(telemetry: Telemetry, report: BatchReport) -> None:
    ids = _Ids(report.subjects)
    _report_records(telemetry, report, ids)
    _report_runs(telemetry, report, ids)
    _report_deliveries(telemetry, report, ids)
    telemetry.annotate(
        records=len({*report.subjects, *report.failures}),
        records_failed=len(report.failures),
        runs=len(report.runs),
        deliveries=len(report.deliveries),
    )


def _report_records(telemetry: Telemetry, report: BatchReport, ids: "_Ids") -> None:
    logger = telemetry.logger
    for event_id, postponed in report.failures.items():
        logger.error("record failed", extra={**ids.of_record(event_id), "reason": postponed.reason})
    telemetry.add(Metric.RECORDS_FAILED, len(report.failures))
    for event_id, reason in report.skipped.items():
        unknown = report.unknown_types.get(event_id)
        extra = {**ids.of_record(event_id), "reason": reason, **({"unknown_type": unknown} if unknown else {})}
        logger.info("record skipped", extra=extra)
    telemetry.add(Metric.RECORDS_SKIPPED, len(report.skipped))
    telemetry.add(Metric.RECORDS_OF_UNKNOWN_TYPE, len(report.unknown_types))
    for event_id in sorted(report.repaired):
        logger.info("record repaired", extra=ids.of_record(event_id))
    telemetry.add(Metric.RECORDS_REPAIRED, len(report.repaired))
    for message in report.deleted:
        logger.info("message deleted in the chat", extra=ids.of_message(message))
    if report.deleted:  # most batches have none, and each count makes the log longer
        telemetry.add(Metric.MESSAGES_DELETED, len(report.deleted))


def _report_runs(telemetry: Telemetry, report: BatchReport, ids: "_Ids") -> None:
    logger = telemetry.logger
    for event, count in report.modules.items():
        telemetry.add(Metric(f"modules_{event}"), count)
    outcomes = Counter(run.result.outcome for run in report.runs)
    if outcomes:
        outcomes[Outcome.OK] += 0  # CloudWatch cannot compare a share whose metric has no value at all
    for outcome, count in outcomes.items():
        telemetry.add(Metric(f"runs_{outcome}"), count)
    every_run = logger.log_level <= logging.DEBUG
    for run in report.runs:
        result = run.result
        telemetry.add(Metric.RUN_FUEL, result.fuel_used)
        telemetry.add(Metric.RUN_DURATION, result.duration_us)
        if every_run:
            spent = _spent(result)
            logger.debug("plugin ran", extra={**ids.of_run(run), "outcome": result.outcome, **spent})
        if result.outcome is not Outcome.OK:
            failure = {"outcome": result.outcome, "detail": result.detail}
            logger.warning("plugin failed", extra={**ids.of_run(run), **failure})
    for passed in report.passed_over:
        extra = {**ids.of_plugin(passed.message_id, passed.plugin.guild_id, passed.plugin.id)}
        logger.info("plugin not run", extra={**extra, "reason": "it is quarantined"})
    telemetry.add(Metric.RUNS_QUARANTINED, len(report.passed_over))
    # The last failure of each plugin, which is the one that was too many.
    failed = {run.plugin.id: run for run in report.runs if is_failure(run.result)}
    for quarantined in report.quarantined:
        logger.warning(
            "plugin quarantined",
            extra={
                **ids.of_run(failed[quarantined.plugin_id]),
                "reason": quarantined.reason,
                "last_error": quarantined.last_error,
                "pause_seconds": round(quarantined.pause_seconds),
                "pauses": quarantined.pauses,
            },
        )
    telemetry.add(Metric.PLUGINS_QUARANTINED, len(report.quarantined))


def _report_deliveries(telemetry: Telemetry, report: BatchReport, ids: "_Ids") -> None:
    logger = telemetry.logger
    states = Counter(delivery.state for delivery in report.deliveries)
    if states:
        for compared in (DeliveryState.DELIVERED, DeliveryState.REFUSED):
            states[compared] += 0
    for state, count in states.items():
        telemetry.add(Metric(f"deliveries_{state}"), count)
    every_delivery = logger.log_level <= logging.DEBUG
    for delivery in report.deliveries:
        if delivery.state is not DeliveryState.DELIVERED:
            extra = {**ids.of_send(report.outgoing[delivery.key]), "state": delivery.state, "detail": delivery.detail}
            logger.warning("message not delivered", extra=extra)
        elif every_delivery:
            logger.debug("message delivered", extra=ids.of_send(report.outgoing[delivery.key]))
    for key in report.orphaned:
        logger.warning("message sent while its plugin was deleted", extra=ids.of_send(report.outgoing[key]))
    telemetry.add(Metric.CHAT_CIRCUIT_OPEN, int(report.circuit_open))
    telemetry.add(Metric.CHAT_CIRCUITS_OPENED, report.circuits_opened)
    if report.circuits_opened:
        logger.error("the chat API fails again and again; its circuit has opened")


class _Ids:
    """The ids of everything in a batch, so that one search finds all lines about one of them."""

    def __init__(self, subjects: Mapping[str, Subject]) -> None:
        self._subjects = subjects
        # A message that is in the batch twice goes by its first record.
        self._events = {subject.message_id: event_id for event_id, subject in reversed(list(subjects.items()))}

    def of_record(self, event_id: str) -> dict[str, str]:
        subject = self._subjects.get(event_id)
        if subject is None:  # it is malformed, or of an unknown type
            return {"event_id": event_id}
        return {"event_id": event_id, "message_id": str(subject.message_id), "guild_id": str(subject.guild_id)}

    def of_message(self, subject: Subject) -> dict[str, str]:
        return self.of_record(self._events[subject.message_id])

    def of_plugin(self, message_id: UUID, guild_id: UUID, plugin_id: UUID) -> dict[str, str]:
        about = {"message_id": message_id, "guild_id": guild_id, "plugin_id": plugin_id}
        return {"event_id": self._events[message_id], **{name: str(each) for name, each in about.items()}}

    def of_run(self, run: RunRecord) -> dict[str, str]:
        return {**self.of_plugin(run.message.id, run.plugin.guild_id, run.plugin.id), "run_id": run.id}

    def of_send(self, outgoing: OutgoingIntent) -> dict[str, str]:
        plugin = self.of_plugin(outgoing.message_id, outgoing.guild_id, outgoing.plugin_id)
        return {**plugin, "run_id": run_id(outgoing.message_id, outgoing.plugin_id), "key": outgoing.intent.key}


def report_sweep(telemetry: Telemetry, swept: SweepReport) -> None:
    logger = telemetry.logger
    for given_up in swept.given_up:
        ids = {name: str(each) for name, each in asdict(given_up).items()}
        logger.error("message given up: it was pending for too long", extra=ids)
    telemetry.add(Metric.DELIVERIES_GIVEN_UP, len(swept.given_up))
    telemetry.add(Metric.DELIVERIES_REQUEUED, swept.requeued)
    for version_id, plugin_id in swept.stuck:
        ids = {"version_id": str(version_id), "plugin_id": str(plugin_id)}
        logger.error("version not checked: its check did not end in time", extra=ids)
    telemetry.add(Metric.VERSIONS_STUCK, len(swept.stuck))
    for version_id in swept.adopted:
        logger.info("wasm of a plugin is its live version now", extra={"version_id": str(version_id)})
    logger.info(
        "swept",
        extra={
            "requeued": swept.requeued,
            "runs_deleted": swept.runs,
            "messages_forgotten": swept.forgotten,
            "usage_deleted": swept.usage,
            "audit_deleted": swept.audit,
            "versions_abandoned": swept.abandoned,
        },
    )
    telemetry.annotate(deliveries_given_up=len(swept.given_up), deliveries_requeued=swept.requeued)


def report_compile(
    telemetry: Telemetry, event_id: str, request: CompileRequest, compiled: Artifact | Refusal | None
) -> None:
    """`event_id` is that of the record that asked for it."""
    logger = telemetry.logger
    ids = {"event_id": event_id, **_wanted(request)}
    telemetry.annotate(**ids)
    match compiled:
        case Artifact():
            telemetry.add(Metric.PLUGINS_COMPILED, 1)
            logger.info("plugin compiled", extra={**ids, "artifact_bytes": compiled.size})
        case Refusal(reason):
            telemetry.add(Metric.PLUGINS_REFUSED, 1)
            logger.warning("plugin refused", extra={**ids, "reason": reason})
        case None:
            logger.info("nothing to compile: it is gone, or done already", extra=ids)


def _wanted(request: CompileRequest) -> dict[str, str]:
    match request:
        case WasmRequest(wasm_sha256):
            return {"wasm_sha256": wasm_sha256.hex()}
        case VersionRequest(version_id):
            return {"version_id": str(version_id)}
        case UploadNotice(key):
            return {"upload": key}


def report_trial(
    telemetry: Telemetry, request: "TrialRequest", trial: "TrialResult", modules: Mapping[CacheEvent, int]
) -> None:
    """The other events of the module cache are metrics of on_message alone."""
    logger = telemetry.logger
    telemetry.add(Metric.MODULES_DISCARDED, modules.get(CacheEvent.DISCARDED, 0))
    ids = {"guild_id": str(request.guild_id), "plugin_id": str(request.plugin_id)}
    telemetry.annotate(**ids)
    if trial.result:
        telemetry.add(Metric.TRIALS, 1)
        logger.info("trial", extra={**ids, "outcome": trial.result.outcome, **_spent(trial.result)})
    else:
        telemetry.add(Metric.TRIALS_FAILED, 1)
        logger.warning("no trial", extra={**ids, "failure": trial.failure, "detail": trial.detail})


def report_request(telemetry: Telemetry, request: "RequestReport") -> None:
    """Report a request to the admin API: the caller's id, and neither its body nor that of the answer."""
    logger = telemetry.logger
    telemetry.add(Metric(f"requests_{request.status // 100}xx"), 1)
    telemetry.add(Metric.REQUEST_DURATION, request.seconds * 1000)
    extra = {
        "operation": request.operation,
        "method": request.method,
        "status": request.status,
        "actor_id": request.actor_id and str(request.actor_id),
        "guild_id": request.guild_id,
        "duration_ms": round(request.seconds * 1000),
        "problem": request.problem,
    }
    if request.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request failed", extra=extra, exc_info=request.fault)
    else:
        logger.info("request answered", extra=extra)
    telemetry.annotate(operation=request.operation, status=request.status)


def _spent(result: RunResult) -> dict[str, int]:
    return {"fuel_used": result.fuel_used, "duration_us": result.duration_us, "cpu_us": result.cpu_us}
