"""Runs a plugin once, in the real sandbox and without effects, for the admin API.

Takes a request as guildhook/trials.py defines it; returns the run's result, or the reason for which there is none. The
function has neither a database nor a secret.
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from guildhook.configuration import TrialConfiguration, load_configuration
from guildhook.modules import ArtifactBucket, ModuleCache
from guildhook.observability import create_telemetry, report_trial
from guildhook.sandbox import Engine, Sandbox
from guildhook.startup import Function
from guildhook.trials import TrialRequest, TrialRunner, read_request

_RUN_SECONDS = 5
"""The part of the function's time that is kept for the run and the answer."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(TrialConfiguration, environment)
    engine = Engine()
    modules = ModuleCache(
        loader=engine,
        bucket=ArtifactBucket(configuration.aws, configuration.artifact_bucket),
        ask=lambda _wasm_sha256: None,  # it compiles nothing; the admin API asks for that
        directory=configuration.cache_dir,
        memory_bytes=configuration.memory_cache_bytes,
        disk_bytes=configuration.disk_cache_bytes,
        public_keys=configuration.artifact_public_keys,
    )
    runner = TrialRunner(engine.fingerprint, Sandbox(engine), modules)

    def handle(event: Any, context: Any) -> dict[str, Any]:
        """Raises UnknownEventError."""
        request = read_request(event)
        if isinstance(request, TrialRequest):
            with telemetry.stage("run"):
                deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _RUN_SECONDS
                result = runner.run(request, deadline)
            report_trial(telemetry, request, result, modules.take_events())
        else:
            result = request
            telemetry.logger.error("the request for a trial is malformed", extra={"reason": result.detail})
        answer: dict[str, Any] = msgspec.to_builtins(result)
        return answer

    return Function(telemetry.handler(handle))
