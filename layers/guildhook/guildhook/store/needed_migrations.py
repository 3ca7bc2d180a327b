"""The migrations that this version of guildhook needs. Only the function that applies them ships their files.

A new migration adds a line here and changes the layer in this way, so that CloudFormation invokes the migrate function.
"""

from typing import Final

MIGRATIONS: Final = (
    "20260125000000_chat_tables",
    "20260125000001_add_plugins",
    "20260301000000_add_plugin_artifacts",
    "20260301000001_add_plugin_runs",
    "20261124000000_add_artifact_objects",
    "20261124000001_add_causality",
    "20261124000002_add_plugin_health",
    "20261124000003_add_guild_budgets",
    "20261124000004_add_plugin_state",
    "20261125000000_add_plugin_versions",
    "20261125000001_add_plugin_secrets",
    "20261125000002_add_guild_settings",
    "20261125000003_add_run_details",
    "20261125000004_add_shadow_runs",
    "20261125000005_add_plugin_audit",
    "20261125000006_add_admin_requests",
    "20261130000000_add_settings_versions",
    "20261130000001_keep_current_settings",
    "20261130000010_add_compile_failures",
    "20261130000020_add_artifact_signatures",
    "20261130000030_add_version_warnings",
    "20261201000000_add_operators_to_audit",
    "20261201000001_add_levers",
    "20261201000002_index_operators",
    "20261201000100_add_run_authors",
    "20261201000101_index_people",
    "20261201000102_forget_deleted_guilds",
    "20261201000300_add_cpu_time",
    "20261201000301_bound_settings_of_guilds",
    "20261201000302_add_compile_reservations",
    "20261201000303_tell_refused_starts",
    "20261201000400_add_deleted_messages",
    "20261201000401_index_sent_messages",
)
"""The names are in the order in which the migrations are applied."""
