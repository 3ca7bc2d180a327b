"""The budget of a guild limits the use of its plugins in a minute, and their state, so that other guilds get theirs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from guildhook.events.backoff import jittered
from guildhook.model import InstalledPlugin, RaisedBudget, SpentBudget

_SPREAD_SECONDS: Final = 30
"""Messages that wait for the next minute return within so many seconds of its start, not all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildBudget:
    """The limits of one guild, by the clock's minutes.

    A run that has started is not interrupted, so a guild can exceed its budget by the runs that are under way.
    """

    guild_fuel_per_minute: int = 20_000_000_000
    """The fuel that all its plugins may be charged in a minute. A run is charged its fuel, or 1,700 for a
    microsecond of CPU time if that is more. So the default is at most 11.8 s of a worker, whatever the plugins do.
    """
    guild_sends_per_minute: int = 300
    """The messages that all its plugins may send in a minute."""
    guild_log_bytes_per_minute: int = 1024 * 1024
    """The bytes that all its plugins may log in a minute."""
    guild_state_bytes: int = 512 * 1024
    """The limit for the state of all its plugins together; every batch with a message of the guild reads all of it."""

    def raised_by(self, raised: RaisedBudget | None) -> "GuildBudget":
        """Return the budget with the limits that an operator has raised. None of them becomes lower."""
        if raised is None:
            return self
        return replace(
            self,
            guild_fuel_per_minute=max(self.guild_fuel_per_minute, raised.fuel or 0),
            guild_sends_per_minute=max(self.guild_sends_per_minute, raised.sends or 0),
            guild_log_bytes_per_minute=max(self.guild_log_bytes_per_minute, raised.log_bytes or 0),
        )

    def exceeded_by(self, spent: SpentBudget) -> str | None:
        """Return which limit is used up, as a sentence about the guild; None if the guild may go on."""
        if spent.fuel >= self.guild_fuel_per_minute:
            return f"its plugins were charged {spent.fuel} fuel in a minute; the limit is {self.guild_fuel_per_minute}"
        if spent.sends >= self.guild_sends_per_minute:
            return f"its plugins sent {spent.sends} messages in a minute; the limit is {self.guild_sends_per_minute}"
        if spent.log_bytes >= self.guild_log_bytes_per_minute:
            limit = self.guild_log_bytes_per_minute
            return f"its plugins logged {spent.log_bytes} bytes in a minute; the limit is {limit}"
        return None


@dataclass(slots=True)
class _GuildUse:
    """The budget of one guild, and its use so far."""

    budget: GuildBudget
    spent: SpentBudget
    state_bytes: dict[UUID, int] = field(default_factory=dict)
    """The size of the state of each of its plugins."""

    def is_half_used(self) -> bool:
        fuel, log_bytes = self.budget.guild_fuel_per_minute, self.budget.guild_log_bytes_per_minute
        return self.spent.fuel * 2 >= fuel or self.spent.log_bytes * 2 >= log_bytes


class Budgets:
    """The budgets of the guilds of one batch. Each run that it is told of counts for the runs after it."""

    def __init__(
        self,
        budget_of: Callable[[UUID], GuildBudget],
        spent: Mapping[UUID, SpentBudget],
        plugins: Iterable[InstalledPlugin] = (),
        minute_seconds_left: float = 0,
    ) -> None:
        """`spent` is the use of each guild in this minute before the batch. The minute ends in `minute_seconds_left`.

        `plugins` are all plugins of the guilds, with their state; `budget_of` is called once for each guild.
        """
        self._budget_of = budget_of
        self._spent_before = spent
        self._minute_seconds_left = minute_seconds_left
        self._guilds: dict[UUID, _GuildUse] = {}
        for plugin in plugins:
            self._guild(plugin.guild_id).state_bytes[plugin.id] = plugin.state.size

    def exceeded_for(self, plugin: InstalledPlugin) -> str | None:
        """Return why the plugin must not run now, as a sentence about its guild.

        Shadows stop when half of the fuel or log is used: the rest is reserved for live versions.
        """
        guild = self._guild(plugin.guild_id)
        if plugin.shadow and guild.is_half_used():
            return "half of its budget is used, and the rest is reserved for live versions"
        return guild.budget.exceeded_by(guild.spent)

    def seconds_until_next_minute(self) -> float:
        """Draw how long a message waits whose guild is over its budget."""
        return self._minute_seconds_left + jittered(_SPREAD_SECONDS)

    def room_for_state(self, plugin: InstalledPlugin) -> int:
        """Return the bytes of state that the plugin may have, given the state of the other plugins of its guild."""
        guild = self._guild(plugin.guild_id)
        others = sum(guild.state_bytes.values()) - guild.state_bytes.get(plugin.id, 0)
        return max(guild.budget.guild_state_bytes - others, 0)

    def spend(self, guild_id: UUID, spent: SpentBudget) -> None:
        self._guild(guild_id).spent += spent

    def resize_state(self, plugin: InstalledPlugin, size: int) -> None:
        """Note that the plugin's state has `size` bytes now."""
        self._guild(plugin.guild_id).state_bytes[plugin.id] = size

    def _guild(self, guild_id: UUID) -> _GuildUse:
        guild = self._guilds.get(guild_id)
        if guild is None:
            spent = self._spent_before.get(guild_id, SpentBudget())
            guild = self._guilds[guild_id] = _GuildUse(self._budget_of(guild_id), spent)
        return guild
