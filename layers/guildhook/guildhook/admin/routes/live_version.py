"""Routes that decide which version of a plugin is live, and which is its shadow."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest
from guildhook.admin.endpoints import Access, Endpoints, IfMatch, PathId
from guildhook.admin.models import GoLive, Plugin, RollBack, Settings, ShadowChange, VersionState
from guildhook.admin.problems import ProblemError
from guildhook.admin.routes.plugins import show_changed
from guildhook.admin.settings_checks import changed_names, settings_for
from guildhook.model import Permission
from guildhook.store.admin import StoredPlugin, StoredVersion

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
    return _switch(request, plugin, version, body.consent, body.settings, "plugin.live")


@endpoints.add("POST", "/roll-back", "rollBack", Plugin, conflicts=True)
def roll_back(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, if_match: IfMatch, body: RollBack
) -> Response[Any]:
    """Make the previous version live again."""
    plugin = request.plugin(plugin_id, if_match)
    if plugin.previous is None:
        raise ProblemError("nothing-before", "no other version was live before; make a version live instead")
    version = request.version(plugin_id, plugin.previous)
    return _switch(request, plugin, version, body.consent, None, "plugin.rolled_back")


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


def _switch(
    request: AdminRequest,
    plugin: StoredPlugin,
    version: StoredVersion,
    consent: list[Permission],
    settings: Settings | None,
    action: str,
) -> Response[Any]:
    check_ready(version)
    if plugin.to_adopt:
        raise ProblemError(
            "not-ready",
            "the plugin's file was written into the database directly and becomes a version first; try again later",
        )
    _check_consent(version, plugin, consent)
    settings_for(version, plugin, settings)
    permissions = plugin.permissions if isinstance(plugin.permissions, list) else []
    granted = sorted(set(consent))
    detail: dict[str, Any] = {
        "from": plugin.live and plugin.live.number,
        "to": version.number,
        "wasm_sha256": version.wasm_sha256,
        "granted": granted,
    }
    if settings is not None:
        detail["settings"] = {"changed": changed_names(plugin.settings, settings)}
    done = request.services.store.go_live(
        request.key(plugin.id),
        plugin.revision,
        version.id,
        [*permissions, *granted],
        settings,
        request.change(action, **detail),
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
