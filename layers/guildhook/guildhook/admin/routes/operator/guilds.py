"""Routes of guilds: their counts, their budgets, and pauses."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin import cursors
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.cursors import IdCursor
from guildhook.admin.endpoints import OPERATOR_PREFIX, Access, Cursor, Endpoints, PageLimit, PathId
from guildhook.admin.models import FieldError
from guildhook.admin.operator_models import BudgetChange, GuildOverview, GuildOverviewPage, ReasonGiven
from guildhook.admin.problems import invalid
from guildhook.admin.responses import respond
from guildhook.admin.views import budget_view, from_record
from guildhook.model import RaisedBudget
from guildhook.store.operator import BudgetRaise, OperatedGuild

endpoints = Endpoints("operator", Access.OPERATORS, OPERATOR_PREFIX)

_LONGEST_RAISE: Final = timedelta(days=90)


@endpoints.add("GET", "/guilds", "listOperatedGuilds", GuildOverviewPage)
def list_operated_guilds(
    request: CurrentRequest,
    over_hours: Annotated[
        int | None, Query(ge=1, le=720, description="Only guilds that were over their budget within these hours.")
    ] = None,
    paused: Annotated[bool, Query(description="Only guilds that are paused.")] = False,
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Response[Any]:
    """List the guilds that have plugins, with their counts."""
    after = cursors.decode(cursor, IdCursor)
    store = request.services.operator_store
    guilds = store.guilds(after.id if after else None, limit + 1, over_hours=over_hours, paused=paused)
    items, next_cursor = cursors.page(
        guilds, limit, lambda guild: _overview(request, guild), lambda guild: IdCursor(guild.id)
    )
    return respond(GuildOverviewPage(items=items, next_cursor=next_cursor))


@endpoints.add("GET", "/guilds/{guild_id}", "getOperatedGuild", GuildOverview)
def get_operated_guild(request: CurrentRequest, guild_id: PathId) -> Response[Any]:
    """Read a guild's counts, its budget and its use of it in this minute."""
    return _show(request, guild_id)


@endpoints.add("POST", "/guilds/{guild_id}/raise-budget", "raiseBudget", GuildOverview)
def raise_budget(request: CurrentRequest, guild_id: PathId, body: BudgetChange) -> Response[Any]:
    """Raise limits of a guild's budget until a date. The next batch has them."""
    _check_raise(request, guild_id, body)
    limits = BudgetRaise(**body.model_dump())
    detail = body.model_dump(mode="json", exclude_none=True)
    request.services.operator_store.raise_budget(guild_id, limits, request.change("budget.raised", **detail))
    return _show(request, guild_id)


@endpoints.add("POST", "/guilds/{guild_id}/reset-budget", "resetBudget", GuildOverview)
def reset_budget(request: CurrentRequest, guild_id: PathId, body: ReasonGiven) -> Response[Any]:
    """Let the configured limits hold again."""
    request.services.operator_store.reset_budget(guild_id, request.change("budget.reset", reason=body.reason))
    return _show(request, guild_id)


@endpoints.add("POST", "/guilds/{guild_id}/pause", "pauseGuild", GuildOverview)
def pause_guild(request: CurrentRequest, guild_id: PathId, body: ReasonGiven) -> Response[Any]:
    """Let the messages of a guild wait in the queue, from the next batch on.

    A message that waits is received again and again, with growing pauses, and becomes a dead letter after about six
    to thirteen hours with the queue's default settings.
    """
    change = request.change("guild.paused", reason=body.reason)
    request.services.operator_store.pause_guild(guild_id, body.reason, change)
    return _show(request, guild_id)


@endpoints.add("POST", "/guilds/{guild_id}/resume", "resumeGuild", GuildOverview)
def resume_guild(request: CurrentRequest, guild_id: PathId, body: ReasonGiven) -> Response[Any]:
    """End the pause of a guild. Messages that wait come back within two hours."""
    request.services.operator_store.resume_guild(guild_id, request.change("guild.resumed", reason=body.reason))
    return _show(request, guild_id)


def _check_raise(request: AdminRequest, guild_id: UUID, body: BudgetChange) -> None:
    """Raises ProblemError unless a limit is raised, for a time to come."""
    configured = request.services.budget_of(guild_id)
    limits = {
        "fuel_per_minute": (body.fuel_per_minute, configured.guild_fuel_per_minute),
        "sends_per_minute": (body.sends_per_minute, configured.guild_sends_per_minute),
        "log_bytes_per_minute": (body.log_bytes_per_minute, configured.guild_log_bytes_per_minute),
    }
    errors = [
        FieldError(pointer=f"/{name}", message=f"is {given}, and {limit} is configured; give more, or leave it out")
        for name, (given, limit) in limits.items()
        if given is not None and given <= limit
    ]
    if all(given is None for given, _ in limits.values()):
        errors.append(FieldError(pointer="", message=f"raises no limit; give one of {', '.join(limits)}"))
    now = datetime.now(UTC)
    if not now < body.until <= now + _LONGEST_RAISE:
        message = f"is not within the next {_LONGEST_RAISE.days} days; choose a time that is"
        errors.append(FieldError(pointer="/until", message=message))
    if errors:
        raise invalid(errors)


def _show(request: AdminRequest, guild_id: UUID) -> Response[Any]:
    return respond(_overview(request, request.services.operator_store.guild(guild_id)))


def _overview(request: AdminRequest, guild: OperatedGuild) -> GuildOverview:
    limits = request.services.budget_of(guild.id)
    if guild.raised is not None:
        raised = guild.raised
        limits = limits.raised_by(
            RaisedBudget(
                fuel=raised.fuel_per_minute, sends=raised.sends_per_minute, log_bytes=raised.log_bytes_per_minute
            )
        )
    return from_record(GuildOverview, guild, budget=budget_view(guild.budget, limits))
