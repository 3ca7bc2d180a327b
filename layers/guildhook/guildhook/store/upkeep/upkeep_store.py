"""The client of sweep. Each statement changes a limited number of rows, so that it holds locks briefly."""

from dataclasses import dataclass
from uuid import UUID

from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits


@dataclass(frozen=True, slots=True)
class ExpiredIntent:
    """An intent that was pending for too long and is refused now."""

    key: str
    message_id: UUID
    guild_id: UUID
    plugin_id: UUID
    run_id: UUID


class UpkeepStore(Session):
    """All methods raise InfrastructureError. Those that delete return the number of rows deleted."""

    statements = read_statements(
        "upkeep/intents.sql", "upkeep/versions.sql", "upkeep/deleted_messages.sql", "upkeep/retention.sql"
    )
    limits = TimeLimits(statement=60, lock=10)

    def take_due(self, older_than_seconds: int, limit: int) -> list[tuple[UUID, UUID]]:
        """Claim intents that have been pending for so long. Returns the guild and message ids of their runs.

        Claimed intents are not claimed again for the same period.
        """
        return self.write("take_due", {"older_than_seconds": older_than_seconds, "limit": limit})

    def give_up(self, older_than_hours: int, limit: int) -> list[ExpiredIntent]:
        """Refuse intents that are still pending although their run is so old."""
        parameters = {"hours": older_than_hours, "limit": limit}
        return [ExpiredIntent(*row) for row in self.write("give_up", parameters)]

    def forget_abandoned(self, older_than_hours: int, limit: int) -> int:
        """Delete versions whose file never came."""
        return len(self.write("forget_abandoned", {"hours": older_than_hours, "limit": limit}))

    def give_up_stuck(self, older_than_minutes: int, reason: str, limit: int) -> list[tuple[UUID, UUID]]:
        """Record that no further try is awaited of versions whose check began so long ago and has not ended.

        Returns the ids of version and plugin.
        """
        return self.write("give_up_stuck", {"minutes": older_than_minutes, "reason": reason, "limit": limit})

    def adopt(self, limit: int) -> list[UUID]:
        """Make live versions of wasm that was written into `plugins` directly. Returns their ids, to be checked."""
        return [version_id for (version_id,) in self.write("adopt", {"limit": limit})]

    def take_unchecked(self, older_than_minutes: int, limit: int) -> list[UUID]:
        """Claim adopted versions whose check has not begun for so long. Returns their ids.

        Claimed versions are not claimed again for the same period.
        """
        parameters = {"minutes": older_than_minutes, "limit": limit}
        return [version_id for (version_id,) in self.write("take_unchecked", parameters)]

    def forget_messages(self, limit: int) -> tuple[int, int]:
        """Delete the runs on messages that were deleted in the chat two minutes ago or earlier.

        Returns the numbers of messages of which nothing is left, and of runs.
        """
        ((messages, runs),) = self.write("forget_messages", {"limit": limit})
        return messages, runs

    def forget_deletions(self, older_than_days: int, limit: int) -> int:
        """Delete the notes of messages that were deleted in the chat so long ago."""
        return len(self.write("forget_deletions", {"days": older_than_days, "limit": limit}))

    def forget_runs(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest runs with their intents."""
        return len(self.write("forget_runs", {"days": older_than_days, "limit": limit}))

    def forget_shadow_runs(self, older_than_days: int, limit: int) -> int:
        return len(self.write("forget_shadow_runs", {"days": older_than_days, "limit": limit}))

    def forget_usage(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest counts of runs."""
        return len(self.write("forget_usage", {"days": older_than_days, "limit": limit}))

    def forget_budgets(self, older_than_days: int, limit: int) -> int:
        """Delete the budgets of guilds that were quiet for so long."""
        return len(self.write("forget_budgets", {"days": older_than_days, "limit": limit}))

    def forget_audit(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest entries of the audit log."""
        return len(self.write("forget_audit", {"days": older_than_days, "limit": limit}))

    def forget_requests(self, older_than_hours: int, limit: int) -> int:
        """Delete the counts of requests of people who have not used the API for so long."""
        return len(self.write("forget_requests", {"hours": older_than_hours, "limit": limit}))
