"""What a guild may use in a minute, so that none takes the others' share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from guildhook.model import SpentBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildBudget:
    """By the clock's minutes. A run that has begun is not cut short, so a guild can pass it by what was under way."""

    guild_fuel_per_minute: int = 20_000_000_000
    """About twelve seconds of a CPU."""
    guild_sends_per_minute: int = 300
    guild_log_bytes_per_minute: int = 1024 * 1024
    guild_state_bytes: int = 512 * 1024
    """What all of its plugins remember together: every batch with a message of the guild reads it."""

    def exceeded_by(self, spent: SpentBudget) -> str | None:
        """Which part of it is used up, or None."""
        if spent.fuel >= self.guild_fuel_per_minute:
            return f"its plugins used {spent.fuel} fuel in a minute; the limit is {self.guild_fuel_per_minute}"
        if spent.sends >= self.guild_sends_per_minute:
            return f"its plugins sent {spent.sends} messages in a minute; the limit is {self.guild_sends_per_minute}"
        if spent.log_bytes >= self.guild_log_bytes_per_minute:
            limit = self.guild_log_bytes_per_minute
            return f"its plugins logged {spent.log_bytes} bytes in a minute; the limit is {limit}"
        return None


class Budgets:
    """Of the guilds of one batch: what they had spent before it, and what they spend in it."""

    def __init__(self, budget_of: Callable[[UUID], GuildBudget], spent: Mapping[UUID, SpentBudget]) -> None:
        self._budget_of = budget_of
        self._spent = dict(spent)

    def exceeded(self, guild_id: UUID) -> str | None:
        return self._budget_of(guild_id).exceeded_by(self._spent.get(guild_id, SpentBudget()))

    def is_half_used(self, guild_id: UUID) -> bool:
        """The rest is left to live versions: what is not sent must not keep back what is."""
        budget, spent = self._budget_of(guild_id), self._spent.get(guild_id, SpentBudget())
        return (
            spent.fuel * 2 >= budget.guild_fuel_per_minute or spent.log_bytes * 2 >= budget.guild_log_bytes_per_minute
        )

    def spend(self, guild_id: UUID, spent: SpentBudget) -> None:
        self._spent[guild_id] = self._spent.get(guild_id, SpentBudget()) + spent
