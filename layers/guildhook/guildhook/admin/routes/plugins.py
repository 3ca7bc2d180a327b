"""Plugins: what they are called, may do and are set to."""

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors, views
from guildhook.admin.call import Call, CurrentCall, answer, changed_meanwhile, etag_of, no_plugin
from guildhook.admin.cursors import ByTime
from guildhook.admin.endpoints import (
    Access,
    Cursor,
    Endpoints,
    Id,
    IdempotencyKey,
    IfMatch,
    NameOfSecret,
    PageLimit,
)
from guildhook.admin.given_settings import changed_names, check_given
from guildhook.admin.models import (
    Plugin,
    PluginChange,
    PluginCreate,
    PluginPage,
    SecretChange,
)
from guildhook.admin.problems import ProblemError
from guildhook.store.admin_records import StoredPlugin

endpoints = Endpoints("plugins", Access.MANAGERS, "/api/guilds/{guild_id}/plugins")

_MOST_SECRETS: Final = 64
_MOST_SECRET_BYTES: Final = 32 * 1024
"""Of all of a plugin, sealed: they are read for every message of its guild, with those of other guilds."""
_CREATED: Final = "plugin.created"


@endpoints.add("GET", "", "listPlugins", PluginPage)
def list_plugins(call: CurrentCall, guild_id: Id, cursor: Cursor = None, limit: PageLimit = 50) -> Response[Any]:
    """The plugins of a guild, the oldest first."""
    after = cursors.decode(cursor, ByTime)
    rows = call.services.store.plugins(guild_id, after.key if after else None, limit + 1)
    items, next_cursor = cursors.page(rows, limit, lambda row: views.plugin(row[1]), lambda row: ByTime(*row[0]))
    return answer(PluginPage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "", "createPlugin", Plugin, HTTPStatus.CREATED, conflicts=True)
def create_plugin(
    call: CurrentCall, guild_id: Id, body: PluginCreate, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Make a plugin. It does nothing until a version of it is uploaded and goes live."""
    store, limit = call.services.store, call.services.guild_plugins
    key = call.key(idempotent_id(call, guild_id, idempotency_key))
    asked = {"name": body.name, "description": body.description}
    if not store.create_plugin(key, body.name, body.description, limit, call.change(_CREATED, **asked)):
        before = store.creation(key, _CREATED)
        if before is None:
            raise ProblemError("limit-reached", f"the guild has {limit} plugins, which is the limit; delete one first")
        if before != asked:
            raise key_used("a plugin of another name or description")
        if not store.has_plugin(key):
            raise key_used("a plugin that is deleted by now")
    return show(call, key.plugin_id, HTTPStatus.CREATED)


@endpoints.add("GET", "/{plugin_id}", "getPlugin", Plugin)
def get_plugin(call: CurrentCall, guild_id: Id, plugin_id: Id) -> Response[Any]:
    """A plugin."""
    return show(call, plugin_id)


@endpoints.add("PATCH", "/{plugin_id}", "changePlugin", Plugin)
def change_plugin(
    call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch, body: PluginChange
) -> Response[Any]:
    """Change a plugin. What is not given, or null, stays; settings and permissions are replaced as a whole.

    Settings must keep to the schema of the version that is live.
    """
    plugin = call.plugin(plugin_id, if_match)
    changes = {name: value for name, value in body.model_dump(mode="json").items() if value is not None}
    if body.settings is not None:
        check_given(plugin, plugin.live.settings_schema if plugin.live else None, body.settings)
    if body.permissions is not None:
        changes["permissions"] = sorted(set(body.permissions))
    detail = {name: _difference(plugin, name, value) for name, value in changes.items()}
    change = call.change("plugin.changed", **{name: each for name, each in detail.items() if each is not None})
    done = call.services.store.change_plugin(call.key(plugin_id), plugin.revision, changes, change)
    return show_changed(call, plugin_id, done)


@endpoints.add("DELETE", "/{plugin_id}", "deletePlugin", None, HTTPStatus.NO_CONTENT)
def delete_plugin(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch) -> Response[Any]:
    """Delete a plugin with its versions, runs, secrets and all that it remembers."""
    plugin = call.plugin(plugin_id, if_match)
    change = call.change("plugin.deleted", name=plugin.name)
    if not call.services.store.delete_plugin(call.key(plugin_id), plugin.revision, change):
        raise changed_meanwhile()
    return answer(None, HTTPStatus.NO_CONTENT)


@endpoints.add("DELETE", "/{plugin_id}/quarantine", "endQuarantine", Plugin)
def end_quarantine(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch) -> Response[Any]:
    """Let a quarantined plugin run again at once, with a clean record."""
    plugin = call.plugin(plugin_id, if_match)
    change = call.change("quarantine.ended", reason=plugin.quarantine and plugin.quarantine.reason)
    done = call.services.store.end_quarantine(call.key(plugin_id), plugin.revision, change)
    return show_changed(call, plugin_id, done)


@endpoints.add("PUT", "/{plugin_id}/secrets/{name}", "setSecret", Plugin, conflicts=True)
def set_secret(
    call: CurrentCall, guild_id: Id, plugin_id: Id, name: NameOfSecret, if_match: IfMatch, body: SecretChange
) -> Response[Any]:
    """Set a secret. Nobody can read it back; the plugin finds it among its settings."""
    plugin = call.plugin(plugin_id, if_match)
    names = [secret.name for secret in plugin.secrets]
    if name not in names and len(names) >= _MOST_SECRETS:
        raise ProblemError("limit-reached", f"the plugin has {_MOST_SECRETS} secrets, which is the limit")
    sealed = call.services.sealer.seal(plugin_id, name, body.value)
    sealed_bytes = len(sealed) + sum(secret.sealed_bytes for secret in plugin.secrets if secret.name != name)
    if sealed_bytes > _MOST_SECRET_BYTES:
        detail = f"the plugin's secrets would have {sealed_bytes} bytes together; the limit is {_MOST_SECRET_BYTES}"
        raise ProblemError("limit-reached", f"{detail}. Delete one, or shorten it")
    change = call.change("secret.set", name=name)
    done = call.services.store.set_secret(call.key(plugin_id), plugin.revision, name, sealed, change)
    return show_changed(call, plugin_id, done)


@endpoints.add("DELETE", "/{plugin_id}/secrets/{name}", "deleteSecret", Plugin)
def delete_secret(
    call: CurrentCall, guild_id: Id, plugin_id: Id, name: NameOfSecret, if_match: IfMatch
) -> Response[Any]:
    """Delete a secret."""
    plugin = call.plugin(plugin_id, if_match)
    if name not in [secret.name for secret in plugin.secrets]:
        raise ProblemError("not-found", f"the plugin has no secret {name}")
    change = call.change("secret.deleted", name=name)
    done = call.services.store.delete_secret(call.key(plugin_id), plugin.revision, name, change)
    return show_changed(call, plugin_id, done)


def show(call: Call, plugin_id: UUID, status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    stored = call.services.store.plugin(call.key(plugin_id))
    if stored is None:
        raise no_plugin()
    return answer(views.plugin(stored), status, etag=etag_of(stored.revision))


def show_changed(call: Call, plugin_id: UUID, done: bool) -> Response[Any]:
    """Raises ProblemError if it was not done, since somebody else has changed it first."""
    if not done:
        raise changed_meanwhile()
    return show(call, plugin_id)


def idempotent_id(call: Call, within: UUID, key: str | None) -> UUID:
    """Of a thing that is made within another: the same for the same key of the same actor."""
    return uuid4() if key is None else uuid5(within, f"{call.actor.id}/{key}")


def key_used(for_what: str) -> ProblemError:
    return ProblemError("key-used", f"the Idempotency-Key was used for {for_what}; take another one")


def _difference(plugin: StoredPlugin, name: str, new: Any) -> Any:
    """For the audit log: no setting's value, and nothing that stayed."""
    if name == "settings":
        changed = changed_names(plugin.settings, new)
        return {"changed": changed} if changed else None
    old = views.known_permissions(plugin.permissions) if name == "permissions" else getattr(plugin, name)
    if old == new:
        return None
    return {"from": old, "to": new}
