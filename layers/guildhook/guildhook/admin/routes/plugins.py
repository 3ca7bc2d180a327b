"""Routes of plugins, their settings and their secrets."""

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest, no_plugin
from guildhook.admin.cursors import TimeCursor
from guildhook.admin.endpoints import (
    Access,
    Cursor,
    Endpoints,
    IdempotencyKey,
    IfMatch,
    PageLimit,
    PathId,
    PathSecretName,
)
from guildhook.admin.etags import changed_meanwhile, etag_of
from guildhook.admin.idempotency import key_used, new_id
from guildhook.admin.models import (
    Plugin,
    PluginChange,
    PluginCreate,
    PluginPage,
    SecretChange,
)
from guildhook.admin.problems import ProblemError
from guildhook.admin.responses import respond
from guildhook.admin.settings_checks import changed_names, check_given
from guildhook.store.admin import StoredPlugin

endpoints = Endpoints("plugins", Access.MANAGERS, "/api/guilds/{guild_id}/plugins")

_MOST_SECRETS: Final = 64
"""The secrets of a plugin."""
_MOST_SECRET_BYTES: Final = 32 * 1024
"""The size of all secrets of a plugin, sealed. They are read for every message of the plugin's guild."""
_CREATED: Final = "plugin.created"


@endpoints.add("GET", "", "listPlugins", PluginPage)
def list_plugins(
    request: CurrentRequest, guild_id: PathId, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the plugins of a guild, the oldest first."""
    after = cursors.decode(cursor, TimeCursor)
    plugins = request.services.store.plugins(guild_id, after.key if after else None, limit + 1)
    items, next_cursor = cursors.page(
        plugins, limit, views.plugin, lambda plugin: TimeCursor(plugin.created_at, plugin.id)
    )
    return respond(PluginPage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "", "createPlugin", Plugin, HTTPStatus.CREATED, conflicts=True)
def create_plugin(
    request: CurrentRequest, guild_id: PathId, body: PluginCreate, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Create a plugin. It does nothing until a version of it is uploaded and goes live."""
    store, limit = request.services.store, request.services.guild_plugins
    key = request.key(new_id(request.actor, guild_id, idempotency_key))
    asked = {"name": body.name, "description": body.description}
    if not store.create_plugin(key, body.name, body.description, limit, request.change(_CREATED, **asked)):
        before = store.creation(key, _CREATED)
        if before is None:
            raise ProblemError("limit-reached", f"the guild has {limit} plugins, which is the limit; delete one first")
        if before != asked:
            raise key_used("a plugin of another name or description")
        if not store.has_plugin(key):
            raise key_used("a plugin that was deleted")
    return show(request, key.plugin_id, HTTPStatus.CREATED)


@endpoints.add("GET", "/{plugin_id}", "getPlugin", Plugin)
def get_plugin(request: CurrentRequest, guild_id: PathId, plugin_id: PathId) -> Response[Any]:
    """Read a plugin."""
    return show(request, plugin_id)


@endpoints.add("PATCH", "/{plugin_id}", "changePlugin", Plugin, conflicts=True)
def change_plugin(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch, body: PluginChange
) -> Response[Any]:
    """Change a plugin. Fields that are missing or null stay; settings and permissions are replaced as a whole.

    Settings must match the schema of the live version.
    """
    plugin = request.plugin(plugin_id, if_match)
    changes = {name: value for name, value in body.model_dump(mode="json").items() if value is not None}
    if body.settings is not None:
        check_given(plugin, plugin.live.settings_schema if plugin.live else None, body.settings)
    if body.permissions is not None:
        changes["permissions"] = sorted(set(body.permissions))
    detail = {name: _difference(plugin, name, value) for name, value in changes.items()}
    change = request.change("plugin.changed", **{name: each for name, each in detail.items() if each is not None})
    done = request.services.store.change_plugin(request.key(plugin_id), plugin.revision, changes, change)
    return show_changed(request, plugin_id, done)


@endpoints.add("DELETE", "/{plugin_id}", "deletePlugin", None, HTTPStatus.NO_CONTENT)
def delete_plugin(request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch) -> Response[Any]:
    """Delete a plugin with its versions, runs, secrets and state."""
    plugin = request.plugin(plugin_id, if_match)
    change = request.change("plugin.deleted", name=plugin.name)
    if not request.services.store.delete_plugin(request.key(plugin_id), plugin.revision, change):
        raise changed_meanwhile()
    return respond(None, HTTPStatus.NO_CONTENT)


@endpoints.add("DELETE", "/{plugin_id}/quarantine", "endQuarantine", Plugin)
def end_quarantine(request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch) -> Response[Any]:
    """End the quarantine of a plugin and clear its failures."""
    plugin = request.plugin(plugin_id, if_match)
    change = request.change("quarantine.ended", reason=plugin.quarantine and plugin.quarantine.reason)
    done = request.services.store.end_quarantine(request.key(plugin_id), plugin.revision, change)
    return show_changed(request, plugin_id, done)


@endpoints.add("PUT", "/{plugin_id}/secrets/{name}", "setSecret", Plugin, conflicts=True)
def set_secret(
    request: CurrentRequest,
    guild_id: PathId,
    plugin_id: PathId,
    name: PathSecretName,
    if_match: IfMatch,
    body: SecretChange,
) -> Response[Any]:
    """Set a secret. It cannot be read back; the plugin finds it among its settings."""
    plugin = request.plugin(plugin_id, if_match)
    names = [secret.name for secret in plugin.secrets]
    if name not in names and len(names) >= _MOST_SECRETS:
        raise ProblemError(
            "limit-reached", f"the plugin has {_MOST_SECRETS} secrets, which is the limit; delete one first"
        )
    sealed = request.services.sealer.seal(plugin_id, name, body.value)
    sealed_bytes = len(sealed) + sum(secret.sealed_bytes for secret in plugin.secrets if secret.name != name)
    if sealed_bytes > _MOST_SECRET_BYTES:
        detail = f"the plugin's secrets would have {sealed_bytes} bytes together; the limit is {_MOST_SECRET_BYTES}"
        raise ProblemError("limit-reached", f"{detail}. Delete one, or shorten it")
    change = request.change("secret.set", name=name)
    done = request.services.store.set_sealed_value(request.key(plugin_id), plugin.revision, name, sealed, change)
    return show_changed(request, plugin_id, done)


@endpoints.add("DELETE", "/{plugin_id}/secrets/{name}", "deleteSecret", Plugin)
def delete_secret(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, name: PathSecretName, if_match: IfMatch
) -> Response[Any]:
    """Delete a secret."""
    plugin = request.plugin(plugin_id, if_match)
    if name not in [secret.name for secret in plugin.secrets]:
        raise ProblemError("not-found", f"the plugin has no secret {name}")
    change = request.change("secret.deleted", name=name)
    done = request.services.store.delete_sealed_value(request.key(plugin_id), plugin.revision, name, change)
    return show_changed(request, plugin_id, done)


def show(request: AdminRequest, plugin_id: UUID, status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    stored = request.services.store.plugin(request.key(plugin_id))
    if stored is None:
        raise no_plugin()
    return respond(views.plugin(stored), status, etag=etag_of(stored.revision))


def show_changed(request: AdminRequest, plugin_id: UUID, done: bool) -> Response[Any]:
    """The changed plugin. Raises ProblemError if the change was not done, since another one came first."""
    if not done:
        raise changed_meanwhile()
    return show(request, plugin_id)


def _difference(plugin: StoredPlugin, name: str, new: Any) -> Any:
    """The difference for the audit log, without values of settings. None if nothing changed."""
    if name == "settings":
        changed = changed_names(plugin.settings, new)
        return {"changed": changed} if changed else None
    old = views.known_permissions(plugin.permissions) if name == "permissions" else getattr(plugin, name)
    if old == new:
        return None
    return {"from": old, "to": new}
