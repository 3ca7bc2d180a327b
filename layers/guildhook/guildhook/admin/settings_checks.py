"""Checks of settings against the schema of a version."""

from collections.abc import Mapping
from typing import Any, Final

from guildhook.admin import problems
from guildhook.admin.models import FieldError, Settings
from guildhook.admin.problems import ProblemError
from guildhook.plugin_settings.schema import check_settings, missing_secrets
from guildhook.store.admin import StoredPlugin, StoredSettingsVersion, StoredVersion

_MOST_NAMED: Final = 50
"""The most names of settings in an entry of the audit log."""


def settings_for(version: StoredVersion, plugin: StoredPlugin, given: Settings | None) -> Settings:
    """The new settings, or else those of the plugin. Raises ProblemError if the version does not take them."""
    if given is not None:
        check_given(plugin, version.settings_schema, given)
        return given
    errors = setting_errors(plugin, version.settings_schema, plugin.settings)
    if errors:
        remedy = way_out(plugin, version.settings_schema, "send new ones with this request")
        detail = f"version {version.number} does not take the plugin's current settings; {remedy}"
        raise ProblemError("settings-invalid", detail, errors)
    return plugin.settings


def way_out(plugin: StoredPlugin, schema: Mapping[str, Any] | None, of_settings: str) -> str:
    """The way out of settings that a schema does not take. Secrets that it requires are not a part of the settings."""
    missing = missing_secrets(schema, [secret.name for secret in plugin.secrets])
    return f"set the secret {', '.join(missing)} first, and then {of_settings}" if missing else of_settings


def settings_of_save(plugin: StoredPlugin, saved: StoredSettingsVersion) -> Settings:
    """The settings of an earlier save, with the secrets among the plugin's settings as they are now.

    Secrets are among the settings only if somebody wrote them into the database directly.
    """
    secrets = {name: plugin.settings[name] for name in saved.withheld_now if name in plugin.settings}
    return {**(saved.settings or {}), **secrets}


def check_given(plugin: StoredPlugin, schema: Mapping[str, Any] | None, given: Settings) -> None:
    """Raises ProblemError unless the schema takes the settings together with the plugin's secrets."""
    errors = setting_errors(plugin, schema, given)
    if errors:
        raise problems.invalid(errors)


def changed_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The names of changed settings, as many as the audit log has room for."""
    changed = sorted(name for name in {*old, *new} if name not in old or name not in new or old[name] != new[name])
    return [name[:64] for name in changed[:_MOST_NAMED]]


def setting_errors(plugin: StoredPlugin, schema: Mapping[str, Any] | None, settings: Settings) -> list[FieldError]:
    """The errors of settings by a schema, with the plugin's secrets among them."""
    errors = check_settings(schema, settings, [secret.name for secret in plugin.secrets])
    return [FieldError(pointer=f"/settings{where}", message=what) for where, what in errors]
