from dataclasses import replace

import pytest

import wat
from guildhook.events.budgets import GuildBudget
from guildhook.events.checks import DueRun
from guildhook.model import Outcome, PluginHealth, PluginState, SpentBudget
from samples import MESSAGE, installed_plugin, new_message, shadow_of

GUILD = MESSAGE.guild_id
BUDGET = GuildBudget()


def outcomes(attempt):
    return [run.result.outcome for run in attempt.record().runs]


def test_shadows_run_after_all_live_versions_and_change_neither_state_nor_health_nor_sends(create_runner, modules):
    plugin = installed_plugin(b"sends")
    shadow = shadow_of(plugin, b"traps")
    first, second = new_message(), new_message()
    attempt = create_runner(plugin, shadow).run(
        [(m, plugin) for m in (first, second)], modules, [(m, shadow) for m in (first, second)]
    )
    assert outcomes(attempt) == [Outcome.OK, Outcome.OK]
    assert [(run.message, run.result.outcome) for run in attempt.record().shadow_runs] == [
        (first, Outcome.TRAP),
        (second, Outcome.TRAP),
    ]
    assert (attempt.record().states, attempt.record().judgements, attempt.postponed) == ({}, [], {})


def test_a_shadow_is_given_the_state_that_the_live_version_was_given(create_runner, load):
    counts = wat.remembers(("set", "n", "written by the live one"))
    modules = {b"counts": load(counts), b"also": load(wat.remembers(("set", "n", "by the shadow")))}
    plugin = installed_plugin(b"counts", state=PluginState(7, {"n": "before"}))
    shadow = shadow_of(plugin, b"also")
    first, second = new_message(), new_message()
    attempt = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow), (second, shadow)])
    assert attempt.record().states == {plugin.id: PluginState(7, {"n": "written by the live one"})}
    assert [run.result.state for run in attempt.record().shadow_runs] == [{"n": "by the shadow"}] * 2


@pytest.mark.parametrize("wasm", [b"gone", b"nobody has found it"])
def test_a_shadow_without_a_module_is_left_out_and_postpones_nothing(create_runner, modules, wasm):
    plugin = installed_plugin(b"sends")
    shadow = shadow_of(plugin, wasm)
    first = new_message()
    attempt = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow)])
    assert (outcomes(attempt), attempt.record().shadow_runs, attempt.postponed) == ([Outcome.OK], [], {})


def test_a_shadow_is_left_out_when_there_is_no_time_or_budget_for_it(create_runner, modules):
    plugin = installed_plugin(b"sends")
    due = [(new_message(), shadow_of(plugin, b"sends"))]
    late = create_runner(plugin, latest_start=0).run([], modules, due)
    poor = create_runner(plugin, spent={GUILD: SpentBudget(sends=BUDGET.guild_sends_per_minute)}).run([], modules, due)
    for attempt in (late, poor):
        assert attempt.record().empty
        assert attempt.postponed == {}


def test_the_fuel_of_a_shadow_counts_and_its_sends_do_not(create_runner, modules):
    plugin = installed_plugin(b"sends")
    shadows = [(new_message(), shadow_of(plugin, b"sends")) for _ in range(2)]
    few_sends = create_runner(plugin, budget=GuildBudget(guild_sends_per_minute=1)).run([], modules, shadows)
    little_fuel = create_runner(plugin, budget=GuildBudget(guild_fuel_per_minute=1)).run([], modules, shadows)
    assert [len(attempt.record().shadow_runs) for attempt in (few_sends, little_fuel)] == [2, 1]


@pytest.mark.parametrize(
    "spent",
    [
        SpentBudget(fuel=BUDGET.guild_fuel_per_minute // 2),
        SpentBudget(log_bytes=BUDGET.guild_log_bytes_per_minute // 2),
    ],
)
def test_shadows_leave_half_of_a_minute_to_live_versions(create_runner, modules, spent):
    plugin = installed_plugin(b"sends")
    first = new_message()
    runner = create_runner(plugin, spent={GUILD: spent})
    attempt = runner.run([(first, plugin)], modules, [(first, shadow_of(plugin, b"sends"))])
    assert (outcomes(attempt), attempt.record().shadow_runs, attempt.postponed) == ([Outcome.OK], [], {})


def test_the_log_of_shadows_is_bounded_by_the_guilds_log_budget(create_runner, load):
    modules = {b"floods": load(wat.logs("x" * 4_000, times=10))}
    plugin = installed_plugin(b"floods")
    due = [(new_message(), shadow_of(plugin, b"floods")) for _ in range(10)]
    attempt = create_runner(plugin, budget=GuildBudget(guild_log_bytes_per_minute=200_000)).run([], modules, due)
    assert len(attempt.record().shadow_runs) == 3


def test_a_shadow_that_runs_later_than_the_live_version_is_given_the_same_state(create_runner, load):
    modules = {b"counts": load(wat.remembers(("set", "n", "live"))), b"also": load(wat.remembers(("set", "n", "mine")))}
    plugin = installed_plugin(b"counts", state=PluginState(7, {"n": "mine"}))
    first = new_message()
    runner = create_runner(plugin)
    runner.run([(first, plugin)], modules)
    attempt = runner.run([], modules, [(first, shadow_of(plugin, b"also"))])
    # The shadow writes the value that it was given, so its state is not new.
    assert [run.result.state for run in attempt.record().shadow_runs] == [None]


def test_a_message_that_comes_back_is_not_given_to_the_shadow_yet(create_runner, modules):
    plugin = installed_plugin(b"gone")
    first = new_message()
    attempt = create_runner(plugin).run([(first, plugin)], modules, [(first, shadow_of(plugin, b"sends"))])
    assert (list(attempt.postponed), attempt.record().shadow_runs) == ([first.id], [])


def test_the_shadow_of_a_quarantined_plugin_runs(create_runner, modules):
    plugin = installed_plugin(b"traps", health=PluginHealth(failing=True, quarantine_seconds=5))
    shadow = replace(shadow_of(plugin, b"sends"), health=PluginHealth())
    first = new_message()
    attempt = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow)])
    assert (len(attempt.passed_over), len(attempt.record().shadow_runs)) == (1, 1)


def test_late_shadows_start_with_the_state_before_each_message_not_the_last_one(create_runner, load):
    writes = load(wat.remembers(("set", "n", "written")))
    plugin = installed_plugin(b"live", state=PluginState(7, {"n": "before"}))
    shadow = shadow_of(plugin, b"shadow")
    messages = [new_message(), new_message()]
    runner = create_runner(plugin, shadow)
    shadows = [(message, shadow) for message in messages]
    attempt = runner.run([(message, plugin) for message in messages], {b"live": writes}, shadows)
    assert (attempt.record().shadow_runs, len(runner.handling.shadows)) == ([], 2)
    late = runner.run([], {b"live": writes, b"shadow": writes}, shadows)
    # On the second message the shadow was given the value that it writes.
    assert [run.result.state for run in late.record().shadow_runs] == [{"n": "written"}, None]


def test_while_live_versions_are_to_be_compiled_no_shadow_runs(create_runner, modules):
    plugin = installed_plugin(b"sends")
    runner = create_runner(plugin)
    runner.handling.uncompiled = [DueRun(new_message(), installed_plugin(b"unknown"))]
    attempt = runner.run([], modules, [(new_message(), shadow_of(plugin, b"sends"))])
    assert (attempt.record().shadow_runs, len(runner.handling.shadows)) == ([], 1)
