"""Guilds, and who has changed what in them."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin.call import CurrentCall
from guildhook.admin.endpoints import Access, Cursor, Endpoints, Id, IdFilter, IfMatch, PageLimit
from guildhook.admin.models import AuditPage, Guild, GuildChange, GuildList
from guildhook.admin.problems import ProblemError

mine = Endpoints("guilds", Access.SIGNED_IN, "/api/guilds")
endpoints = Endpoints("guilds", Access.MANAGERS, "/api/guilds/{guild_id}")


@mine.add("GET", "", "listGuilds", GuildList)
def list_guilds(call: CurrentCall) -> Response[Any]:
    """The guilds whose plugins you may manage."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "", "getGuild", Guild)
def get_guild(call: CurrentCall, guild_id: Id) -> Response[Any]:
    """A guild with its budget of this minute."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("PATCH", "", "changeGuild", Guild)
def change_guild(call: CurrentCall, guild_id: Id, if_match: IfMatch, body: GuildChange) -> Response[Any]:
    """Change what holds for all plugins of a guild."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/audit", "listAudit", AuditPage)
def list_audit(
    call: CurrentCall, guild_id: Id, plugin_id: IdFilter = None, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """Who has changed what, the newest first."""
    raise ProblemError("not-implemented", "still to come")
