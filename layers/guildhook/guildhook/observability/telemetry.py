"""The logger, the metrics and the traces of a function."""

import logging
import os
import warnings
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics

from guildhook.errors import ConfigurationError
from guildhook.observability.tracing import Annotation, Tracing

Handler = Callable[[Any, Any], Any]

_NAME: Final = "guildhook"
"""Of the logger and the metrics' namespace. The library's own loggers are the logger's children, so what they say comes
out in the same form.
"""

_TRUTHS: Final = frozenset({"1", "Y", "YES", "T", "TRUE", "ON", "0", "N", "NO", "F", "FALSE", "OFF"})
"""As Powertools reads them."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    logger: Logger
    metrics: Metrics
    tracing: Tracing

    def handler(self, function: Handler, correlation_id_path: str | None = None) -> Handler:
        """Decorates a Lambda handler: its log carries the invocation's ids, its metrics are written when it ends, and
        the trace has a subsegment of it around those of its stages.

        `correlation_id_path` leads to a request's id in the event, in JMESPath.
        """

        @wraps(function)
        def traced(event: Any, context: Any) -> Any:
            with self.stage("handler"):
                keys = self.logger.get_current_keys()
                self.annotate(ColdStart=keys["cold_start"], Service=keys["service"])
                return function(event, context)

        # Never the event, whatever the environment says: it has the messages' contents.
        logged = self.logger.inject_lambda_context(traced, log_event=False, correlation_id_path=correlation_id_path)
        # A function may have nothing to count.
        warnings.filterwarnings("ignore", "No application metrics to publish")
        handler: Handler = self.metrics.log_metrics(logged, capture_cold_start_metric=True)
        return handler

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Of the handler: a subsegment of the trace, where Lambda traces the invocation."""
        return self.tracing.subsegment(name)

    def annotate(self, **annotations: Annotation) -> None:
        """Add ids and counts to the stage, by which traces can be searched."""
        self.tracing.annotate(annotations)


def create_telemetry() -> Telemetry:
    """Raises ConfigurationError for what Powertools would fail at with a traceback, or in each traced invocation."""
    _check("POWERTOOLS_LOG_LEVEL", {"", *logging.getLevelNamesMapping()}, "DEBUG, INFO, WARNING or ERROR")
    _check("POWERTOOLS_TRACE_DISABLED", _TRUTHS, "true or false")
    service = os.environ.get("POWERTOOLS_SERVICE_NAME") or _NAME
    logger = Logger(service=_NAME, utc=True)
    # What it calls itself; the logger's name stays.
    logger.append_keys(service=service)
    return Telemetry(logger, Metrics(namespace=_NAME, service=service), Tracing(service))


def _check(variable: str, known: Container[str], wants: str) -> None:
    value = os.environ.get(variable)
    if value is not None and value.upper() not in known:
        raise ConfigurationError(f"wrong environment: {variable}: {value!r}; wants: {wants}")
