"""The models of the admin API, made from stored records.

A field that a record and a model share is copied by its name. Only the fields that are computed are named here.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel

from guildhook.admin.etags import etag_of
from guildhook.admin.models import (
    Budget,
    CompileFailure,
    Guild,
    Intent,
    Plugin,
    Run,
    RunSummary,
    SettingDifference,
    SettingsVersion,
    SettingsVersionSummary,
    TestRun,
    Version,
)
from guildhook.events.budgets import GuildBudget
from guildhook.model import FUEL_PER_CPU_MICROSECOND, DeliveryState, Outcome, Permission, RunResult
from guildhook.sandbox import Limits
from guildhook.store.admin import (
    StoredBudget,
    StoredDifference,
    StoredFullRun,
    StoredGuild,
    StoredIntent,
    StoredPlugin,
    StoredRun,
    StoredSettingsVersion,
    StoredVersion,
)

_CODE: Final = re.compile(r"(EXPIRED)\b.*|([A-Z][A-Z0-9_]{1,63}|HTTP \d{3})", re.DOTALL)
"""A reason that the chat server, or guildhook itself, gives for the refusal of a message."""

Model = TypeVar("Model", bound=BaseModel)


def from_record(model: type[Model], record: object, **computed: Any) -> Model:
    """The model with the computed fields, and with the record's attributes as its other fields."""
    attributes = {name: getattr(record, name) for name in model.model_fields if name not in computed}
    return model.model_validate({**attributes, **computed})


def known_permissions(stored: Any) -> list[Permission]:
    """The permissions that guildhook knows among those of a column, which may hold any JSON."""
    return [permission for permission in Permission if isinstance(stored, list) and permission in stored]


def newly_needed(version: StoredVersion, granted: Any) -> list[Permission]:
    return [needed for needed in known_permissions(version.needs) if needed not in known_permissions(granted)]


def version(record: StoredVersion) -> Version:
    return from_record(
        Version,
        record,
        reasons=_texts(record.reasons),
        warnings=_texts(record.warnings),
        imports=_texts(record.imports),
        unavailable=_texts(record.unavailable),
        needs=known_permissions(record.needs),
        newly_needed=newly_needed(record, record.granted),
        failure=from_record(CompileFailure, record.failure) if record.failure else None,
    )


def plugin(record: StoredPlugin) -> Plugin:
    return from_record(
        Plugin,
        record,
        permissions=known_permissions(record.permissions),
        live=version(record.live) if record.live else None,
        latest=version(record.latest) if record.latest else None,
        etag=etag_of(record.revision),
    )


def settings_version_summary(record: StoredSettingsVersion) -> SettingsVersionSummary:
    return from_record(SettingsVersionSummary, record)


def settings_version(record: StoredSettingsVersion, differences: Iterable[StoredDifference]) -> SettingsVersion:
    return from_record(
        SettingsVersion,
        record,
        differences=[from_record(SettingDifference, difference) for difference in differences],
    )


def guild(guild_id: UUID, name: str, record: StoredGuild, plugins_limit: int, budget: GuildBudget) -> Guild:
    return from_record(
        Guild,
        record,
        id=guild_id,
        name=name,
        plugins_limit=plugins_limit,
        grantable=list(Permission),
        budget=budget_view(record.budget, budget.raised_by(record.raised)),
        etag=etag_of(record.revision),
    )


def budget_view(used: StoredBudget | None, limits: GuildBudget) -> Budget:
    return from_record(
        Budget,
        used or StoredBudget(),
        fuel_limit=limits.guild_fuel_per_minute,
        fuel_per_cpu_ms=1_000 * FUEL_PER_CPU_MICROSECOND,
        sends_limit=limits.guild_sends_per_minute,
        log_bytes_limit=limits.guild_log_bytes_per_minute,
    )


def run_summary(record: StoredRun) -> RunSummary:
    return from_record(RunSummary, record, detail=_run_detail(record.outcome, record.detail))


def run(record: StoredFullRun) -> Run:
    return from_record(
        Run,
        record,
        detail=_run_detail(record.outcome, record.detail),
        sends=[intent(sent) for sent in record.sends],
        message=_json_object(record.message),
        seed=str(record.seed),
    )


def intent(record: StoredIntent) -> Intent:
    delivered = record.state == DeliveryState.DELIVERED
    return from_record(
        Intent,
        record,
        message_id=record.detail if delivered else None,
        detail=_reason_of_no_delivery(record.state, record.detail),
    )


def test_run(number: int, result: RunResult, limits: Limits) -> TestRun:
    return from_record(
        TestRun,
        result,
        version=number,
        detail=_run_detail(result.outcome, result.detail),
        fuel_limit=limits.fuel,
        sends=[from_record(Intent, asked, state=None, message_id=None, detail=None) for asked in result.intents],
    )


def _run_detail(outcome: str, detail: str) -> str:
    return "guildhook failed, not the plugin" if outcome == Outcome.INTERNAL else detail


def _reason_of_no_delivery(state: str | None, detail: str) -> str | None:
    """The reason without the words of proxies and libraries, which are for operators."""
    if state == DeliveryState.PENDING:
        return "the chat server has not taken it yet"
    if state == DeliveryState.REFUSED:
        code = _CODE.fullmatch(detail)
        return (code[1] or code[2]) if code else "the chat server has refused it"
    return None


def _texts(stored: Iterable[Any]) -> list[str]:
    return [text if isinstance(text, str) else json.dumps(text) for text in stored]


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
