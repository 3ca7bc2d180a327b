"""Settings of plugins that were saved before, as stored. Triggers in Postgres keep them (migrations/)."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

MOST_SETTINGS_VERSIONS: Final = 50
"""The saved settings that are kept of a plugin. The oldest are deleted first."""
MOST_SETTINGS_VERSION_BYTES: Final = 128 * 1024
"""The size of settings that are kept, as Postgres writes JSON. Of larger ones, only their save is kept."""
MOST_READ_BYTES: Final = 1024 * 1024
"""The size of the current settings and secrets of all plugins of a guild, as every batch with a message of the guild
reads them. A save that would exceed it is refused. Secrets count twice, and spaces after commas and colons count.
"""
GUILD_SETTINGS_BYTES: Final = 16 * 1024 * 1024
"""The size of all saved settings of a guild. The oldest are deleted first."""


class StoredSettingsVersion(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    saved_at: datetime
    actor_id: str | None
    actor_name: str | None
    database_role: str | None
    version: int | None
    """The number of the version that was live when they were saved, if it still exists."""
    current: bool
    for_roll_back: bool
    """True if the previous version was live with them."""
    kept: bool
    """False if they were too large."""
    withheld: list[str]
    """The names of the settings that are secrets and therefore not kept."""
    withheld_now: list[str]
    """The names of the plugin's current settings that are secrets, because somebody wrote them into the database."""
    differs: list[str]
    """The names of the settings that differ from the plugin's current ones."""
    settings: dict[str, Any] | None
    """None if they are not kept, or were not asked for."""


class StoredDifference(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any
