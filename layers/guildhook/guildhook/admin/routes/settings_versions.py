"""Routes of the settings that a plugin has had: look at them, compare them, restore them."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import CurrentRequest
from guildhook.admin.cursors import NumberCursor
from guildhook.admin.endpoints import Access, Cursor, Endpoints, IfMatch, PageLimit, PathId, PathVersionNumber
from guildhook.admin.models import Plugin, SettingsVersion, SettingsVersionPage, VersionNumber
from guildhook.admin.problems import ProblemError
from guildhook.admin.responses import respond
from guildhook.admin.routes.plugins import show_changed
from guildhook.admin.settings_checks import changed_names, setting_errors, settings_of_save, way_out
from guildhook.store.admin import MOST_SETTINGS_VERSION_BYTES, StoredSettingsVersion

endpoints = Endpoints("settings", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}/settings-versions")

Base = Annotated[
    VersionNumber | None,
    Query(description="The number of the settings to compare with. Without it, they are the current ones."),
]


@endpoints.add("GET", "", "listSettingsVersions", SettingsVersionPage)
def list_settings_versions(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the settings that were saved, the newest first.

    Each save is kept, also one that wrote into the database directly. Secrets are not kept. Of the saves of a plugin
    the newest 50 are kept, as long as those of the guild are not too large together. The current settings stay, and so
    do those that rolling back brings back.
    """
    before = cursors.decode(cursor, NumberCursor)
    store, key = request.services.store, request.key(plugin_id)
    found = request.of_plugin(plugin_id, store.settings_versions(key, before.number if before else None, limit + 1))
    items, next_cursor = cursors.page(
        found, limit, views.settings_version_summary, lambda saved: NumberCursor(saved.number)
    )
    return respond(SettingsVersionPage(items=items, next_cursor=next_cursor))


@endpoints.add("GET", "/{number}", "getSettingsVersion", SettingsVersion, conflicts=True)
def get_settings_version(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber, base: Base = None
) -> Response[Any]:
    """Read settings that were saved, and compare them."""
    store, key = request.services.store, request.key(plugin_id)
    saved = _saved(store.settings_version(key, number), number)
    if base is not None:
        _check_kept(_saved(store.settings_version(key, base), base))
    return respond(views.settings_version(saved, store.settings_differences(key, number, base)))


@endpoints.add("POST", "/{number}/restore", "restoreSettings", Plugin, conflicts=True)
def restore_settings(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber, if_match: IfMatch
) -> Response[Any]:
    """Save settings that were saved before.

    They must match the schema of the live version. Secrets stay as they are now.
    """
    plugin = request.plugin(plugin_id, if_match)
    saved = _saved(request.services.store.settings_version(request.key(plugin_id), number), number)
    _check_kept(saved)
    schema = plugin.live.settings_schema if plugin.live else None
    errors = setting_errors(plugin, schema, saved.settings or {})
    if errors:
        taker = f"version {plugin.live.number}, which is live," if plugin.live else "the plugin"
        remedy = way_out(plugin, schema, "change them and save them as new settings")
        detail = f"{taker} does not take the settings number {number}; {remedy}"
        raise ProblemError("settings-invalid", detail, errors)
    settings = settings_of_save(plugin, saved)
    change = request.change("settings.restored", number=number, changed=changed_names(plugin.settings, settings))
    done = request.services.store.restore_settings(request.key(plugin_id), plugin.revision, number, change)
    return show_changed(request, plugin_id, done)


def _saved(found: StoredSettingsVersion | None, number: int) -> StoredSettingsVersion:
    """Raises ProblemError if there are no settings of this number."""
    if found is None:
        raise ProblemError("not-found", f"the plugin has no settings number {number}; old ones are deleted")
    return found


def _check_kept(saved: StoredSettingsVersion) -> None:
    """Raises ProblemError if only the save is known, and not the settings."""
    if not saved.kept:
        raise ProblemError(
            "settings-unknown",
            f"the settings number {saved.number} are not kept, since they had more than the limit of "
            f"{MOST_SETTINGS_VERSION_BYTES} bytes; choose others",
        )
