"""Lambda: compiles plugins ahead of their messages.

In, from SQS: requests to compile wasm that Postgres holds or to check a version, and S3's notices of uploads; out, the
ids of the records that must come back. Invoked with {"action": "recompile"} or {"action": "prune"}: how many were asked
for, or deleted.
A request of CloudFormation for a Custom::Recompilation is answered when everything asked for is done, or time is over.
"""

import sys
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from guildhook.aws.custom_resources import is_resource_request, provide
from guildhook.configuration import CompileFunctionConfiguration, load_configuration
from guildhook.errors import ConfigurationError, InfrastructureError
from guildhook.model import Artifact, Refusal
from guildhook.modules import ArtifactBucket
from guildhook.observability import create_telemetry, report_compile
from guildhook.sandbox import Engine
from guildhook.store.compiling import CompileStore
from guildhook.versions.checker import Checker
from guildhook.versions.compile_queue import (
    CompileQueue,
    CompileRequest,
    UploadNotice,
    VersionRequest,
    WasmRequest,
    read_requests,
)
from guildhook.versions.compiler import Compiler
from guildhook.versions.recompilation import recompile

# Long enough to roll back to the version before.
_KEEP_DAYS = 30
# Of the function's time, to answer CloudFormation in.
_ANSWER_MILLISECONDS = 40_000

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

try:
    telemetry = create_telemetry()
    configuration = load_configuration(CompileFunctionConfiguration)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
store = CompileStore(configuration.database)
bucket = ArtifactBucket(configuration.artifact_bucket)
queue = CompileQueue(configuration.compile_queue_url)
compiler = Compiler(Engine(), configuration.largest_limits(), bucket, store, telemetry.stage)
checker = Checker(compiler, store, telemetry.stage)


def close() -> None:
    store.close()


@telemetry.handler
def handler(event: Any, context: Any) -> dict[str, Any]:
    records = (isinstance(event, dict) and event.get("Records")) or []
    telemetry.metrics.add_metric("compile_requests", "Count", len(records))
    if records:
        return dict(process_partial_response(event, compile_record, processor, context))
    if is_resource_request(event):
        provide(event, "Custom::Recompilation", lambda: recompile_all(context))
        return {}
    match event:
        case {"action": "recompile"}:
            uncompiled = compiler.uncompiled()
            queue.ask(uncompiled)
            return {"asked": len(uncompiled)}
        case {"action": "prune"}:
            return {"pruned": compiler.prune(_KEEP_DAYS)}
    raise ValueError('this function takes records of SQS, {"action": "recompile"} and {"action": "prune"}')


def recompile_all(context: Any) -> dict[str, int]:
    """Raises InfrastructureError."""
    with telemetry.stage("recompile"):
        recompilation = recompile(
            compiler, queue, in_time=lambda: context.get_remaining_time_in_millis() > _ANSWER_MILLISECONDS
        )
    telemetry.logger.info("recompiled", extra={"asked": recompilation.asked, "left": recompilation.left})
    return {"Asked": recompilation.asked, "Left": recompilation.left}


def compile_record(record: SQSRecord) -> None:
    """Raises what makes the record come back."""
    try:
        for request in read_requests(record.body):
            report_compile(telemetry, record.message_id, request, compile_requested(request))
    except (InfrastructureError, ValueError) as error:
        extra = {"event_id": record.message_id, "reason": str(error)}
        telemetry.logger.error("record failed", extra=extra)  # noqa: TRY400 - one line says it all
        raise
    except Exception:
        # Powertools keeps to itself what it catches.
        telemetry.logger.exception("record failed", extra={"event_id": record.message_id})
        raise


def compile_requested(request: CompileRequest) -> Artifact | Refusal | None:
    """None if there is nothing to do. Raises InfrastructureError."""
    match request:
        case WasmRequest(wasm_sha256):
            return compiler.compile_stored(wasm_sha256)
        case VersionRequest(version_id):
            return checker.check_stored(version_id)
        case UploadNotice(key):
            return checker.check_upload(key)
