"""Logs and metrics of the functions, set up in one place. Neither ever carries a message's content or a secret."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from guildhook.model import Artifact, DeliveryState, Outcome, Refusal
from guildhook.modules import Stored, Upload
from guildhook.worker import BatchReport

# The library's own loggers are children of this name, so what they say comes out in the same form.
_SERVICE = "guildhook"


def create_logger() -> Logger:
    return Logger(service=_SERVICE, utc=True)


def create_metrics() -> Metrics:
    return Metrics(namespace=_SERVICE, service=_SERVICE)


def report_batch(logger: Logger, metrics: Metrics, report: BatchReport) -> None:
    for record_id, reason in report.failures.items():
        logger.error("record failed", extra={"record_id": record_id, "reason": reason})
    metrics.add_metric("records_failed", MetricUnit.Count, len(report.failures))
    for record_id, reason in report.skipped.items():
        logger.info("record skipped", extra={"record_id": record_id, "reason": reason})
    metrics.add_metric("records_skipped", MetricUnit.Count, len(report.skipped))
    for run in report.runs:
        metrics.add_metric(f"runs_{run.result.outcome}", MetricUnit.Count, 1)
        metrics.add_metric("run_fuel", MetricUnit.Count, run.result.fuel_used)
        metrics.add_metric("run_duration", MetricUnit.Microseconds, run.result.duration_us)
        if run.result.outcome is not Outcome.OK:
            logger.warning(
                "plugin failed",
                extra={
                    "message_id": str(run.message_id),
                    "guild_id": str(run.plugin.guild_id),
                    "plugin_id": str(run.plugin.id),
                    "outcome": run.result.outcome,
                    "detail": run.result.detail,
                },
            )
    for event, count in report.modules.items():
        metrics.add_metric(f"modules_{event}", MetricUnit.Count, count)
    for delivery in report.deliveries:
        metrics.add_metric(f"deliveries_{delivery.state}", MetricUnit.Count, 1)
        if delivery.state is not DeliveryState.DELIVERED:
            logger.warning(
                "message not delivered",
                extra={"key": delivery.key, "state": delivery.state, "detail": delivery.detail},
            )


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
