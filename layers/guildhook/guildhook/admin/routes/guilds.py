"""Routes of guilds and their audit logs."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.cursors import NumberCursor
from guildhook.admin.endpoints import Access, Cursor, Endpoints, IfMatch, PageLimit, PathId, QueryId
from guildhook.admin.etags import changed_meanwhile, check_condition, etag_of
from guildhook.admin.models import AuditEntry, AuditPage, Guild, GuildChange, GuildList
from guildhook.admin.responses import respond

actor_endpoints = Endpoints("guilds", Access.SIGNED_IN, "/api/guilds")
endpoints = Endpoints("guilds", Access.MANAGERS, "/api/guilds/{guild_id}")


@actor_endpoints.add("GET", "", "listGuilds", GuildList)
def list_guilds(request: CurrentRequest) -> Response[Any]:
    """List the guilds whose plugins you may manage."""
    guilds = request.services.access.guilds(request.actor)
    return respond(GuildList.model_validate({"items": guilds}))


@endpoints.add("GET", "", "getGuild", Guild)
def get_guild(request: CurrentRequest, guild_id: PathId) -> Response[Any]:
    """Read a guild with its budget of this minute."""
    return _guild(request)


@endpoints.add("PATCH", "", "changeGuild", Guild)
def change_guild(request: CurrentRequest, guild_id: PathId, if_match: IfMatch, body: GuildChange) -> Response[Any]:
    """Change the settings that all plugins of a guild share."""
    store = request.services.store
    stored = store.guild(guild_id)
    check_condition(if_match, stored.revision)
    change = request.change("guild.changed", keep_content={"from": stored.keep_content, "to": body.keep_content})
    if not store.change_guild(guild_id, stored.revision, body.keep_content, change):
        raise changed_meanwhile()
    return _guild(request)


@endpoints.add("GET", "/audit", "listAudit", AuditPage)
def list_audit(
    request: CurrentRequest, guild_id: PathId, plugin_id: QueryId = None, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the changes in a guild with their authors, the newest first."""
    after = cursors.decode(cursor, NumberCursor)
    entries = request.services.store.audit(guild_id, plugin_id, after.number if after else None, limit + 1)
    items, next_cursor = cursors.page(entries, limit, AuditEntry.model_validate, lambda entry: NumberCursor(entry.id))
    return respond(AuditPage(items=items, next_cursor=next_cursor))


def _guild(request: AdminRequest) -> Response[Any]:
    services, guild = request.services, request.guild
    stored = services.store.guild(guild.id)
    shown = views.guild(guild.id, guild.name, stored, services.guild_plugins, services.budget_of(guild.id))
    return respond(shown, etag=etag_of(stored.revision))
