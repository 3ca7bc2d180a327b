"""Compiles plugins ahead of their messages.

Takes records from SQS, which are requests to compile wasm in Postgres or to check a version, and S3's notices of
uploads; returns the ids of the records that must come back, each after a pause that grows. Invoked with
{"action": "recompile"} or {"action": "prune"}, it returns the number of modules that it asked for or deleted, and the
number that is left if time was over: the same invocation asks for them.
With "refused_for_cpu": true, a recompile includes the plugins that were refused for their CPU time.
A request of CloudFormation for a Custom::Recompilation is answered when all requests are done, or time is over; one for
Custom::SigningPublicKeys is answered with the public keys of the secret that signs compiled plugins.
"""

import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from guildhook.aws.custom_resources import is_resource_request, provide
from guildhook.aws.secrets import Secret
from guildhook.aws.sqs_events import read_records
from guildhook.configuration import CompileFunctionConfiguration, load_configuration
from guildhook.errors import FailedCompileError, InfrastructureError, UnknownEventError
from guildhook.model import Artifact, Refusal
from guildhook.modules import ArtifactBucket, ArtifactSigner, ArtifactSigningKeys, write_public_keys
from guildhook.observability import Metric, Telemetry, create_telemetry, report_compile
from guildhook.sandbox import Engine
from guildhook.startup import Function
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
# The parts of the function's time that are kept for its report, and for the answer to CloudFormation.
_REPORT_MILLISECONDS = 5_000
_ANSWER_MILLISECONDS = 40_000
# A misspelt option would be ignored otherwise, and an event with records acknowledged.
_RECOMPILE_OPTIONS = ({}, *({"refused_for_cpu": value} for value in (None, False, True)))
# SQS is not asked in this part, since ten requests may take 20 s.
_SEND_MILLISECONDS = 25_000
# Compiles are not waited for in this part, so that the last statement has its time too.
_FINISH_MILLISECONDS = 60_000


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(CompileFunctionConfiguration, environment)
    store = CompileStore(configuration.database)
    bucket = ArtifactBucket(configuration.aws, configuration.artifact_bucket)
    keys = Secret(configuration.aws, configuration.signing_secret, "GUILDHOOK_SIGNING_SECRET", ArtifactSigningKeys)
    signer = ArtifactSigner(keys)
    pauses = configuration.compile_pauses
    engine = Engine(configuration.compile_limits)
    compiler = Compiler(engine, configuration.largest_limits(), bucket, store, signer, telemetry.stage, pauses)
    checker = Checker(compiler, store, telemetry.stage)
    queue = CompileQueue(configuration.aws, configuration.compile_queue_url)

    function = CompilePlugin(compiler, signer, checker, queue, telemetry)

    def handle(event: Any, context: Any) -> dict[str, Any]:
        kept = _ANSWER_MILLISECONDS if is_resource_request(event) else _REPORT_MILLISECONDS
        with store.within(time.monotonic() + (context.get_remaining_time_in_millis() - kept) / 1000):
            return function.handle(event, context)

    return Function(telemetry.handler(handle), store.close)


class CompilePlugin:
    def __init__(
        self,
        compiler: Compiler,
        signer: ArtifactSigner,
        checker: Checker,
        queue: CompileQueue,
        telemetry: Telemetry,
    ) -> None:
        self._compiler = compiler
        self._signer = signer
        self._checker = checker
        self._queue = queue
        self._telemetry = telemetry
        self._processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Raises InfrastructureError and UnknownEventError."""
        if isinstance(event, dict) and "Records" in event:
            self._telemetry.add(Metric.COMPILE_REQUESTS, len(read_records(event)))
            return dict(process_partial_response(event, self._compile_record, self._processor, context))
        if is_resource_request(event):
            provide(
                event,
                {
                    "Custom::Recompilation": lambda: self._recompile_all(context),
                    "Custom::SigningPublicKeys": self._public_keys,
                },
            )
            return {}
        match event:
            case {"action": "recompile", **options} if options in _RECOMPILE_OPTIONS:
                self._compiler.try_again(refused_for_cpu=bool(options.get("refused_for_cpu")))
                uncompiled = self._compiler.uncompiled()
                asked = self._queue.ask(
                    uncompiled, in_time=lambda: context.get_remaining_time_in_millis() > _SEND_MILLISECONDS
                )
                left = len(uncompiled) - asked
                return {"asked": asked, "left": left} if left else {"asked": asked}
            case {"action": "prune", **options} if not options:
                return {"pruned": self._compiler.prune(_KEEP_DAYS)}
        raise UnknownEventError(
            'this function takes records of SQS, {"action": "recompile"}, the same with "refused_for_cpu": true, and '
            '{"action": "prune"}'
        )

    def _public_keys(self) -> dict[str, str]:
        """Raises InfrastructureError."""
        return {"PublicKeys": write_public_keys(self._signer.public_keys())}

    def _recompile_all(self, context: Any) -> dict[str, int]:
        """Raises InfrastructureError."""
        with self._telemetry.stage("recompile"):
            recompilation = recompile(
                self._compiler,
                self._queue,
                in_time=lambda: context.get_remaining_time_in_millis() > _FINISH_MILLISECONDS,
            )
        extra = {"asked": recompilation.asked, "left": recompilation.left}
        self._telemetry.logger.info("recompiled", extra=extra)
        return {"Asked": recompilation.asked, "Left": recompilation.left}

    def _compile_record(self, record: SQSRecord) -> None:
        """Any error that it raises brings the record back."""
        logger = self._telemetry.logger
        try:
            for request in read_requests(record.body):
                report_compile(self._telemetry, record.message_id, request, self._compile(request))
        except (InfrastructureError, ValueError) as error:
            extra = {"event_id": record.message_id, "reason": str(error)}
            logger.error("record failed", extra=extra)  # noqa: TRY400 - one line says it all
            if isinstance(error, InfrastructureError):
                self._postpone(record, error)
            raise
        except Exception:
            # Powertools logs no error that it catches.
            logger.exception("record failed", extra={"event_id": record.message_id})
            raise

    def _postpone(self, record: SQSRecord, error: InfrastructureError) -> None:
        """Let the record come back when its next try is due, instead of after the queue's visibility timeout."""
        pauses = self._compiler.pauses
        received = int(record.attributes.approximate_receive_count)
        seconds = pauses[min(received, len(pauses)) - 1]
        if isinstance(error, FailedCompileError):
            seconds = pauses[-1] if error.seconds is None else error.seconds
        try:
            self._queue.postpone(record.receipt_handle, seconds)
        except InfrastructureError as failure:
            text = "the record comes back when the queue's own timeout is over"
            self._telemetry.logger.warning(text, extra={"reason": str(failure)})

    def _compile(self, request: CompileRequest) -> Artifact | Refusal | None:
        """None if there is nothing to do. Raises InfrastructureError."""
        match request:
            case WasmRequest(wasm_sha256):
                return self._compiler.compile_stored(wasm_sha256)
            case VersionRequest(version_id):
                return self._checker.check_stored(version_id)
            case UploadNotice(key):
                return self._checker.check_upload(key)
