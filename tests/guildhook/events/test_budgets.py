from uuid import uuid4

import pytest

from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.model import PluginState, RaisedBudget, SpentBudget
from samples import installed_plugin, shadow_of

BUDGET = GuildBudget(guild_fuel_per_minute=100, guild_sends_per_minute=3, guild_log_bytes_per_minute=50)
HALF = "half of its budget is used, and the rest is reserved for live versions"


@pytest.mark.parametrize(
    ("spent", "reason"),
    [
        (SpentBudget(fuel=99, sends=2, log_bytes=49), None),
        (SpentBudget(fuel=100), "its plugins were charged 100 fuel in a minute; the limit is 100"),
        (SpentBudget(sends=4), "its plugins sent 4 messages in a minute; the limit is 3"),
        (SpentBudget(log_bytes=50), "its plugins logged 50 bytes in a minute; the limit is 50"),
    ],
)
def test_a_budget_names_the_resource_that_is_used_up(spent, reason):
    assert BUDGET.exceeded_by(spent) == reason


@pytest.mark.parametrize(
    ("spent", "reason"),
    [
        (SpentBudget(fuel=49, sends=2, log_bytes=24), None),
        (SpentBudget(fuel=49, sends=3, log_bytes=24), "its plugins sent 3 messages in a minute; the limit is 3"),
        (SpentBudget(fuel=50), HALF),
        (SpentBudget(log_bytes=25), HALF),
    ],
)
def test_shadows_get_half_of_the_fuel_and_of_the_log(spent, reason):
    shadow = shadow_of(installed_plugin(), b"shadow")
    assert Budgets(lambda _guild: BUDGET, {shadow.guild_id: spent}).exceeded_for(shadow) == reason


def test_a_raised_budget_is_never_lower():
    raised = BUDGET.raised_by(RaisedBudget(fuel=99, sends=1000))
    assert raised == GuildBudget(guild_fuel_per_minute=100, guild_sends_per_minute=1000, guild_log_bytes_per_minute=50)
    assert BUDGET.raised_by(None) is BUDGET


def test_the_use_of_a_batch_is_added_to_the_earlier_use_of_its_guild():
    plugin, stranger = installed_plugin(), installed_plugin(guild_id=uuid4())
    budgets = Budgets(lambda _guild: BUDGET, {plugin.guild_id: SpentBudget(fuel=60)})
    budgets.spend(plugin.guild_id, SpentBudget(fuel=39, sends=1, log_bytes=1))
    assert budgets.exceeded_for(plugin) is None
    budgets.spend(plugin.guild_id, SpentBudget(fuel=1))
    assert budgets.exceeded_for(plugin) == "its plugins were charged 100 fuel in a minute; the limit is 100"
    assert budgets.exceeded_for(stranger) is None


def test_a_message_over_budget_waits_for_the_next_minute_and_up_to_thirty_seconds_more():
    budgets = Budgets(lambda _guild: BUDGET, {}, minute_seconds_left=17)
    waits = {budgets.seconds_until_next_minute() for _ in range(100)}
    assert 17 <= min(waits) < max(waits) <= 47


def test_plugins_of_a_guild_share_its_room_for_state():
    budget = GuildBudget(guild_state_bytes=100)
    plugin, neighbour = installed_plugin(), installed_plugin(state=PluginState(1, {"key": "x" * 37}))
    stranger = installed_plugin(guild_id=uuid4(), state=PluginState(1, {"key": "x" * 97}))
    budgets = Budgets(lambda _guild: budget, {}, [plugin, neighbour, stranger])
    assert [budgets.room_for_state(each) for each in (plugin, neighbour, stranger)] == [60, 100, 100]
    budgets.resize_state(plugin, 90)
    assert [budgets.room_for_state(each) for each in (plugin, neighbour, stranger)] == [60, 10, 100]
    budgets.resize_state(neighbour, 1_000)
    assert budgets.room_for_state(plugin) == 0


@pytest.mark.parametrize(
    ("spent", "live_stops", "shadow_stops"),
    [
        (SpentBudget(fuel=49, sends=2, log_bytes=24), False, False),
        (SpentBudget(fuel=50), False, True),
        (SpentBudget(log_bytes=25), False, True),
        (SpentBudget(fuel=100), True, True),
        (SpentBudget(sends=3), True, True),
    ],
)
def test_shadows_stop_earlier_than_live_versions_and_never_later(spent, live_stops, shadow_stops):
    live = installed_plugin()
    budgets = Budgets(lambda _guild: BUDGET, {live.guild_id: spent})
    reasons = [budgets.exceeded_for(plugin) for plugin in (live, shadow_of(live, b"shadow"))]
    assert [reason is not None for reason in reasons] == [live_stops, shadow_stops]


def test_the_budget_of_a_guild_is_asked_for_once_in_a_batch():
    asked = []

    def budget_of(guild_id):
        asked.append(guild_id)
        return BUDGET

    plugin = installed_plugin()
    budgets = Budgets(budget_of, {}, [plugin])
    for _ in range(3):
        budgets.exceeded_for(plugin)
        budgets.spend(plugin.guild_id, SpentBudget(fuel=1))
        budgets.room_for_state(plugin)
    assert asked == [plugin.guild_id]
