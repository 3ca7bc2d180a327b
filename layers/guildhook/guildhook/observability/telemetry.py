"""The logger, the metrics and the traces of a function."""

import logging
import sys
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from guildhook.errors import ConfigurationError
from guildhook.observability.metrics import BY_VERSION, Metric
from guildhook.observability.tracing import Annotation, Tracing

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.types import CloudWatchEMFOutput

Handler = Callable[[Any, Any], Any]

_NAME: Final = "guildhook"
"""The name of the logger and of the metrics' namespace. The library's loggers are its children and share its form."""

_TRUTHS: Final = frozenset({"1", "Y", "YES", "T", "TRUE", "ON", "0", "N", "NO", "F", "FALSE", "OFF"})
"""The texts that Powertools reads as true or false."""


class _InvocationMetrics(EphemeralMetrics):
    """Powertools warns of an invocation without metrics, but an invocation may have nothing to count. It also adds a
    dimension to all metrics or to none, but only a few are needed by version, each of which costs.
    """

    def __init__(self, *, service: str, version: str | None = None) -> None:
        super().__init__(namespace=_NAME, service=service)
        self._version = version

    def serialize_metric_set(
        self,
        metrics: dict[str, Any] | None = None,
        dimensions: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> "CloudWatchEMFOutput":
        line: Any = super().serialize_metric_set(metrics, dimensions, metadata)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        compared = [metric for metric in directive["Metrics"] if metric["Name"] in BY_VERSION]
        if self._version is not None and compared:
            by_version = {**directive, "Dimensions": [["service", "version"]], "Metrics": compared}
            line["_aws"]["CloudWatchMetrics"].append(by_version)
            line["version"] = self._version
        return line  # type: ignore[no-any-return]

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


@dataclass(frozen=True, slots=True)
class Telemetry:
    logger: Logger
    metrics: EphemeralMetrics
    tracing: Tracing

    def by_version(self, version: str) -> "Telemetry":
        """The same with the dimension `version` besides, for the metrics that a canary compares."""
        return replace(self, metrics=_InvocationMetrics(service=str(self.metrics.service), version=version))

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

        # The event is never logged, even if the environment asks for it, because it has the contents of messages.
        logged = self.logger.inject_lambda_context(traced, log_event=False, correlation_id_path=correlation_id_path)
        handler: Handler = self.metrics.log_metrics(logged, capture_cold_start_metric=True)
        return handler

    def stage(self, name: str) -> AbstractContextManager[object]:
        """A part of the handler: a subsegment of the trace, where Lambda traces the invocation."""
        return self.tracing.subsegment(name)

    def add(self, metric: Metric, value: float) -> None:
        """Add a value to a metric of the invocation, in the metric's unit."""
        self.metrics.add_metric(metric.value, metric.unit, value)

    def annotate(self, **annotations: Annotation) -> None:
        """Add ids and counts to the stage, by which traces can be searched."""
        self.tracing.annotate(annotations)


def create_telemetry(environment: Mapping[str, str]) -> Telemetry:
    """Raises ConfigurationError for a value that Powertools fails at with a traceback, or in each traced invocation."""
    _check(environment, "POWERTOOLS_LOG_LEVEL", {"", *logging.getLevelNamesMapping()}, "DEBUG, INFO, WARNING or ERROR")
    _check(environment, "POWERTOOLS_TRACE_DISABLED", _TRUTHS, "true or false")
    service = environment.get("POWERTOOLS_SERVICE_NAME") or _NAME
    level = environment.get("POWERTOOLS_LOG_LEVEL") or environment.get("LOG_LEVEL")
    logger = Logger(service=_NAME, level=level, utc=True, logger_handler=_STDOUT)
    # This changes the service in each line; the logger keeps its name.
    logger.append_keys(service=service)
    return Telemetry(logger, _InvocationMetrics(service=service), Tracing(service, environment))


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to the current sys.stdout, as `print` does; a StreamHandler keeps the one of its creation."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


_STDOUT: Final = _StdoutHandler()
"""The log belongs to the process, as all of Python's logging does: its functions share one logger and its level."""


def _check(environment: Mapping[str, str], variable: str, known: Container[str], wants: str) -> None:
    value = environment.get(variable)
    if value is not None and value.upper() not in known:
        raise ConfigurationError(f"wrong environment: {variable}: {value!r}; wants: {wants}")
