"""Traces in X-Ray, by the Tracer of Powertools. Where nothing is traced nothing of the X-Ray SDK is imported."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any

from aws_lambda_powertools import Tracer

Annotation = str | int | bool


class Tracing:
    """For the thread that runs the handler: the SDK keeps the subsegment that others belong to by thread."""

    def __init__(self, service: str, environment: Mapping[str, str]) -> None:
        self._service = service
        self._environment = environment

    def subsegment(self, name: str) -> AbstractContextManager[object]:
        return self._subsegment(name) if self._is_on else nullcontext()

    def annotate(self, annotations: Mapping[str, Annotation]) -> None:
        """The innermost subsegment."""
        if self._is_on and (subsegment := self._recorder.current_subsegment()):
            for key, value in annotations.items():
                subsegment.put_annotation(key, value)

    @property
    def _is_on(self) -> bool:
        # Lambda decides this for each invocation, and then replaces the variable in the process's environment.
        return "Sampled=1" in self._environment.get("_X_AMZN_TRACE_ID", "") and not self._tracer.disabled

    @cached_property
    def _tracer(self) -> Tracer:
        # Patching would trace every request of boto3 and urllib3, and name URLs; the stages say enough.
        return Tracer(service=self._service, auto_patch=False)

    @property
    def _recorder(self) -> Any:
        # The SDK's, which has more than the type that Powertools gives it.
        return self._tracer.provider

    @contextmanager
    def _subsegment(self, name: str) -> Iterator[None]:
        subsegment = self._recorder.begin_subsegment(name)
        try:
            yield
        except BaseException as error:
            # Its class alone. The SDK's own context manager adds its text, which could quote anything.
            subsegment.add_fault_flag()
            subsegment.put_annotation("error", type(error).__name__)
            raise
        finally:
            self._recorder.end_subsegment()
