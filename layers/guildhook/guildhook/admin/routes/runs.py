"""Routes of recorded runs, usage and explanations."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import CurrentRequest, no_plugin
from guildhook.admin.cursors import TimeCursor
from guildhook.admin.endpoints import Access, Cursor, Endpoints, PageLimit, PathId, QueryId, QueryTime
from guildhook.admin.explanations import explain
from guildhook.admin.models import Explanation, Run, RunPage, Usage, VersionNumber
from guildhook.admin.responses import respond
from guildhook.model import Outcome
from guildhook.store.admin import RunFilter

endpoints = Endpoints("runs", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}")

Hours = Annotated[int, Query(ge=1, le=2_160, description="The number of hours of the clock, this one included.")]


@endpoints.add("GET", "/runs", "listRuns", RunPage)
def list_runs(
    request: CurrentRequest,
    guild_id: PathId,
    plugin_id: PathId,
    outcome: Annotated[Outcome | None, Query()] = None,
    version: Annotated[VersionNumber | None, Query()] = None,
    message_id: QueryId = None,
    since: QueryTime = None,
    until: QueryTime = None,
    shadow: Annotated[bool, Query(description="True for runs of shadow versions instead of live ones.")] = False,
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Response[Any]:
    """List recorded runs, the newest first.

    A run that ended ok without a log line, a message or a new state is only counted.
    """
    after = cursors.decode(cursor, TimeCursor)
    conditions = RunFilter(
        outcome=outcome, version=version, message_id=message_id, since=since, until=until, shadow=shadow
    )
    found = request.services.store.runs(request.key(plugin_id), conditions, after.key if after else None, limit + 1)
    runs = request.of_plugin(plugin_id, found)
    items, next_cursor = cursors.page(runs, limit, views.run_summary, lambda run: TimeCursor(run.created_at, run.id))
    return respond(RunPage(items=items, next_cursor=next_cursor))


@endpoints.add("GET", "/runs/{run_id}", "getRun", Run)
def get_run(request: CurrentRequest, guild_id: PathId, plugin_id: PathId, run_id: PathId) -> Response[Any]:
    """Read a run with its log, its host calls and its messages."""
    return respond(views.run(request.run(plugin_id, run_id)))


@endpoints.add("GET", "/usage", "getUsage", Usage)
def get_usage(request: CurrentRequest, guild_id: PathId, plugin_id: PathId, hours: Hours = 48) -> Response[Any]:
    """Count the runs of a plugin by hour and outcome, with their fuel and time."""
    hours_with_runs = request.of_plugin(plugin_id, request.services.store.usage(request.key(plugin_id), hours))
    return respond(Usage.model_validate({"items": hours_with_runs}))


@endpoints.add("GET", "/explanations/{message_id}", "explainMessage", Explanation)
def explain_message(request: CurrentRequest, guild_id: PathId, plugin_id: PathId, message_id: PathId) -> Response[Any]:
    """Explain why the plugin answered a message or did not."""
    store, key = request.services.store, request.key(plugin_id)
    plugin = request.plugin(plugin_id)
    recorded = store.run_on(key, message_id)
    run = views.run(recorded) if recorded else None
    traces = store.message_traces(key, message_id)
    if traces is None:
        raise no_plugin()
    reasons = explain(plugin, run, traces, store.guild(guild_id).budget)
    return respond(Explanation(message_id=message_id, run=run, reasons=reasons))
