"""The client of erase. Each statement changes a limited number of rows, and can be repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits

_ROWS_OF_A_PAGE: Final = 50
"""A run can have more than a megabyte with its message, log and replies."""


@dataclass(frozen=True, slots=True)
class ExportSource:
    """Rows that an export contains."""

    table: str
    statement: str
    limit: int = _ROWS_OF_A_PAGE


@dataclass(frozen=True, slots=True)
class ErasureBatch:
    """An erasure that is repeated until it finds nothing."""

    statement: str
    limit: int = 1_000


@dataclass(frozen=True, slots=True)
class MentioningPlugin:
    """The places of a plugin that have a person's id in them."""

    plugin_id: UUID
    guild_id: UUID
    keys: Sequence[str]
    """Keys of its state that have the id in them."""
    keys_of_values: Sequence[str]
    """The other keys whose value has it."""
    places: Sequence[str]
    """Columns of text that have it."""


@dataclass(frozen=True, slots=True)
class MentioningDecision:
    """The reasons of operators for decisions about a guild that have a person's id in them."""

    guild_id: UUID
    places: Sequence[str]


@dataclass(frozen=True, slots=True)
class SearchedEntry:
    """An entry of the audit log."""

    number: int
    guild_id: UUID | None
    plugin_id: UUID | None
    is_mention: bool
    """A person's id is in its detail."""


class ErasureStore(Session):
    """All methods raise InfrastructureError.

    A subject is a mapping with `person`, the canonical id of a user, or with `guild_id`.
    """

    statements = read_statements("erasure/people.sql", "erasure/mentions.sql", "erasure/guilds.sql")
    limits = TimeLimits(statement=60, lock=10)

    sources_of_person: ClassVar = (
        ExportSource("plugin_runs", "runs_of_person"),
        ExportSource("plugin_shadow_runs", "shadow_runs_of_person"),
        ExportSource("plugin_audit", "audit_of_person"),
        ExportSource("plugin_settings_versions", "settings_versions_of_person"),
        ExportSource("plugin_versions", "versions_of_person"),
        ExportSource("admin_requests", "requests_of_person"),
    )
    sources_of_guild: ClassVar = (
        ExportSource("plugins", "plugins_of_guild", limit=1),  # a plugin is exported with all that belongs to it
        ExportSource("plugin_runs", "runs_of_guild"),
        ExportSource("plugin_shadow_runs", "shadow_runs_of_guild"),
        ExportSource("guild_settings", "settings_of_guild"),
        ExportSource("guild_budgets", "budget_of_guild"),
        ExportSource("guild_pauses", "pause_of_guild"),
        ExportSource("raised_budgets", "raised_budget_of_guild"),
        ExportSource("deleted_messages", "deleted_messages_of_guild", limit=1_000),
        ExportSource("plugin_audit", "audit_of_guild"),
    )
    names_of_person: ClassVar = (
        # One transaction each: a row of a version and one of its settings are never locked together, as by go_live.
        ErasureBatch("rename_in_audit"),
        ErasureBatch("rename_in_settings_versions"),
        ErasureBatch("rename_in_versions"),
    )
    rows_of_person: ClassVar = (
        ErasureBatch("erase_runs_of_person"),
        ErasureBatch("erase_shadow_runs_of_person"),
        ErasureBatch("erase_requests_of_person"),
    )
    rows_of_guild: ClassVar = (
        ErasureBatch("stop_plugins_of_guild"),
        ErasureBatch("erase_runs_of_guild"),
        ErasureBatch("erase_shadow_runs_of_guild"),
        ErasureBatch("erase_usage_of_guild"),
        ErasureBatch("erase_versions_of_guild", limit=10),  # a version has up to 32 MiB
        ErasureBatch("erase_plugins_of_guild", limit=1),
        ErasureBatch("erase_settings_of_guild"),
        ErasureBatch("erase_deleted_messages_of_guild"),
        ErasureBatch("erase_audit_of_guild"),
    )

    def count_person(self, subject: Mapping[str, object]) -> Mapping[str, int]:
        """Return the numbers of rows by place."""
        return dict(self.repeatable("count_person", subject))

    def count_guild(self, subject: Mapping[str, object]) -> Mapping[str, int]:
        """Return the numbers of rows by place."""
        return dict(self.repeatable("count_guild", subject))

    def page(
        self, source: ExportSource, subject: Mapping[str, object], after: str | None
    ) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the next rows after a position, each with its own position."""
        positions = ("after_id", "after_run", "after_number", "after_save", "after_actor")
        parameters = {**subject, **dict.fromkeys(positions, after), "limit": source.limit}
        return self.repeatable(source.statement, parameters)

    def erase(self, batch: ErasureBatch, subject: Mapping[str, object], key: str) -> Mapping[str, int]:
        """Erase or rename some rows. Returns their numbers by place; all are 0 after the last ones.

        `key` is the secret of the pseudonyms, and must be a new one for each person.
        """
        return dict(self.repeatable(batch.statement, {**subject, "limit": batch.limit, "key": key}))

    def mentions(self, pattern: str, after: UUID | None, limit: int) -> list[MentioningPlugin]:
        """Return the next plugins, also those without a mention. `pattern` is a regular expression of Postgres."""
        parameters = {"pattern": pattern, "after_id": after and str(after), "limit": limit}
        return [MentioningPlugin(*row) for row in self.repeatable("mentions", parameters)]

    def mentions_in_decisions(self, pattern: str, after: UUID | None, limit: int) -> list[MentioningDecision]:
        """Return the next guilds about which an operator has decided, also those without a mention."""
        parameters = {"pattern": pattern, "after_id": after and str(after), "limit": limit}
        return [MentioningDecision(*row) for row in self.repeatable("mentions_in_decisions", parameters)]

    def mentions_in_audit(self, pattern: str, after: int | None, limit: int) -> list[SearchedEntry]:
        """Return the next entries of the audit log, also those without a mention."""
        parameters = {"pattern": pattern, "after_number": None if after is None else str(after), "limit": limit}
        return [SearchedEntry(*row) for row in self.repeatable("mentions_in_audit", parameters)]

    def state_entries(self, plugin_id: UUID, keys: Sequence[str]) -> Mapping[str, str]:
        return dict(self.repeatable("state_entries", {"plugin_id": plugin_id, "keys": list(keys)}))

    def erase_state_entries(self, plugin_id: UUID, keys: Sequence[str]) -> Mapping[str, int]:
        """Delete entries of a plugin's state. Returns their number by place."""
        return dict(self.repeatable("erase_state_entries", {"plugin_id": plugin_id, "keys": list(keys)}))
