from uuid import uuid4

import pytest

from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.model import SpentBudget

BUDGET = GuildBudget(guild_fuel_per_minute=100, guild_sends_per_minute=3, guild_log_bytes_per_minute=50)


@pytest.mark.parametrize(
    ("spent", "reason"),
    [
        (SpentBudget(fuel=99, sends=2, log_bytes=49), None),
        (SpentBudget(fuel=100), "its plugins used 100 fuel in a minute; the limit is 100"),
        (SpentBudget(sends=4), "its plugins sent 4 messages in a minute; the limit is 3"),
        (SpentBudget(log_bytes=50), "its plugins logged 50 bytes in a minute; the limit is 50"),
    ],
)
def test_a_budget_says_what_of_it_is_used_up(spent, reason):
    assert BUDGET.exceeded_by(spent) == reason


@pytest.mark.parametrize(
    ("spent", "half"),
    [
        (SpentBudget(fuel=49, sends=3, log_bytes=24), False),
        (SpentBudget(fuel=50), True),
        (SpentBudget(log_bytes=25), True),
    ],
)
def test_what_sends_nothing_gets_half_of_the_fuel_and_of_the_log(spent, half):
    guild = uuid4()
    assert Budgets(lambda _guild: BUDGET, {guild: spent}).is_half_used(guild) == half


def test_what_a_batch_spends_is_added_to_what_was_spent_before_it_guild_by_guild():
    guild, other = uuid4(), uuid4()
    budgets = Budgets(lambda _guild: BUDGET, {guild: SpentBudget(fuel=60)})
    budgets.spend(guild, SpentBudget(fuel=39, sends=1, log_bytes=1))
    assert budgets.exceeded(guild) is None
    budgets.spend(guild, SpentBudget(fuel=1))
    assert budgets.exceeded(guild) == "its plugins used 100 fuel in a minute; the limit is 100"
    assert budgets.exceeded(other) is None
