from dataclasses import replace
from uuid import uuid4

import pytest

import wat
from guildhook.events.budgets import GuildBudget
from guildhook.events.checks import Postponed
from guildhook.model import Outcome, PluginHealth, PluginState, SpentBudget
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.store.events import DelayedMessage
from resource_limits import little_memory
from samples import FixedKeys, NoKeys, installed_plugin, limits, new_message, plugin_with_secret, shadow_of


def outcomes(attempt):
    return [run.result.outcome for run in attempt.record().runs]


def test_each_plugin_is_run_for_each_message_and_a_failure_stops_nobody(create_runner, modules):
    plugins = [
        installed_plugin(b"traps"),
        installed_plugin(b"sends"),
        installed_plugin(b"refused"),
        installed_plugin(b"gone"),
    ]
    due = [(m, plugin) for m in (new_message(), new_message()) for plugin in plugins]
    attempt = create_runner(*plugins).run(due, modules)
    assert outcomes(attempt) == [Outcome.TRAP, Outcome.OK, Outcome.INVALID] * 2
    assert attempt.postponed == {m.id: Postponed("it is not compiled") for m, _ in due}


def test_a_message_comes_back_if_the_machine_has_no_memory_for_its_run(create_runner, modules):
    plugin, message = installed_plugin(b"sends"), new_message()
    runner = create_runner(plugin)
    # wasmtime reserves 4 GiB of address space for a memory.
    with little_memory(200):
        attempt = runner.run([(message, plugin)], modules)
    assert attempt.record().empty
    reason = "a plugin cannot run on this machine now: Cannot allocate memory"
    assert attempt.postponed == {message.id: Postponed(reason)}


def test_no_run_starts_without_time(create_runner, modules):
    plugin = installed_plugin(b"sends")
    attempt = create_runner(plugin, latest_start=0).run([(first := new_message(), plugin)], modules)
    assert attempt.record().empty
    assert attempt.postponed == {first.id: Postponed("no time was left to run all of its plugins")}


def test_a_guild_over_its_budget_waits_for_the_next_minute_is_told_and_others_go_on(create_runner, modules):
    rich, poor = installed_plugin(b"sends"), installed_plugin(b"sends", guild_id=uuid4())
    due = [(new_message(plugin.guild_id), plugin) for plugin in (poor, rich, poor, rich)]
    budget = GuildBudget(guild_sends_per_minute=3)
    runner = create_runner(rich, poor, budget=budget, spent={poor.guild_id: SpentBudget(sends=2)})
    attempt = runner.run(due, modules)
    assert [run.plugin for run in attempt.record().runs] == [poor, rich, rich]
    late = due[2][0]
    reason = "its plugins sent 3 messages in a minute; the limit is 3"
    assert list(attempt.postponed) == [late.id]
    assert attempt.postponed[late.id].reason == f"guild {poor.guild_id} is over its budget: {reason}"
    # The waits are spread, so that not all messages come back when the minute begins.
    assert 17 <= attempt.postponed[late.id].seconds <= 17 + 30
    assert attempt.record().delayed == [DelayedMessage(late.id, poor.guild_id, reason)]


def test_fuel_that_one_run_used_counts_for_the_next(create_runner, modules):
    plugin = installed_plugin(b"sends")
    runner = create_runner(plugin, budget=GuildBudget(guild_fuel_per_minute=1))
    attempt = runner.run([(new_message(), plugin), (new_message(), plugin)], modules)
    assert len(attempt.record().runs) == len(attempt.postponed) == len(attempt.record().delayed) == 1


def test_a_quarantined_plugin_is_passed_over(create_runner, modules):
    plugin = installed_plugin(b"sends", health=PluginHealth(failing=True, quarantine_seconds=5))
    due = [(new_message(), plugin), (new_message(), plugin)]
    attempt = create_runner(plugin).run(due, modules)
    assert [passed.message_id for passed in attempt.passed_over] == [m.id for m, _ in due]
    assert attempt.record().passed_over == {plugin.id: 2}
    assert (attempt.record().runs, attempt.postponed) == ([], {})


@pytest.mark.parametrize(("wasm", "runs"), [(b"sends", 3), (b"traps", 1)])
def test_after_the_pause_one_run_decides_about_the_others_of_the_batch(create_runner, modules, wasm, runs):
    plugin = installed_plugin(wasm, health=PluginHealth(failing=True, quarantine_seconds=-1))
    attempt = create_runner(plugin).run([(new_message(), plugin) for _ in range(3)], modules)
    assert (len(attempt.record().runs), len(attempt.passed_over)) == (runs, 3 - runs)


def test_a_run_sees_the_state_that_the_one_before_it_left_and_the_last_one_is_written(create_runner, modules):
    plugin = installed_plugin(b"counts", state=PluginState(7, {"kept": "yes"}))
    attempt = create_runner(plugin).run([(new_message(), plugin) for _ in range(2)], modules)
    assert attempt.record().states == {plugin.id: PluginState(7, {"kept": "yes", "n": "x" * 10})}
    # The second run writes the same value as the first, so it changes nothing.
    assert [run.wrote_state for run in attempt.record().runs] == [True, False]


def test_a_run_that_fails_leaves_the_state_alone(create_runner, load):
    modules = {b"fails": load(wat.remembers(("set", "n", "1"), then="unreachable"))}
    plugin = installed_plugin(b"fails")
    attempt = create_runner(plugin).run([(new_message(), plugin)], modules)
    assert (outcomes(attempt), attempt.record().states) == ([Outcome.TRAP], {})


@pytest.mark.parametrize(("used_by_others", "kept"), [(80, True), (95, False), (1_000, False)])
def test_a_guilds_plugins_share_the_room_for_their_state(create_runner, modules, used_by_others, kept):
    plugin = installed_plugin(b"counts")
    other = installed_plugin(b"sends", state=PluginState(1, {"k": "x" * (used_by_others - 1)}))
    attempt = create_runner(plugin, other, budget=GuildBudget(guild_state_bytes=100)).run(
        [(new_message(), plugin)], modules
    )
    assert bool(attempt.record().states) == kept


def test_the_state_of_one_plugin_leaves_less_room_for_the_next_of_its_guild(create_runner, modules):
    plugins = [installed_plugin(b"counts") for _ in range(3)]
    runner = create_runner(*plugins, budget=GuildBudget(guild_state_bytes=25))
    attempt = runner.run([(new_message(), plugin) for plugin in plugins], modules)
    assert list(attempt.record().states) == [plugin.id for plugin in plugins[:2]]


def test_a_batch_that_has_much_to_write_down_leaves_the_rest_for_the_next(create_runner, load):
    modules = {b"floods": load(wat.logs("x" * 4_000, times=16))}
    plugin = installed_plugin(b"floods")
    due = [(new_message(), plugin) for _ in range(200)]
    attempt = create_runner(plugin, budget=GuildBudget(guild_log_bytes_per_minute=10**9)).run(due, modules)
    assert 8 * 1024**2 <= sum(len(line) for run in attempt.record().runs for line in run.result.logs) < 9 * 1024**2
    assert set(attempt.postponed.values()) == {Postponed("its batch had enough to write down")}
    assert len(attempt.postponed) + len(attempt.record().runs) == 200


def test_kept_messages_count_toward_the_bytes_that_a_batch_records(create_runner, modules):
    plugin = installed_plugin(b"sends", keep_content=True)
    long = "x" * 1_000_000
    due = [(replace(new_message(), payload=long), plugin) for _ in range(10)]
    attempt = create_runner(plugin).run(due, modules)
    assert len(attempt.record().runs) == 9
    assert set(attempt.postponed.values()) == {Postponed("its batch had enough to write down")}


def test_secrets_are_settings_of_a_run_and_take_precedence_over_open_settings(create_runner, modules):
    plugin = plugin_with_secret(b"sends", settings={"api_key": "open", "greeting": "hello"})
    attempt = create_runner(plugin, sealer=Sealer(FixedKeys())).run([(new_message(), plugin)], modules)
    assert attempt.settings == {plugin.id: {"api_key": "s3cret", "greeting": "hello"}}
    assert outcomes(attempt) == [Outcome.OK]


def test_while_there_is_no_key_plugins_with_secrets_wait_and_others_go_on(create_runner, modules):
    secretive, other = plugin_with_secret(b"sends"), installed_plugin(b"sends")
    first, second = new_message(), new_message()
    due = [(first, secretive), (second, other)]
    attempt = create_runner(secretive, other, sealer=Sealer(NoKeys())).run(
        due, modules, [(second, shadow_of(secretive, b"sends"))]
    )
    assert [run.plugin for run in attempt.record().runs] == [other]
    assert (attempt.postponed, attempt.record().shadow_runs) == ({first.id: Postponed("no answer")}, [])


def test_a_quarantined_plugin_is_passed_over_whether_or_not_there_is_a_key(create_runner, modules):
    plugin = plugin_with_secret(b"sends", health=PluginHealth(failing=True, quarantine_seconds=5))
    attempt = create_runner(plugin, sealer=Sealer(NoKeys())).run([(new_message(), plugin)], modules)
    assert (len(attempt.passed_over), attempt.postponed) == (1, {})


@pytest.mark.parametrize(
    ("sealer", "says"),
    [
        (None, "GUILDHOOK_SETTINGS_SECRET is not set, which opens its secrets: 'api_key'"),
        (Sealer(FixedKeys(SettingsKeys("another key that is for the tests"))), "secret 'api_key' of plugin"),
    ],
    ids=["no key", "another key"],
)
def test_a_secret_that_does_not_open_is_named_and_is_not_the_plugins_failure(create_runner, modules, sealer, says):
    plugin = plugin_with_secret(b"sends")
    attempt = create_runner(plugin, sealer=sealer).run([(new_message(), plugin)], modules)
    (run,) = attempt.record().runs
    assert run.result.outcome is Outcome.INTERNAL
    assert says in run.result.detail
    assert (attempt.record().judgements, attempt.postponed) == ([], {})


def test_a_run_is_recorded_with_the_fuel_that_it_could_have_used(create_runner, modules):
    plugins = [installed_plugin(b"sends"), installed_plugin(b"refused")]
    attempt = create_runner(*plugins).run([(new_message(), plugin) for plugin in plugins], modules)
    assert [run.fuel_limit for run in attempt.record().runs] == [limits().fuel] * 2
