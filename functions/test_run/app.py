"""Lambda: runs a plugin once, in the real sandbox and without effects, for the admin API.

In, a request as trial.py has it; out, the run's result, or why there is none. It knows no database and no secret.
"""

import sys
from typing import Any

import msgspec

from guildhook.configuration import TrialConfiguration, load_configuration
from guildhook.errors import ConfigurationError
from guildhook.modules import ArtifactBucket, ModuleCache
from guildhook.observability import create_telemetry, report_trial
from guildhook.sandbox import Engine, Sandbox
from guildhook.trials import TrialRequest, TrialRunner, read_request

try:
    telemetry = create_telemetry()
    configuration = load_configuration(TrialConfiguration)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
engine = Engine()
modules = ModuleCache(
    loader=engine,
    bucket=ArtifactBucket(configuration.artifact_bucket),
    ask=lambda _wasm_sha256: None,  # it compiles nothing; the admin API asks for that
    directory=configuration.cache_dir,
    memory_bytes=configuration.memory_cache_bytes,
    disk_bytes=configuration.disk_cache_bytes,
)
runner = TrialRunner(engine.fingerprint, Sandbox(engine), modules)


@telemetry.handler
def handler(event: Any, _context: Any) -> dict[str, Any]:
    request = read_request(event)
    if isinstance(request, TrialRequest):
        with telemetry.stage("run"):
            result = runner.run(request)
        report_trial(telemetry, request, result)
    else:
        result = request
        telemetry.logger.error("the event is no request for a trial", extra={"reason": result.detail})
    answer: dict[str, Any] = msgspec.to_builtins(result)
    return answer
