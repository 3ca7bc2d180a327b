"""Logs and metrics of the functions, set up in one place. Neither ever carries a message's content or a secret."""

from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from guildhook.model import Artifact, DeliveryState, InstalledPlugin, Outcome, Refusal
from guildhook.modules import Stored, Upload
from guildhook.sweeper import Swept
from guildhook.worker import BatchReport

# The library's own loggers are children of this name, so what they say comes out in the same form.
_SERVICE = "guildhook"


def create_logger() -> Logger:
    return Logger(service=_SERVICE, utc=True)


def create_metrics() -> Metrics:
    return Metrics(namespace=_SERVICE, service=_SERVICE)


def report_batch(logger: Logger, metrics: Metrics, report: BatchReport) -> None:
    for record_id, postponed in report.failures.items():
        logger.error("record failed", extra={"record_id": record_id, "reason": postponed.reason})
    metrics.add_metric("records_failed", MetricUnit.Count, len(report.failures))
    for record_id, reason in report.skipped.items():
        logger.info("record skipped", extra={"record_id": record_id, "reason": reason})
    metrics.add_metric("records_skipped", MetricUnit.Count, len(report.skipped))
    for event, count in report.modules.items():
        metrics.add_metric(f"modules_{event}", MetricUnit.Count, count)
    _report_runs(logger, metrics, report)
    _report_deliveries(logger, metrics, report)


def _report_runs(logger: Logger, metrics: Metrics, report: BatchReport) -> None:
    for run in report.runs:
        metrics.add_metric(f"runs_{run.result.outcome}", MetricUnit.Count, 1)
        metrics.add_metric("run_fuel", MetricUnit.Count, run.result.fuel_used)
        metrics.add_metric("run_duration", MetricUnit.Microseconds, run.result.duration_us)
        if run.result.outcome is not Outcome.OK:
            failure = {"outcome": run.result.outcome, "detail": run.result.detail}
            logger.warning("plugin failed", extra={**_ids(run.message.id, run.plugin), **failure})
    for passed in report.passed_over:
        extra = {**_ids(passed.message_id, passed.plugin), "reason": "it is quarantined"}
        logger.info("plugin not run", extra=extra)
    metrics.add_metric("runs_quarantined", MetricUnit.Count, len(report.passed_over))
    for quarantined in report.quarantined:
        logger.warning(
            "plugin quarantined",
            extra={
                "plugin_id": str(quarantined.plugin_id),
                "reason": quarantined.reason,
                "last_error": quarantined.last_error,
                "pause_seconds": round(quarantined.pause_seconds),
                "pauses": quarantined.pauses,
            },
        )
    metrics.add_metric("plugins_quarantined", MetricUnit.Count, len(report.quarantined))


def _report_deliveries(logger: Logger, metrics: Metrics, report: BatchReport) -> None:
    for delivery in report.deliveries:
        metrics.add_metric(f"deliveries_{delivery.state}", MetricUnit.Count, 1)
        if delivery.state is not DeliveryState.DELIVERED:
            logger.warning(
                "message not delivered",
                extra={"key": delivery.key, "state": delivery.state, "detail": delivery.detail},
            )
    for key in report.orphaned:
        logger.warning("message sent while its plugin was deleted", extra={"key": key})
    metrics.add_metric("chat_circuit_open", MetricUnit.Count, int(report.circuit_open))
    metrics.add_metric("chat_circuits_opened", MetricUnit.Count, report.circuits_opened)
    if report.circuits_opened:
        logger.error("the chat API fails again and again; its circuit has opened")


def _ids(message_id: UUID, plugin: InstalledPlugin) -> dict[str, str]:
    return {"message_id": str(message_id), "guild_id": str(plugin.guild_id), "plugin_id": str(plugin.id)}


def report_sweep(logger: Logger, metrics: Metrics, swept: Swept) -> None:
    for key in swept.given_up:
        logger.error("message given up: it was pending for too long", extra={"key": key})
    metrics.add_metric("deliveries_given_up", MetricUnit.Count, len(swept.given_up))
    metrics.add_metric("deliveries_requeued", MetricUnit.Count, swept.requeued)
    logger.info("swept", extra={"requeued": swept.requeued, "runs_deleted": swept.runs, "usage_deleted": swept.usage})


def report_compile(
    logger: Logger, metrics: Metrics, request: Stored | Upload, compiled: Artifact | Refusal | None
) -> None:
    wanted = {"wasm_sha256": request.wasm_sha256.hex()} if isinstance(request, Stored) else {"upload": request.key}
    match compiled:
        case Artifact():
            metrics.add_metric("plugins_compiled", MetricUnit.Count, 1)
            logger.info("plugin compiled", extra={**wanted, "artifact_bytes": compiled.size})
        case Refusal(reason):
            metrics.add_metric("plugins_refused", MetricUnit.Count, 1)
            logger.warning("plugin refused", extra={**wanted, "reason": reason})
        case None:
            logger.info("nothing to compile: the wasm is gone", extra=wanted)
