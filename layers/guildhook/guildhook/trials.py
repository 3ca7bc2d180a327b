"""A trial is one run of a plugin without effects: a test run, or the replay of a recorded run.

It happens in a function of its own, which has neither database nor secrets, and may read compiled plugins alone.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from guildhook.aws.access import AwsAccess
from guildhook.aws.functions import LambdaFunction
from guildhook.errors import InfrastructureError, UnknownEventError
from guildhook.model import Artifact, Message, RunResult
from guildhook.modules import ModuleCache, NeededModule, UnavailableModule
from guildhook.sandbox import Limits, LoadedModule, LoadedPlugin, Sandbox

_MAX_BYTES: Final = 5 * 1024 * 1024
"""The limit of a request or a result as JSON. Lambda's own limit is a sixth higher."""


class TrialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run depends on. Equal requests give equal results."""

    artifacts: tuple[Artifact, ...]
    """The artifacts of one wasm, one for every engine that it was compiled for."""
    plugin_id: UUID
    guild_id: UUID
    settings: Mapping[str, Any]
    """With secrets among them."""
    permissions: frozenset[str]
    state: Mapping[str, str]
    message_id: UUID
    channel_id: UUID
    message: str
    """The message for the plugin: compact JSON."""
    now: Annotated[datetime, msgspec.Meta(tz=True)]
    """When the message was created."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    limits: Limits

    def __repr__(self) -> str:
        """Settings, secrets and the message stay out of it, since it may be logged."""
        return f"TrialRequest(plugin_id={self.plugin_id}, message_id={self.message_id})"


_REQUIRED: Final = frozenset(field.encode_name for field in msgspec.structs.fields(TrialRequest) if field.required)


class TrialFailure(StrEnum):
    """The reason for which there is no run."""

    NOT_COMPILED = "not_compiled"
    """The version has no artifact for the function's engine; the compile function can be asked for it."""
    UNAVAILABLE = "unavailable"
    """A service, the artifact or memory is unavailable now; the same trial may succeed later."""
    INVALID = "invalid"
    """The request is not valid, or the result is too large; `detail` has the reason."""


class TrialResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either a result or a failure."""

    result: RunResult | None = None
    failure: TrialFailure | None = None
    detail: str = ""


class Trials:
    """Trials in another function, as the admin API asks for them."""

    def __init__(self, access: AwsAccess, function: str) -> None:
        self._function = LambdaFunction(access, function, "GUILDHOOK_TEST_RUN_FUNCTION")

    def run(self, request: TrialRequest) -> TrialResult:
        """Raises InfrastructureError."""
        payload = msgspec.json.encode(request)
        if len(payload) > _MAX_BYTES:
            detail = f"the run would be given {len(payload)} bytes; the limit is {_MAX_BYTES}"
            return TrialResult(failure=TrialFailure.INVALID, detail=detail)
        answer = self._function.invoke(payload)
        try:
            return msgspec.json.decode(answer, type=TrialResult)
        except ValueError:
            raise InfrastructureError("the function test_run gave an answer that is not a result") from None


class TrialRunner:
    """Trials in this process, as the function does them."""

    def __init__(self, engine: str, sandbox: Sandbox, modules: ModuleCache[LoadedModule]) -> None:
        """`engine` is the fingerprint of the sandbox's engine."""
        self._engine = engine
        self._sandbox = sandbox
        self._modules = modules

    def run(self, request: TrialRequest, deadline: float) -> TrialResult:
        """Raises nothing that a request could bring about. The module must arrive before `deadline`, a time of
        time.monotonic().
        """
        artifact = next((each for each in request.artifacts if each.engine == self._engine), None)
        if artifact is None:
            return TrialResult(failure=TrialFailure.NOT_COMPILED, detail="it is not compiled for this engine yet")
        module = self._modules.find([NeededModule(artifact.wasm_sha256, artifact)], deadline).get(artifact.wasm_sha256)
        if isinstance(module, UnavailableModule):
            return TrialResult(failure=TrialFailure.UNAVAILABLE, detail=module.reason)
        if not isinstance(module, LoadedModule):
            # Its object is gone or damaged; the compile function sees that as well, and compiles it anew.
            return TrialResult(failure=TrialFailure.NOT_COMPILED, detail="its compiled form is gone, or damaged")
        message = Message(
            id=request.message_id,
            guild_id=request.guild_id,
            channel_id=request.channel_id,
            created_at=request.now,
            payload=request.message,
        )
        plugin = LoadedPlugin(request.plugin_id, module, request.permissions, request.limits)
        try:
            result = self._sandbox.run(plugin, message, request.settings, request.now, request.seed, request.state)
        except InfrastructureError as error:
            return TrialResult(failure=TrialFailure.UNAVAILABLE, detail=str(error))
        return _bounded(result)


def _bounded(result: RunResult) -> TrialResult:
    size = len(msgspec.json.encode(result))
    if size > _MAX_BYTES:
        detail = f"the result of the run has {size} bytes; a trial can show {_MAX_BYTES}"
        return TrialResult(failure=TrialFailure.INVALID, detail=detail)
    return TrialResult(result)


def read_request(event: object) -> TrialRequest | TrialResult:
    """The request in the event, or a failure that names its fault and quotes no value of it.

    Raises UnknownEventError if the event lacks a field of a request.
    """
    if not (isinstance(event, dict) and event.keys() >= _REQUIRED):
        raise UnknownEventError(f"this function takes requests for test runs, with {', '.join(sorted(_REQUIRED))}")
    try:
        return msgspec.convert(_without_null_limits(event), TrialRequest)
    except msgspec.ValidationError as error:
        return TrialResult(failure=TrialFailure.INVALID, detail=str(error))


def _without_null_limits(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A limit that is null has its default, as one that is missing."""
    limits = event["limits"]
    if not isinstance(limits, dict):
        return event
    return {**event, "limits": {name: limit for name, limit in limits.items() if limit is not None}}
