"""Routes of test runs and replays, which have no effects."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.endpoints import Access, Endpoints, PathId
from guildhook.admin.models import ReplayRequest, Settings, TestMessage, TestRun, TestRunRequest
from guildhook.admin.problems import ProblemError
from guildhook.admin.rate_limiter import TEST_RUN_COST
from guildhook.admin.responses import respond
from guildhook.admin.routes.live_version import check_ready
from guildhook.admin.settings_checks import settings_for
from guildhook.store.admin import StoredPlugin, StoredVersion
from guildhook.trials import TrialFailure, TrialRequest, TrialResult
from guildhook.uuids import read_uuid

endpoints = Endpoints("runs", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}")


@dataclass(frozen=True, slots=True)
class _Trigger:
    """The message that a run handles, with the other inputs that it decides."""

    message_id: UUID
    channel_id: UUID
    payload: str
    time: datetime
    seed: int


@endpoints.add("POST", "/runs/{run_id}/replay", "replayRun", TestRun, conflicts=True, cost=TEST_RUN_COST)
def replay_run(
    request: CurrentRequest,
    guild_id: PathId,
    plugin_id: PathId,
    run_id: PathId,
    body: ReplayRequest,
) -> Response[Any]:
    """Run a version on the message of a recorded run, with its time and seed, without sending anything.

    The run begins with the plugin's current state.
    """
    plugin = request.plugin(plugin_id)
    version = request.version(plugin_id, body.version)
    run = request.run(plugin_id, run_id)
    if body.message is not None:
        payload = _payload(body.message, run.message_id, guild_id, run.message_time)
    elif run.message is not None:
        payload = run.message
    else:
        detail = "the guild did not keep the run's message; send one, or let the guild keep messages from now on"
        raise ProblemError("message-not-kept", detail)
    trigger = _Trigger(run.message_id, _channel_id(payload, guild_id), payload, run.message_time, run.seed)
    return _run_trial(request, plugin, version, trigger, body.settings)


@endpoints.add("POST", "/test-runs", "testRun", TestRun, conflicts=True, cost=TEST_RUN_COST)
def test_run(
    request: CurrentRequest,
    guild_id: PathId,
    plugin_id: PathId,
    body: TestRunRequest,
) -> Response[Any]:
    """Run a version on a message of your own in the real sandbox, without sending anything."""
    plugin = request.plugin(plugin_id)
    version = request.version(plugin_id, body.version)
    message_id, now = uuid4(), datetime.now(UTC)
    payload = _payload(body.message, message_id, guild_id, now)
    trigger = _Trigger(message_id, _channel_id(payload, guild_id), payload, now, secrets.randbits(63))
    return _run_trial(request, plugin, version, trigger, body.settings, body.permissions, keep_state=body.keep_state)


def _payload(message: TestMessage, message_id: UUID, guild_id: UUID, created_at: datetime) -> str:
    """The payload that the chat server would have sent. The guild's id stands in for a missing channel id."""
    sent = {
        "id": str(message_id),
        "guild_id": str(guild_id),
        "channel_id": str(message.channel_id or guild_id),
        "author": {
            "id": str(UUID(int=0)),
            "username": message.author_name,
            "display_name": message.author_name,
            "bot": False,
        },
        "content": message.content,
        "encrypted": False,
        "attachments": [],
        "reply_to": None,
        "parent_id": None,
        "created_at": created_at.isoformat(),
        "message_type": "user",
    }
    return json.dumps(sent, ensure_ascii=False, separators=(",", ":"))


def _channel_id(payload: str, guild_id: UUID) -> UUID:
    try:
        return read_uuid(json.loads(payload)["channel_id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return guild_id


def _run_trial(
    request: AdminRequest,
    plugin: StoredPlugin,
    version: StoredVersion,
    trigger: _Trigger,
    settings: Settings | None,
    permissions: list[Any] | None = None,
    *,
    keep_state: bool = True,
) -> Response[Any]:
    services, key = request.services, request.key(plugin.id)
    check_ready(version)
    chosen = settings_for(version, plugin, settings)
    stored = services.store.trial_inputs(key, version.id)
    if stored is None:
        raise ProblemError("not-found", f"the plugin has no version {version.number}")
    wasm_sha256 = bytes.fromhex(version.wasm_sha256)
    limits = services.limits_of(request.guild.id)
    trial = TrialRequest(
        artifacts=tuple(artifact.of(wasm_sha256) for artifact in stored.artifacts),
        plugin_id=plugin.id,
        guild_id=request.guild.id,
        settings={**chosen, **services.sealer.unseal(plugin.id, services.store.sealed_values(key))},
        permissions=frozenset(views.known_permissions(plugin.permissions) if permissions is None else permissions),
        state=stored.state if keep_state else {},
        message_id=trigger.message_id,
        channel_id=trigger.channel_id,
        message=trigger.payload,
        now=trigger.time,
        seed=trigger.seed,
        limits=limits,
    )
    trial_result = services.trials.run(trial) if stored.artifacts else TrialResult(failure=TrialFailure.NOT_COMPILED)
    if trial_result.result is None:
        raise _problem_of(request, version, trial_result, stored.refusals)
    return respond(views.test_run(version.number, trial_result.result, limits))


def _problem_of(
    request: AdminRequest, version: StoredVersion, trial_result: TrialResult, refusals: list[str]
) -> ProblemError:
    match trial_result.failure:
        case TrialFailure.UNAVAILABLE:
            operators_detail = f"a trial: {trial_result.detail}"
            return ProblemError(
                "unavailable", "the compiled plugin cannot be read; try again", operators_detail=operators_detail
            )
        case TrialFailure.NOT_COMPILED if version.failure and not refusals:
            detail = f"version {version.number} could not be compiled yet: {version.failure.reason}"
            return ProblemError("unavailable", detail)
        case TrialFailure.NOT_COMPILED if not refusals:
            request.services.compile_queue.ask_versions([version.id])
            return ProblemError("compiling", f"version {version.number} is being compiled; try again in a few seconds")
        case TrialFailure.NOT_COMPILED:
            return ProblemError("cannot-run", f"version {version.number} cannot be compiled: {refusals[-1]}")
        case _:
            return ProblemError("cannot-run", trial_result.detail)
