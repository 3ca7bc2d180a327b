from dataclasses import replace
from uuid import uuid4

import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook.events.budgets import GuildBudget
from guildhook.events.runner import Postponed, Runner
from guildhook.model import (
    Outcome,
    PluginHealth,
    PluginState,
    Refusal,
    SpentBudget,
)
from guildhook.modules import UnavailableModule
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.sandbox import Sandbox
from guildhook.store.events import Delayed, Snapshot
from samples import CHANNEL, MESSAGE, FixedKeys, installed_plugin, limits, new_message

IN_TIME = float("inf")
GUILD = MESSAGE.guild_id
BUDGET = GuildBudget()


@pytest.fixture
def create_runner(engine):
    def create_runner(*plugins, spent=None, latest_start=IN_TIME, budget=BUDGET, sealer=None):
        by_guild = {p.guild_id: tuple(q for q in plugins if q.guild_id == p.guild_id) for p in plugins}
        snapshot = Snapshot(plugins=by_guild, runs={}, spent=spent or {}, minute_seconds_left=17)
        return Runner(Sandbox(engine), lambda _guild: limits(), lambda _guild: budget, snapshot, latest_start, sealer)

    return create_runner


@pytest.fixture
def modules(load):
    loaded = {
        b"sends": load(wat.sends((CHANNEL, "hello"))),
        b"traps": load(wat.TRAPS),
        b"counts": load(wat.remembers(("set", "n", "x" * 10))),
    }
    return {**loaded, b"gone": UnavailableModule("it is not compiled"), b"refused": Refusal("no component")}


def outcomes(ran):
    return [run.result.outcome for run in ran.record.runs]


def test_each_plugin_is_run_for_each_message_and_a_failure_stops_nobody(create_runner, modules):
    plugins = [
        installed_plugin(b"traps"),
        installed_plugin(b"sends"),
        installed_plugin(b"refused"),
        installed_plugin(b"gone"),
    ]
    todo = [(m, plugin) for m in (new_message(), new_message()) for plugin in plugins]
    ran = create_runner(*plugins).run(todo, modules)
    assert outcomes(ran) == [Outcome.TRAP, Outcome.OK, Outcome.INVALID] * 2
    assert ran.postponed == {m.id: Postponed("it is not compiled") for m, _ in todo}


def test_without_time_nothing_is_begun(create_runner, modules):
    plugin = installed_plugin(b"sends")
    ran = create_runner(plugin, latest_start=0).run([(first := new_message(), plugin)], modules)
    assert ran.record.empty
    assert ran.postponed == {first.id: Postponed("no time was left to run all of its plugins")}


def test_a_guild_over_its_budget_waits_for_the_next_minute_is_told_and_others_go_on(create_runner, modules):
    rich, poor = installed_plugin(b"sends"), installed_plugin(b"sends", guild_id=uuid4())
    todo = [(new_message(plugin.guild_id), plugin) for plugin in (poor, rich, poor, rich)]
    budget = GuildBudget(guild_sends_per_minute=3)
    runner = create_runner(rich, poor, budget=budget, spent={poor.guild_id: SpentBudget(sends=2)})
    ran = runner.run(todo, modules)
    assert [run.plugin for run in ran.record.runs] == [poor, rich, rich]
    late = todo[2][0]
    reason = "its plugins sent 3 messages in a minute; the limit is 3"
    assert list(ran.postponed) == [late.id]
    assert ran.postponed[late.id].reason == f"guild {poor.guild_id} is over its budget: {reason}"
    # Not all at once when the minute begins.
    assert 17 <= ran.postponed[late.id].seconds <= 17 + 30
    assert ran.record.delayed == [Delayed(late.id, poor.guild_id, reason)]


def test_fuel_that_one_run_used_counts_for_the_next(create_runner, modules):
    plugin = installed_plugin(b"sends")
    runner = create_runner(plugin, budget=GuildBudget(guild_fuel_per_minute=1))
    ran = runner.run([(new_message(), plugin), (new_message(), plugin)], modules)
    assert len(ran.record.runs) == len(ran.postponed) == len(ran.record.delayed) == 1


def test_a_quarantined_plugin_is_passed_over(create_runner, modules):
    plugin = installed_plugin(b"sends", health=PluginHealth(failing=True, quarantine_seconds=5))
    todo = [(new_message(), plugin), (new_message(), plugin)]
    ran = create_runner(plugin).run(todo, modules)
    assert [passed.message_id for passed in ran.passed_over] == [m.id for m, _ in todo]
    assert ran.record.passed_over == {plugin.id: 2}
    assert (ran.record.runs, ran.postponed) == ([], {})


@pytest.mark.parametrize(("wasm", "runs"), [(b"sends", 3), (b"traps", 1)])
def test_after_the_pause_one_run_decides_about_the_others_of_the_batch(create_runner, modules, wasm, runs):
    plugin = installed_plugin(wasm, health=PluginHealth(failing=True, quarantine_seconds=-1))
    ran = create_runner(plugin).run([(new_message(), plugin) for _ in range(3)], modules)
    assert (len(ran.record.runs), len(ran.passed_over)) == (runs, 3 - runs)


def test_a_run_sees_the_state_that_the_one_before_it_left_and_the_last_one_is_written(create_runner, modules):
    plugin = installed_plugin(b"counts", state=PluginState(7, {"kept": "yes"}))
    ran = create_runner(plugin).run([(new_message(), plugin) for _ in range(2)], modules)
    assert ran.record.states == {plugin.id: PluginState(7, {"kept": "yes", "n": "x" * 10})}
    # The second run found what the first wrote, so it changed nothing.
    assert [run.wrote_state for run in ran.record.runs] == [True, False]


def test_a_run_that_fails_leaves_the_state_alone(create_runner, load):
    modules = {b"fails": load(wat.remembers(("set", "n", "1"), then="unreachable"))}
    plugin = installed_plugin(b"fails")
    ran = create_runner(plugin).run([(new_message(), plugin)], modules)
    assert (outcomes(ran), ran.record.states) == ([Outcome.TRAP], {})


@pytest.mark.parametrize(("used_by_others", "kept"), [(80, True), (95, False), (1_000, False)])
def test_a_guilds_plugins_share_the_room_for_their_state(create_runner, modules, used_by_others, kept):
    plugin = installed_plugin(b"counts")
    other = installed_plugin(b"sends", state=PluginState(1, {"k": "x" * (used_by_others - 1)}))
    ran = create_runner(plugin, other, budget=GuildBudget(guild_state_bytes=100)).run(
        [(new_message(), plugin)], modules
    )
    assert bool(ran.record.states) == kept


def test_what_one_plugin_of_a_guild_writes_leaves_less_room_for_the_next(create_runner, modules):
    plugins = [installed_plugin(b"counts") for _ in range(3)]
    runner = create_runner(*plugins, budget=GuildBudget(guild_state_bytes=25))
    ran = runner.run([(new_message(), plugin) for plugin in plugins], modules)
    assert list(ran.record.states) == [plugin.id for plugin in plugins[:2]]


def test_a_batch_that_has_much_to_write_down_leaves_the_rest_for_the_next(create_runner, load):
    modules = {b"floods": load(wat.logs("x" * 4_000, times=16))}
    plugin = installed_plugin(b"floods")
    todo = [(new_message(), plugin) for _ in range(200)]
    ran = create_runner(plugin, budget=GuildBudget(guild_log_bytes_per_minute=10**9)).run(todo, modules)
    assert 8 * 1024**2 <= sum(len(line) for run in ran.record.runs for line in run.result.logs) < 9 * 1024**2
    assert set(ran.postponed.values()) == {Postponed("its batch had enough to write down")}
    assert len(ran.postponed) + len(ran.record.runs) == 200


def shadow_of(plugin, wasm):
    return replace(plugin, wasm_sha256=wasm, shadow=True, version_id=uuid4())


def test_shadows_run_after_all_live_versions_and_change_neither_state_nor_health_nor_sends(create_runner, modules):
    plugin = installed_plugin(b"sends")
    shadow = shadow_of(plugin, b"traps")
    first, second = new_message(), new_message()
    ran = create_runner(plugin, shadow).run(
        [(m, plugin) for m in (first, second)], modules, [(m, shadow) for m in (first, second)]
    )
    assert outcomes(ran) == [Outcome.OK, Outcome.OK]
    assert [(run.message, run.result.outcome) for run in ran.record.shadow_runs] == [
        (first, Outcome.TRAP),
        (second, Outcome.TRAP),
    ]
    assert (ran.record.states, ran.record.judgements, ran.postponed) == ({}, [], {})


def test_a_shadow_is_given_the_state_that_the_live_version_was_given(create_runner, load):
    counts = wat.remembers(("set", "n", "written by the live one"))
    modules = {b"counts": load(counts), b"also": load(wat.remembers(("set", "n", "by the shadow")))}
    plugin = installed_plugin(b"counts", state=PluginState(7, {"n": "before"}))
    shadow = shadow_of(plugin, b"also")
    first, second = new_message(), new_message()
    ran = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow), (second, shadow)])
    assert ran.record.states == {plugin.id: PluginState(7, {"n": "written by the live one"})}
    assert [run.result.state for run in ran.record.shadow_runs] == [{"n": "by the shadow"}] * 2


@pytest.mark.parametrize("wasm", [b"gone", b"nobody has found it"])
def test_a_shadow_without_a_module_is_left_out_and_postpones_nothing(create_runner, modules, wasm):
    plugin = installed_plugin(b"sends")
    shadow = shadow_of(plugin, wasm)
    first = new_message()
    ran = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow)])
    assert (outcomes(ran), ran.record.shadow_runs, ran.postponed) == ([Outcome.OK], [], {})


def test_a_shadow_is_left_out_when_there_is_no_time_or_budget_for_it(create_runner, modules):
    plugin = installed_plugin(b"sends")
    todo = [(new_message(), shadow_of(plugin, b"sends"))]
    late = create_runner(plugin, latest_start=0).run([], modules, todo)
    poor = create_runner(plugin, spent={GUILD: SpentBudget(sends=BUDGET.guild_sends_per_minute)}).run([], modules, todo)
    for ran in (late, poor):
        assert ran.record.empty
        assert ran.postponed == {}


def test_a_shadows_fuel_counts_and_what_it_would_send_does_not(create_runner, modules):
    plugin = installed_plugin(b"sends")
    shadows = [(new_message(), shadow_of(plugin, b"sends")) for _ in range(2)]
    few_sends = create_runner(plugin, budget=GuildBudget(guild_sends_per_minute=1)).run([], modules, shadows)
    little_fuel = create_runner(plugin, budget=GuildBudget(guild_fuel_per_minute=1)).run([], modules, shadows)
    assert [len(ran.record.shadow_runs) for ran in (few_sends, little_fuel)] == [2, 1]


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
    ran = runner.run([(first, plugin)], modules, [(first, shadow_of(plugin, b"sends"))])
    assert (outcomes(ran), ran.record.shadow_runs, ran.postponed) == ([Outcome.OK], [], {})


def test_what_shadows_write_down_is_bounded_by_the_guilds_log(create_runner, load):
    modules = {b"floods": load(wat.logs("x" * 4_000, times=10))}
    plugin = installed_plugin(b"floods")
    todo = [(new_message(), shadow_of(plugin, b"floods")) for _ in range(10)]
    ran = create_runner(plugin, budget=GuildBudget(guild_log_bytes_per_minute=200_000)).run([], modules, todo)
    assert len(ran.record.shadow_runs) == 3


def test_a_shadow_that_runs_later_than_the_live_version_is_given_the_same_state(create_runner, load):
    modules = {b"counts": load(wat.remembers(("set", "n", "live"))), b"also": load(wat.remembers(("set", "n", "mine")))}
    plugin = installed_plugin(b"counts", state=PluginState(7, {"n": "mine"}))
    first = new_message()
    runner = create_runner(plugin)
    runner.run([(first, plugin)], modules)
    ran = runner.run([], modules, [(first, shadow_of(plugin, b"also"))])
    # It found what it writes.
    assert [run.result.state for run in ran.record.shadow_runs] == [None]


def test_messages_that_are_kept_count_as_what_a_batch_writes_down(create_runner, modules):
    plugin = installed_plugin(b"sends", keep_content=True)
    long = "x" * 1_000_000
    todo = [(replace(new_message(), payload=long), plugin) for _ in range(10)]
    ran = create_runner(plugin).run(todo, modules)
    assert len(ran.record.runs) == 9
    assert set(ran.postponed.values()) == {Postponed("its batch had enough to write down")}


def test_a_message_that_comes_back_is_not_given_to_the_shadow_yet(create_runner, modules):
    plugin = installed_plugin(b"gone")
    first = new_message()
    ran = create_runner(plugin).run([(first, plugin)], modules, [(first, shadow_of(plugin, b"sends"))])
    assert (list(ran.postponed), ran.record.shadow_runs) == ([first.id], [])


def test_the_shadow_of_a_quarantined_plugin_runs(create_runner, modules):
    plugin = installed_plugin(b"traps", health=PluginHealth(failing=True, quarantine_seconds=5))
    shadow = replace(shadow_of(plugin, b"sends"), health=PluginHealth())
    first = new_message()
    ran = create_runner(plugin, shadow).run([(first, plugin)], modules, [(first, shadow)])
    assert (len(ran.passed_over), len(ran.record.shadow_runs)) == (1, 1)


class NoKeys:
    """Secrets Manager does not answer."""

    def current(self):
        raise InfrastructureError("no answer")

    def instead_of(self, refused):
        raise InfrastructureError("no answer")


def with_secret(wasm, **fields):
    plugin = installed_plugin(wasm, **fields)
    return replace(plugin, sealed={"api_key": Sealer(FixedKeys()).seal(plugin.id, "api_key", "s3cret")})


def test_a_plugins_secrets_are_settings_of_its_run_and_stand_before_what_is_open(create_runner, modules):
    plugin = with_secret(b"sends", settings={"api_key": "open", "greeting": "hello"})
    runner = create_runner(plugin, sealer=Sealer(FixedKeys()))
    assert runner._settings_of([plugin]) == {plugin.id: {"api_key": "s3cret", "greeting": "hello"}}
    assert outcomes(runner.run([(new_message(), plugin)], modules)) == [Outcome.OK]


def test_while_there_is_no_key_plugins_with_secrets_wait_and_others_go_on(create_runner, modules):
    secretive, other = with_secret(b"sends"), installed_plugin(b"sends")
    first, second = new_message(), new_message()
    todo = [(first, secretive), (second, other)]
    ran = create_runner(secretive, other, sealer=Sealer(NoKeys())).run(
        todo, modules, [(second, shadow_of(secretive, b"sends"))]
    )
    assert [run.plugin for run in ran.record.runs] == [other]
    assert (ran.postponed, ran.record.shadow_runs) == ({first.id: Postponed("no answer")}, [])


def test_a_quarantined_plugin_is_passed_over_whether_or_not_there_is_a_key(create_runner, modules):
    plugin = with_secret(b"sends", health=PluginHealth(failing=True, quarantine_seconds=5))
    ran = create_runner(plugin, sealer=Sealer(NoKeys())).run([(new_message(), plugin)], modules)
    assert (len(ran.passed_over), ran.postponed) == (1, {})


@pytest.mark.parametrize(
    ("sealer", "says"),
    [
        (None, "GUILDHOOK_SETTINGS_SECRET is not set, which opens its secrets: 'api_key'"),
        (Sealer(FixedKeys(SettingsKeys("another key that is for the tests"))), "secret 'api_key' of plugin"),
    ],
    ids=["no key", "another key"],
)
def test_a_secret_that_does_not_open_is_named_and_is_not_the_plugins_failure(create_runner, modules, sealer, says):
    plugin = with_secret(b"sends")
    ran = create_runner(plugin, sealer=sealer).run([(new_message(), plugin)], modules)
    (run,) = ran.record.runs
    assert run.result.outcome is Outcome.INTERNAL
    assert says in run.result.detail
    assert (ran.record.judgements, ran.postponed) == ([], {})


def test_a_run_is_recorded_with_the_fuel_that_it_could_have_used(create_runner, modules):
    plugins = [installed_plugin(b"sends"), installed_plugin(b"refused")]
    ran = create_runner(*plugins).run([(new_message(), plugin) for plugin in plugins], modules)
    assert [run.fuel_limit for run in ran.record.runs] == [limits().fuel] * 2
