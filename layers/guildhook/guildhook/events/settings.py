"""Opens the settings of plugins for their runs."""

from guildhook.errors import InfrastructureError, UnsealableError
from guildhook.events.checks import OpenedSettings, Postponed, Unrunnable
from guildhook.model import InstalledPlugin, Outcome
from guildhook.plugin_settings.sealing import Sealer


def open_settings(plugin: InstalledPlugin, sealer: Sealer | None) -> OpenedSettings:
    """Return the plugin's settings with its secrets among them; `sealer` is None where no key is configured.

    The keys may be fetched from Secrets Manager: do not call this while a sandbox is held.
    """
    if not plugin.sealed:
        return plugin.settings
    if sealer is None:
        names = ", ".join(map(repr, sorted(plugin.sealed)))
        reason = f"GUILDHOOK_SETTINGS_SECRET is not set, which opens its secrets: {names}"
        return Unrunnable(Outcome.INTERNAL, reason)
    try:
        return {**plugin.settings, **sealer.unseal(plugin.id, plugin.sealed)}
    except UnsealableError as error:
        return Unrunnable(Outcome.INTERNAL, str(error))
    except InfrastructureError as error:
        return Postponed(str(error))
