"""Plugins: what they are called, may do and are set to."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin.call import CurrentCall
from guildhook.admin.endpoints import Access, Cursor, Endpoints, Id, IdempotencyKey, IfMatch, NameOfSecret, PageLimit
from guildhook.admin.models import Plugin, PluginChange, PluginCreate, PluginPage, SecretChange
from guildhook.admin.problems import ProblemError

endpoints = Endpoints("plugins", Access.MANAGERS, "/api/guilds/{guild_id}/plugins")


@endpoints.add("GET", "", "listPlugins", PluginPage)
def list_plugins(call: CurrentCall, guild_id: Id, cursor: Cursor = None, limit: PageLimit = 50) -> Response[Any]:
    """The plugins of a guild, the oldest first."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "", "createPlugin", Plugin, HTTPStatus.CREATED, conflicts=True)
def create_plugin(
    call: CurrentCall, guild_id: Id, body: PluginCreate, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Make a plugin. It does nothing until a version of it is uploaded and goes live."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/{plugin_id}", "getPlugin", Plugin)
def get_plugin(call: CurrentCall, guild_id: Id, plugin_id: Id) -> Response[Any]:
    """A plugin."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("PATCH", "/{plugin_id}", "changePlugin", Plugin)
def change_plugin(
    call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch, body: PluginChange
) -> Response[Any]:
    """Change a plugin. What is not given stays; settings and permissions are replaced as a whole."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("DELETE", "/{plugin_id}", "deletePlugin", None, HTTPStatus.NO_CONTENT)
def delete_plugin(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch) -> Response[Any]:
    """Delete a plugin with its versions, runs, secrets and all that it remembers."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("DELETE", "/{plugin_id}/quarantine", "endQuarantine", Plugin)
def end_quarantine(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch) -> Response[Any]:
    """Let a quarantined plugin run again at once, with a clean record."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("PUT", "/{plugin_id}/secrets/{name}", "setSecret", Plugin, conflicts=True)
def set_secret(
    call: CurrentCall, guild_id: Id, plugin_id: Id, name: NameOfSecret, if_match: IfMatch, body: SecretChange
) -> Response[Any]:
    """Set a secret. Nobody can read it back; the plugin finds it among its settings."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("DELETE", "/{plugin_id}/secrets/{name}", "deleteSecret", Plugin)
def delete_secret(
    call: CurrentCall, guild_id: Id, plugin_id: Id, name: NameOfSecret, if_match: IfMatch
) -> Response[Any]:
    """Delete a secret."""
    raise ProblemError("not-implemented", "still to come")
