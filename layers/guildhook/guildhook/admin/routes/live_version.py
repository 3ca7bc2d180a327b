"""Routes that decide which version of a plugin is live, and which is its shadow."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.endpoints import Access, Endpoints, IfMatch, PathId
from guildhook.admin.etags import etag_of
from guildhook.admin.models import (
    FieldError,
    GoLive,
    Plugin,
    RollBack,
    RollBackPreview,
    Settings,
    SettingsVersion,
    ShadowChange,
    VersionState,
)
from guildhook.admin.problems import ProblemError
from guildhook.admin.responses import respond
from guildhook.admin.routes.plugins import show_changed
from guildhook.admin.settings_checks import (
    changed_names,
    check_given,
    setting_errors,
    settings_for,
    settings_of_save,
    way_out,
)
from guildhook.model import Permission
from guildhook.store.admin import StoredPlugin, StoredSettingsVersion, StoredVersion

endpoints = Endpoints("versions", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}")


@endpoints.add("PUT", "/live", "goLive", Plugin, conflicts=True)
def go_live(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch, body: GoLive
) -> Response[Any]:
    """Make a version live: it runs on every message from now on.

    `consent` names exactly the permissions that the version needs and the plugin is not granted, and grants them. The
    settings of the plugin, or the new settings of this request, must match the version's schema.
    """
    plugin = request.plugin(plugin_id, if_match)
    version = request.version(plugin_id, body.version)
    _check_switch(plugin, version, body.consent)
    settings_for(version, plugin, body.settings)
    return _switch(request, plugin, version, body.consent, body.settings, "plugin.live")


@endpoints.add("POST", "/roll-back", "rollBack", Plugin, conflicts=True)
def roll_back(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch, body: RollBack
) -> Response[Any]:
    """Make the previous version live again, with the settings that it was live with.

    `settings` replace these settings, and must match the version's schema. They are needed if it is not known which
    settings the version was live with. Secrets stay as they are now.
    """
    plugin = request.plugin(plugin_id, if_match)
    version = _previous(request, plugin)
    _check_switch(plugin, version, body.consent)
    if body.settings is not None:
        check_given(plugin, version.settings_schema, body.settings)
        return _switch(request, plugin, version, body.consent, body.settings, "plugin.rolled_back")
    saved = _settings_for_roll_back(request, plugin)
    if saved is None:
        remedy = way_out(plugin, version.settings_schema, "send `settings` with this request")
        detail = f"it is not known which settings version {version.number} was live with; {remedy}"
        raise ProblemError("settings-unknown", detail)
    # They are not held against the schema: the version was live with them, however they were saved.
    settings = settings_of_save(plugin, saved)
    return _switch(request, plugin, version, body.consent, settings, "plugin.rolled_back", saved.number)


@endpoints.add("GET", "/roll-back", "previewRollBack", RollBackPreview, conflicts=True)
def preview_roll_back(request: CurrentRequest, guild_id: PathId, plugin_id: PathId) -> Response[Any]:
    """Show the changes that rolling back makes: the version, and the settings that come back with it."""
    plugin = request.plugin(plugin_id)
    version = _previous(request, plugin)
    saved = _settings_for_roll_back(request, plugin)
    errors: list[FieldError] = []
    settings: SettingsVersion | None = None
    if saved is not None:
        errors = setting_errors(plugin, version.settings_schema, saved.settings or {})
        differences = request.services.store.settings_differences(request.key(plugin_id), saved.number, None)
        settings = views.settings_version(saved, differences)
    etag = etag_of(plugin.revision)
    preview = RollBackPreview(version=views.version(version), settings=settings, errors=errors, etag=etag)
    return respond(preview, etag=etag)


@endpoints.add("PUT", "/shadow", "changeShadow", Plugin, conflicts=True)
def change_shadow(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch, body: ShadowChange
) -> Response[Any]:
    """Run a version beside the live one without sending anything. Null stops it."""
    plugin = request.plugin(plugin_id, if_match)
    version = None if body.version is None else request.version(plugin_id, body.version)
    if version is not None:
        check_ready(version)
        if version.live:
            raise ProblemError("in-use", f"version {version.number} is live; a shadow runs beside the live version")
    change = request.change("plugin.shadow", **{"from": plugin.shadow, "to": body.version})
    version_id = version.id if version else None
    done = request.services.store.set_shadow(request.key(plugin_id), plugin.revision, version_id, change)
    return show_changed(request, plugin_id, done)


def check_ready(version: StoredVersion) -> None:
    """Raises ProblemError unless the version can run."""
    if version.state == VersionState.REFUSED:
        raise ProblemError("not-ready", f"version {version.number} is refused; mend the plugin and upload it again")
    if version.state != VersionState.READY:
        detail = f"version {version.number} is {version.state}; wait until it is ready"
        raise ProblemError("not-ready", detail)


def _previous(request: AdminRequest, plugin: StoredPlugin) -> StoredVersion:
    """The version to roll back to. Raises ProblemError if there is none."""
    if plugin.previous is None:
        raise ProblemError("nothing-before", "no other version was live before; make a version live instead")
    return request.version(plugin.id, plugin.previous)


def _settings_for_roll_back(request: AdminRequest, plugin: StoredPlugin) -> StoredSettingsVersion | None:
    """The settings that the previous version was live with. None if they are not known or were too large to be kept."""
    saved = request.services.store.settings_for_roll_back(request.key(plugin.id))
    return saved if saved and saved.kept else None


def _check_switch(plugin: StoredPlugin, version: StoredVersion, consent: list[Permission]) -> None:
    """Raises ProblemError unless the version can go live with this consent."""
    check_ready(version)
    if plugin.to_adopt:
        raise ProblemError(
            "not-ready",
            "the plugin's file was written into the database directly and becomes a version first; try again later",
        )
    _check_consent(version, plugin, consent)


def _switch(
    request: AdminRequest,
    plugin: StoredPlugin,
    version: StoredVersion,
    consent: list[Permission],
    settings: Settings | None,
    action: str,
    settings_number: int | None = None,
) -> Response[Any]:
    """Make a version live that was checked. `settings_number` is that of the save that has the settings."""
    permissions = plugin.permissions if isinstance(plugin.permissions, list) else []
    granted = sorted(set(consent))
    detail: dict[str, Any] = {
        "from": plugin.live and plugin.live.number,
        "to": version.number,
        "wasm_sha256": version.wasm_sha256,
        "granted": granted,
    }
    if settings is not None:
        restored = {} if settings_number is None else {"number": settings_number}
        detail["settings"] = {"changed": changed_names(plugin.settings, settings), **restored}
    done = request.services.store.go_live(
        request.key(plugin.id),
        plugin.revision,
        version.id,
        [*permissions, *granted],
        settings if settings_number is None else None,
        request.change(action, **detail),
        settings_number,
    )
    return show_changed(request, plugin.id, done)


def _check_consent(version: StoredVersion, plugin: StoredPlugin, consent: list[Permission]) -> None:
    """Raises ProblemError unless the consent names exactly the newly needed permissions, which the page has shown."""
    needed = views.newly_needed(version, plugin.permissions)
    if set(consent) == set(needed):
        return
    if needed:
        detail = f"version {version.number} newly needs {', '.join(needed)}; send exactly these permissions as consent"
    else:
        detail = f"version {version.number} needs no permission that the plugin lacks; send no consent"
    raise ProblemError("consent-required", detail, consent=needed)
