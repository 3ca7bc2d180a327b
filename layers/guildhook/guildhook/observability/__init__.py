"""Logs, metrics and traces of the functions, set up in one place. None ever carries a message's content or a secret."""

from guildhook.observability.metrics import Metric
from guildhook.observability.reports import (
    report_batch,
    report_compile,
    report_delays,
    report_request,
    report_sweep,
    report_trial,
)
from guildhook.observability.telemetry import Telemetry, create_telemetry

__all__ = [
    "Metric",
    "Telemetry",
    "create_telemetry",
    "report_batch",
    "report_compile",
    "report_delays",
    "report_request",
    "report_sweep",
    "report_trial",
]
