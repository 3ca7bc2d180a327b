"""The bodies of requests and answers of operators' routes. Units are part of the names; times are in UTC."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from guildhook.admin.models import (
    UNPRINTABLE,
    AuditEntry,
    Budget,
    Quarantine,
    RequestBody,
    ResponseBody,
    Run,
    Sha256,
    Strictly,
    UtcTime,
    printable,
)
from guildhook.model import Outcome

GivenReason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": rf"^[^{UNPRINTABLE}]*[^{UNPRINTABLE}\s][^{UNPRINTABLE}]*$"}),
]
"""The reason for a change, on one line. The audit log has it, and so the guild's admins see it."""
_Limit = Annotated[int, Strictly, Field(ge=1, le=2**53)]


class OperatorEntry(AuditEntry):
    """A change by an operator."""

    guild_id: UUID | None
    """Null if the change concerns no guild alone."""


class OperatorAuditPage(ResponseBody):
    items: list[OperatorEntry]
    next_cursor: str | None


class ReasonGiven(RequestBody):
    reason: GivenReason


class GuildPause(ResponseBody):
    reason: str
    since: UtcTime


class RaisedLimits(ResponseBody):
    """Limits of a minute until a date. Null where the configured one holds."""

    until: UtcTime
    reason: str
    fuel_per_minute: int | None
    sends_per_minute: int | None
    log_bytes_per_minute: int | None


class GuildOverview(ResponseBody):
    id: UUID
    plugins: int
    enabled: int
    """The plugins that the guild's admins have enabled."""
    disabled_by_operator: int
    quarantined: int
    paused: GuildPause | None
    raised: RaisedLimits | None
    budget: Budget
    """With the raised limits."""


class GuildOverviewPage(ResponseBody):
    items: list[GuildOverview]
    next_cursor: str | None


class BudgetChange(RequestBody):
    """Limits of a minute that are higher than the configured ones. They replace those that were raised before."""

    until: AwareDatetime
    """At most 90 days from now."""
    reason: GivenReason
    fuel_per_minute: _Limit | None = None
    sends_per_minute: _Limit | None = None
    log_bytes_per_minute: _Limit | None = None


class PluginOverview(ResponseBody):
    id: UUID
    guild_id: UUID
    name: str
    enabled: bool
    disabled_by_operator: str | None
    """The operator's reason. Null if the plugin may run."""
    live: int | None
    """The number of the live version."""
    wasm_sha256: str
    updated_at: UtcTime
    quarantine: Quarantine | None
    failures_in_a_row: int
    last_failed_at: UtcTime | None
    last_error: str | None


class PluginOverviewPage(ResponseBody):
    items: list[PluginOverview]
    next_cursor: str | None


class QuarantineGiven(RequestBody):
    reason: GivenReason
    minutes: Annotated[int, Strictly, Field(ge=1, le=43_200)]
    """The time after which one run is tried."""


class LiftMany(RequestBody):
    reason: GivenReason
    hours: Annotated[int, Strictly, Field(ge=1, le=720)]
    """The quarantines that began within these hours."""


class Lifted(ResponseBody):
    items: list[UUID]
    """The plugins, at most a hundred. Another request lifts further quarantines; an empty list ends them."""


class CauseOfQuarantines(ResponseBody):
    outcome: str
    """The outcome of the last failure; empty if an operator has quarantined the plugins."""
    wasm_sha256: str
    plugins: int
    first_at: UtcTime


class CauseList(ResponseBody):
    items: list[CauseOfQuarantines]
    """The most frequent first, at most a hundred."""


class RunOverview(ResponseBody):
    """A run without its message and what it sent."""

    id: UUID
    guild_id: UUID
    plugin_id: UUID
    plugin_name: str
    message_id: UUID
    outcome: Outcome
    detail: str
    fuel_used: int
    duration_us: int
    cpu_us: int | None
    """Null for a run before the release that measures it."""
    log_lines: int
    created_at: UtcTime
    logs: list[str] | None
    """Null unless they were asked for."""


class RunOverviewPage(ResponseBody):
    items: list[RunOverview]
    next_cursor: str | None


class TailPage(ResponseBody):
    items: list[RunOverview]
    """Runs in the order of their times."""
    cursor: str
    """The position for the next request, also if there are no runs yet."""


class ContentAccess(ResponseBody):
    guild_id: UUID
    until: UtcTime
    """The operator may see messages, sends and logs of the guild's plugins until then."""


class RunWithContent(ResponseBody):
    guild_id: UUID
    plugin_id: UUID
    run: Run


class SendsGivenUp(ResponseBody):
    guild_id: UUID
    channel_id: UUID
    detail: str
    """The reason of the last delay, after the word EXPIRED."""
    sends: int
    first_at: UtcTime


class SendsGivenUpList(ResponseBody):
    items: list[SendsGivenUp]
    """The most first, at most a hundred."""


class CompileFailureOfWasm(ResponseBody):
    wasm_sha256: str
    tries: int
    reason: str
    tried_at: UtcTime
    next_try_at: UtcTime | None
    """Null after the last try."""
    live_in: int
    """The number of plugins in which it is live."""


class CompileFailurePage(ResponseBody):
    items: list[CompileFailureOfWasm]
    next_cursor: str | None


class CompilesRetry(RequestBody):
    reason: GivenReason
    wasm_sha256: Sha256 | None = None
    """One wasm. Without it, all failed compiles are tried again, a hundred with each request."""
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None
    """The `next_cursor` of the previous answer."""


class CompilesRetried(ResponseBody):
    items: list[str]
    """The SHA-256 of each wasm whose compile is requested."""
    next_cursor: str | None


class OutsideChange(RequestBody):
    """A change that was made with the operator's own rights in AWS, for the audit log."""

    action: Annotated[str, StringConstraints(pattern=r"^(processing\.(paused|resumed)|dead_letters\.requeued)$")]
    reason: GivenReason
    events: Annotated[int, Strictly, Field(ge=0, le=2**53)] | None = None
    """The number of events that were moved."""
