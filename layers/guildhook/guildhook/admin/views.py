"""What is stored, as it is shown."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from guildhook.admin.call import etag_of
from guildhook.admin.models import (
    AuditEntry,
    Budget,
    Guild,
    HostCall,
    Intent,
    Plugin,
    Quarantine,
    Run,
    RunSummary,
    SecretInfo,
    TestRun,
    UsageHour,
    Version,
    VersionState,
)
from guildhook.events.budgets import GuildBudget
from guildhook.model import DeliveryState, Outcome, Permission, RunResult
from guildhook.sandbox import Limits
from guildhook.store.admin_records import (
    StoredAuditEntry,
    StoredBudget,
    StoredFullRun,
    StoredGuild,
    StoredIntent,
    StoredPlugin,
    StoredRun,
    StoredUsage,
    StoredVersion,
)

_CODE: Final = re.compile(r"(EXPIRED)\b.*|([A-Z][A-Z0-9_]{1,63}|HTTP \d{3})", re.DOTALL)
"""What a chat server refuses a message with, or guildhook itself."""


def permissions(stored: Any) -> list[Permission]:
    """Those that guildhook knows, of whatever the column has."""
    return [permission for permission in Permission if isinstance(stored, list) and permission in stored]


def newly_needed(version: StoredVersion, granted: Any) -> list[Permission]:
    return [needed for needed in permissions(version.needs) if needed not in permissions(granted)]


def version(stored: StoredVersion) -> Version:
    return Version(
        id=stored.id,
        number=stored.number,
        state=VersionState(stored.state),
        reasons=_texts(stored.reasons),
        wasm_sha256=stored.wasm_sha256,
        wasm_bytes=stored.wasm_bytes,
        imports=_texts(stored.imports),
        unavailable=_texts(stored.unavailable),
        needs=permissions(stored.needs),
        newly_needed=newly_needed(stored, stored.granted),
        settings_schema=stored.settings_schema,
        live=stored.live,
        shadow=stored.shadow,
        created_by=stored.created_by,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


def plugin(stored: StoredPlugin) -> Plugin:
    quarantine = stored.quarantine
    return Plugin(
        id=stored.id,
        guild_id=stored.guild_id,
        name=stored.name,
        description=stored.description,
        enabled=stored.enabled,
        settings=stored.settings,
        secrets=[SecretInfo(name=secret.name, updated_at=secret.updated_at) for secret in stored.secrets],
        permissions=permissions(stored.permissions),
        bot_messages=stored.bot_messages,
        live=version(stored.live) if stored.live else None,
        previous=stored.previous,
        shadow=stored.shadow,
        latest=version(stored.latest) if stored.latest else None,
        quarantine=Quarantine(
            since=quarantine.since,
            reason=quarantine.reason,
            last_error=quarantine.last_error,
            retry_at=quarantine.retry_at,
            pauses=quarantine.pauses,
        )
        if quarantine
        else None,
        last_failed_at=stored.last_failed_at,
        last_error=stored.last_error,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        etag=etag_of(stored.revision),
    )


def guild(guild_id: UUID, name: str, stored: StoredGuild, plugins_limit: int, budget: GuildBudget) -> Guild:
    used = stored.budget or StoredBudget()
    return Guild(
        id=guild_id,
        name=name,
        keep_content=stored.keep_content,
        plugins=stored.plugins,
        plugins_limit=plugins_limit,
        grantable=list(Permission),
        budget=Budget(
            fuel=used.fuel,
            fuel_limit=budget.guild_fuel_per_minute,
            sends=used.sends,
            sends_limit=budget.guild_sends_per_minute,
            log_bytes=used.log_bytes,
            log_bytes_limit=budget.guild_log_bytes_per_minute,
            delayed=used.delayed,
            over_at=used.over_at,
            over_reason=used.over_reason,
        ),
        etag=etag_of(stored.revision),
    )


def run_summary(stored: StoredRun) -> RunSummary:
    return RunSummary(**_summary(stored))


def run(stored: StoredFullRun) -> Run:
    return Run(
        **_summary(stored),
        calls=[HostCall(function=function, denied=denied) for function, denied in stored.calls],
        logs=stored.logs,
        sends=[intent(sent) for sent in stored.sends],
        message=_object(stored.message),
        seed=str(stored.seed),
        message_time=stored.message_time,
    )


def _summary(stored: StoredRun) -> dict[str, Any]:
    outcome = Outcome(stored.outcome)
    return {
        "id": stored.id,
        "message_id": stored.message_id,
        "version": stored.version,
        "shadow": stored.shadow,
        "outcome": outcome,
        "detail": _detail(outcome, stored.detail),
        "fuel_used": stored.fuel_used,
        "fuel_limit": stored.fuel_limit,
        "duration_us": stored.duration_us,
        "host_calls": stored.host_calls,
        "denied_calls": stored.denied_calls,
        "intents": stored.intents,
        "log_lines": stored.log_lines,
        "created_at": stored.created_at,
    }


def intent(stored: StoredIntent) -> Intent:
    state = DeliveryState(stored.state) if stored.state else None
    return Intent(
        kind="send_message",
        channel_id=UUID(stored.channel_id),
        content=stored.content,
        state=state,
        message_id=stored.detail if state is DeliveryState.DELIVERED else None,
        detail=_undelivered(state, stored.detail),
    )


def _undelivered(state: DeliveryState | None, detail: str) -> str | None:
    """Not in the words of what is in between: they are for operators."""
    if state is DeliveryState.PENDING:
        return "the chat server has not taken it yet"
    if state is DeliveryState.REFUSED:
        found = _CODE.fullmatch(detail)
        return (found[1] or found[2]) if found else "the chat server has refused it"
    return None


def test_run(number: int, result: RunResult, limits: Limits) -> TestRun:
    return TestRun(
        version=number,
        outcome=result.outcome,
        detail=_detail(result.outcome, result.detail),
        fuel_used=result.fuel_used,
        fuel_limit=limits.fuel,
        duration_us=result.duration_us,
        host_calls=result.host_calls,
        calls=[HostCall(function=made.function, denied=made.denied) for made in result.calls],
        logs=list(result.logs),
        sends=[
            Intent(
                kind="send_message",
                channel_id=UUID(asked.channel_id),
                content=asked.content,
                state=None,
                message_id=None,
                detail=None,
            )
            for asked in result.intents
        ],
        state=None if result.state is None else dict(result.state),
    )


def usage_hour(stored: StoredUsage) -> UsageHour:
    return UsageHour(
        hour=stored.hour,
        outcome=stored.outcome,
        runs=stored.runs,
        fuel_used=stored.fuel_used,
        duration_us=stored.duration_us,
    )


def audit_entry(stored: StoredAuditEntry) -> AuditEntry:
    return AuditEntry(
        id=stored.id,
        at=stored.at,
        plugin_id=stored.plugin_id,
        actor_id=stored.actor_id,
        actor_name=stored.actor_name,
        action=stored.action,
        detail=stored.detail,
    )


def _detail(outcome: Outcome, detail: str) -> str:
    return "guildhook failed, and not the plugin" if outcome is Outcome.INTERNAL else detail


def _texts(stored: Iterable[Any]) -> list[str]:
    return [text if isinstance(text, str) else json.dumps(text) for text in stored]


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
