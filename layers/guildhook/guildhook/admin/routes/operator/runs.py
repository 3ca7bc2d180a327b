"""Routes of runs: lists and a tail without content, and content for a reason."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.cursors import TimeCursor
from guildhook.admin.endpoints import OPERATOR_PREFIX, Access, Cursor, Endpoints, PageLimit, PathId, QueryId, QueryTime
from guildhook.admin.models import FieldError
from guildhook.admin.operator_models import (
    ContentAccess,
    ReasonGiven,
    RunOverview,
    RunOverviewPage,
    RunWithContent,
    SendsGivenUpList,
    TailPage,
)
from guildhook.admin.problems import ProblemError, invalid
from guildhook.admin.responses import respond
from guildhook.admin.routes.operator.plugins import AT_ONCE, PastHours
from guildhook.model import Outcome
from guildhook.store.admin import PluginKey
from guildhook.store.operator import RunConditions

endpoints = Endpoints("operator", Access.OPERATORS, OPERATOR_PREFIX)

_OPENED: Final = "content.opened"
_OPEN_MINUTES: Final = 15
_LAST_ID: Final = UUID(int=2**128 - 1)


@endpoints.add("GET", "/runs", "listOperatedRuns", RunOverviewPage)
def list_operated_runs(
    request: CurrentRequest,
    plugin_id: QueryId = None,
    guild_id: QueryId = None,
    outcome: Annotated[Outcome | None, Query()] = None,
    since: QueryTime = None,
    until: QueryTime = None,
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Response[Any]:
    """List the recorded runs of a plugin or of a guild without content and logs, the newest first."""
    if plugin_id is None and guild_id is None:
        raise invalid([FieldError(pointer="plugin_id", message="is missing, and so is guild_id; give one of them")])
    after = cursors.decode(cursor, TimeCursor)
    conditions = RunConditions(plugin_id=plugin_id, guild_id=guild_id, outcome=outcome, since=since, until=until)
    runs = request.services.operator_store.runs(conditions, after.key if after else None, limit + 1)
    items, next_cursor = cursors.page(
        runs, limit, RunOverview.model_validate, lambda run: TimeCursor(run.created_at, run.id)
    )
    return respond(RunOverviewPage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "/guilds/{guild_id}/open-content", "openContent", ContentAccess, HTTPStatus.CREATED)
def open_content(request: CurrentRequest, guild_id: PathId, body: ReasonGiven) -> Response[Any]:
    """See messages and logs of a guild's plugins for a quarter of an hour. The guild's audit log has the reason."""
    request.services.operator_store.note(guild_id, None, request.change(_OPENED, reason=body.reason))
    until = datetime.now(UTC) + timedelta(minutes=_OPEN_MINUTES)
    return respond(ContentAccess(guild_id=guild_id, until=until), HTTPStatus.CREATED)


@endpoints.add("GET", "/plugins/{plugin_id}/runs/{run_id}", "getOperatedRun", RunWithContent)
def get_operated_run(request: CurrentRequest, plugin_id: PathId, run_id: PathId) -> Response[Any]:
    """Read a run with its message, its log and its sends. The content of its guild must be open."""
    plugin = request.services.operator_store.plugin(plugin_id)
    run = request.services.store.run(PluginKey(plugin.guild_id, plugin.id), run_id) if plugin else None
    if plugin is None or run is None:
        raise ProblemError("not-found", "there is no such run; runs are deleted after some time")
    _check_open(request, plugin.guild_id)
    return respond(RunWithContent(guild_id=plugin.guild_id, plugin_id=plugin.id, run=views.run(run)))


@endpoints.add("GET", "/tail", "tailRuns", TailPage)
def tail_runs(
    request: CurrentRequest,
    guild_id: QueryId = None,
    logs: Annotated[
        bool, Query(description="With the plugins' logs. They need guild_id, and the content of the guild open.")
    ] = False,
    since: QueryTime = None,
    cursor: Cursor = None,
    limit: PageLimit = 100,
) -> Response[Any]:
    """List the runs since the previous request, the oldest first.

    Without a cursor it begins at `since`, or now.
    A run appears some seconds after its batch was written; a run that is written later than that is in the list of
    runs alone. A cursor is good for an hour.
    """
    after = cursors.decode(cursor, TimeCursor)
    store = request.services.operator_store
    if logs:
        if guild_id is None:
            raise invalid([FieldError(pointer="guild_id", message="is missing; logs are shown of one guild")])
        _check_open(request, guild_id)
    position = after or TimeCursor(since or store.current_time(), _LAST_ID)
    runs = store.tail(guild_id, position.key, limit + 1, with_logs=logs)
    items, next_cursor = cursors.page(
        runs, limit, RunOverview.model_validate, lambda run: TimeCursor(run.created_at, run.id)
    )
    if runs and next_cursor is None:
        position = TimeCursor(runs[-1].created_at, runs[-1].id)
    return respond(TailPage(items=items, cursor=next_cursor or cursors.encode(position)))


@endpoints.add("GET", "/sends-given-up", "listSendsGivenUp", SendsGivenUpList)
def list_sends_given_up(request: CurrentRequest, hours: PastHours = 24) -> Response[Any]:
    """Count the messages that were given up lately, by guild, channel and reason."""
    sends = request.services.operator_store.expired_sends(hours, AT_ONCE)
    return respond(SendsGivenUpList.model_validate({"items": sends}))


def _check_open(request: AdminRequest, guild_id: UUID) -> None:
    """Raises ProblemError unless the operator has given a reason to see the guild's content."""
    store = request.services.operator_store
    if not store.has_opened_content(guild_id, str(request.actor.id), _OPENED, _OPEN_MINUTES):
        path = f"{OPERATOR_PREFIX}/guilds/{guild_id}/open-content"
        detail = f"content and logs are shown for a reason, for {_OPEN_MINUTES} minutes; POST {path} takes the reason"
        raise ProblemError("forbidden", detail)
