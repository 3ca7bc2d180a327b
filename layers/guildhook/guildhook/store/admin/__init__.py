"""The statements of admin_api: everything that guild admins ask for and change."""

from guildhook.store.admin.admin_store import AdminStore, TimeKey
from guildhook.store.admin.audit_log import AuditedChange, StoredAuditEntry
from guildhook.store.admin.stored_guild import StoredBudget, StoredGuild
from guildhook.store.admin.stored_plugin import (
    PluginKey,
    SealedValues,
    StoredArtifact,
    StoredPlugin,
    StoredQuarantine,
    StoredSealedValue,
    StoredVersion,
    TrialInputs,
    VersionLimits,
)
from guildhook.store.admin.stored_run import (
    MessageTraces,
    RunFilter,
    StoredFullRun,
    StoredHostCall,
    StoredIntent,
    StoredRun,
    StoredUsage,
)
from guildhook.store.admin.stored_settings import (
    GUILD_SETTINGS_BYTES,
    MOST_READ_BYTES,
    MOST_SETTINGS_VERSION_BYTES,
    MOST_SETTINGS_VERSIONS,
    StoredDifference,
    StoredSettingsVersion,
)

__all__ = [
    "GUILD_SETTINGS_BYTES",
    "MOST_READ_BYTES",
    "MOST_SETTINGS_VERSIONS",
    "MOST_SETTINGS_VERSION_BYTES",
    "AdminStore",
    "AuditedChange",
    "MessageTraces",
    "PluginKey",
    "RunFilter",
    "SealedValues",
    "StoredArtifact",
    "StoredAuditEntry",
    "StoredBudget",
    "StoredDifference",
    "StoredFullRun",
    "StoredGuild",
    "StoredHostCall",
    "StoredIntent",
    "StoredPlugin",
    "StoredQuarantine",
    "StoredRun",
    "StoredSealedValue",
    "StoredSettingsVersion",
    "StoredUsage",
    "StoredVersion",
    "TimeKey",
    "TrialInputs",
    "VersionLimits",
]
