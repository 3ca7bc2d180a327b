"""Routes of plugins: disabling and quarantine."""

from typing import Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin import cursors
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.cursors import IdCursor, TimeCursor
from guildhook.admin.endpoints import OPERATOR_PREFIX, Access, Cursor, Endpoints, PageLimit, PathId, QueryId
from guildhook.admin.operator_models import (
    CauseList,
    Lifted,
    LiftMany,
    PluginOverview,
    PluginOverviewPage,
    QuarantineGiven,
    ReasonGiven,
)
from guildhook.admin.problems import ProblemError
from guildhook.admin.responses import respond
from guildhook.store.operator import OperatedPlugin

endpoints = Endpoints("operator", Access.OPERATORS, OPERATOR_PREFIX)

AT_ONCE: Final = 100
"""The most that one request changes or counts."""
PastHours = Annotated[int, Query(ge=1, le=720, description="The number of hours until now.")]


@endpoints.add("GET", "/plugins", "listOperatedPlugins", PluginOverviewPage)
def list_operated_plugins(
    request: CurrentRequest, guild_id: QueryId = None, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the plugins of a guild, or of all guilds."""
    after = cursors.decode(cursor, IdCursor)
    plugins = request.services.operator_store.plugins(guild_id, after.id if after else None, limit + 1)
    items, next_cursor = cursors.page(plugins, limit, PluginOverview.model_validate, lambda plugin: IdCursor(plugin.id))
    return respond(PluginOverviewPage(items=items, next_cursor=next_cursor))


@endpoints.add("GET", "/plugins/{plugin_id}", "getOperatedPlugin", PluginOverview)
def get_operated_plugin(request: CurrentRequest, plugin_id: PathId) -> Response[Any]:
    """Read a plugin without its settings."""
    return _show(request, plugin_id)


@endpoints.add("POST", "/plugins/{plugin_id}/disable", "disablePlugin", PluginOverview)
def disable_plugin(request: CurrentRequest, plugin_id: PathId, body: ReasonGiven) -> Response[Any]:
    """Let no version of the plugin run, from the next batch on. It never gets the messages of that time.

    The guild's admins see the reason, and cannot end it.
    """
    change = request.change("plugin.disabled", reason=body.reason)
    request.services.operator_store.disable_plugin(plugin_id, body.reason, change)
    return _show(request, plugin_id)


@endpoints.add("POST", "/plugins/{plugin_id}/enable", "enablePlugin", PluginOverview)
def enable_plugin(request: CurrentRequest, plugin_id: PathId, body: ReasonGiven) -> Response[Any]:
    """Let the plugin run again if the guild's admins have enabled it."""
    request.services.operator_store.enable_plugin(plugin_id, request.change("plugin.enabled", reason=body.reason))
    return _show(request, plugin_id)


@endpoints.add("POST", "/plugins/{plugin_id}/quarantine", "quarantinePlugin", PluginOverview, conflicts=True)
def quarantine_plugin(request: CurrentRequest, plugin_id: PathId, body: QuarantineGiven) -> Response[Any]:
    """Quarantine the live version for some minutes. One run is tried after that; a good one ends the quarantine.

    The guild's admins can end the quarantine.
    """
    plugin = _plugin(request, plugin_id)
    change = request.change("plugin.quarantined", reason=body.reason, minutes=body.minutes)
    store = request.services.operator_store
    if not store.quarantine_plugin(plugin.id, f"by the operator: {body.reason}", body.minutes, change):
        raise ProblemError("not-ready", "no version of the plugin is live, so nothing can be quarantined")
    return _show(request, plugin_id)


@endpoints.add("POST", "/plugins/{plugin_id}/lift", "liftQuarantine", PluginOverview)
def lift_quarantine(request: CurrentRequest, plugin_id: PathId, body: ReasonGiven) -> Response[Any]:
    """End the quarantine of a plugin and clear its failures."""
    request.services.operator_store.lift_quarantine(plugin_id, request.change("quarantine.ended", reason=body.reason))
    return _show(request, plugin_id)


@endpoints.add("POST", "/quarantines/lift", "liftQuarantines", Lifted)
def lift_quarantines(request: CurrentRequest, body: LiftMany) -> Response[Any]:
    """End the quarantines that began lately, at most a hundred with each request."""
    change = request.change("quarantine.ended", reason=body.reason)
    return respond(Lifted(items=request.services.operator_store.lift_quarantines(body.hours, AT_ONCE, change)))


@endpoints.add("GET", "/quarantines/causes", "listCauses", CauseList)
def list_causes(request: CurrentRequest, hours: PastHours = 2) -> Response[Any]:
    """Count the quarantines that began lately, by the outcome of the last failure and by the wasm."""
    causes = request.services.operator_store.causes_of_quarantine(hours, AT_ONCE)
    return respond(CauseList.model_validate({"items": causes}))


@endpoints.add("GET", "/failures", "listFailures", PluginOverviewPage)
def list_failures(
    request: CurrentRequest,
    hours: PastHours = 24,
    quarantined: Annotated[bool, Query(description="Only plugins that are quarantined.")] = False,
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Response[Any]:
    """List the plugins whose live version has failed lately, the latest failure first."""
    after = cursors.decode(cursor, TimeCursor)
    plugins = request.services.operator_store.failing_plugins(
        hours, after.key if after else None, limit + 1, quarantined=quarantined
    )
    items, next_cursor = cursors.page(plugins, limit, PluginOverview.model_validate, _failure_cursor)
    return respond(PluginOverviewPage(items=items, next_cursor=next_cursor))


def _failure_cursor(plugin: OperatedPlugin) -> TimeCursor:
    if plugin.last_failed_at is None:
        raise ValueError(f"plugin {plugin.id} is in the list of failures and has never failed")
    return TimeCursor(plugin.last_failed_at, plugin.id)


def _plugin(request: AdminRequest, plugin_id: UUID) -> OperatedPlugin:
    plugin = request.services.operator_store.plugin(plugin_id)
    if plugin is None:
        raise ProblemError("not-found", "there is no such plugin")
    return plugin


def _show(request: AdminRequest, plugin_id: UUID) -> Response[Any]:
    return respond(PluginOverview.model_validate(_plugin(request, plugin_id)))
