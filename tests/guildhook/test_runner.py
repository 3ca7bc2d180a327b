from dataclasses import replace
from uuid import uuid4

import pytest

import wat
from guildhook.budget import Budget
from guildhook.model import Health, InstalledPlugin, Message, Outcome, PluginState, Refusal, RunResult, Spent
from guildhook.modules import Unavailable
from guildhook.runner import Postponed, Runner, judge
from guildhook.sandbox import Sandbox
from guildhook.store import Delayed, RunRecord, Snapshot
from samples import CHANNEL, MESSAGE, limits

IN_TIME = float("inf")
GUILD = MESSAGE.guild_id
BUDGET = Budget()


def installed(wasm=b"", guild=GUILD, **fields):
    return InstalledPlugin(
        **{
            "id": uuid4(),
            "guild_id": guild,
            "settings": {},
            "permissions": frozenset({"SEND_MESSAGES"}),
            "wasm_sha256": wasm,
            "compiled": None,
            **fields,
        }
    )


def message(guild=GUILD):
    return replace(MESSAGE, id=uuid4(), guild_id=guild)


@pytest.fixture
def create_runner(engine):
    def create_runner(*plugins, spent=None, latest_start=IN_TIME, budget=BUDGET):
        by_guild = {p.guild_id: tuple(q for q in plugins if q.guild_id == p.guild_id) for p in plugins}
        snapshot = Snapshot(plugins=by_guild, runs={}, spent=spent or {}, minute_seconds_left=17)
        return Runner(Sandbox(engine), lambda _guild: limits(), lambda _guild: budget, snapshot, latest_start)

    return create_runner


@pytest.fixture
def modules(load):
    loaded = {
        b"sends": load(wat.sends((CHANNEL, "hello"))),
        b"traps": load(wat.TRAPS),
        b"counts": load(wat.remembers(("set", "n", "x" * 10))),
    }
    return {**loaded, b"gone": Unavailable("it is not compiled"), b"refused": Refusal("no component")}


def outcomes(ran):
    return [run.result.outcome for run in ran.record.runs]


def test_each_plugin_is_run_for_each_message_and_a_failure_stops_nobody(create_runner, modules):
    plugins = [installed(b"traps"), installed(b"sends"), installed(b"refused"), installed(b"gone")]
    todo = [(m, plugin) for m in (message(), message()) for plugin in plugins]
    ran = create_runner(*plugins).run(todo, modules)
    assert outcomes(ran) == [Outcome.TRAP, Outcome.OK, Outcome.INVALID] * 2
    assert ran.postponed == {m.id: Postponed("it is not compiled") for m, _ in todo}


def test_without_time_nothing_is_begun(create_runner, modules):
    plugin = installed(b"sends")
    ran = create_runner(plugin, latest_start=0).run([(first := message(), plugin)], modules)
    assert ran.record.empty
    assert ran.postponed == {first.id: Postponed("no time was left to run all of its plugins")}


def test_a_guild_over_its_budget_waits_for_the_next_minute_is_told_and_others_go_on(create_runner, modules):
    rich, poor = installed(b"sends"), installed(b"sends", guild=uuid4())
    todo = [(message(plugin.guild_id), plugin) for plugin in (poor, rich, poor, rich)]
    budget = Budget(guild_sends_per_minute=3)
    runner = create_runner(rich, poor, budget=budget, spent={poor.guild_id: Spent(sends=2)})
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
    plugin = installed(b"sends")
    runner = create_runner(plugin, budget=Budget(guild_fuel_per_minute=1))
    ran = runner.run([(message(), plugin), (message(), plugin)], modules)
    assert len(ran.record.runs) == len(ran.postponed) == len(ran.record.delayed) == 1


def test_a_quarantined_plugin_is_passed_over(create_runner, modules):
    plugin = installed(b"sends", health=Health(failing=True, quarantine_seconds=5))
    todo = [(message(), plugin), (message(), plugin)]
    ran = create_runner(plugin).run(todo, modules)
    assert [passed.message_id for passed in ran.passed_over] == [m.id for m, _ in todo]
    assert ran.record.passed_over == {plugin.id: 2}
    assert (ran.record.runs, ran.postponed) == ([], {})


@pytest.mark.parametrize(("wasm", "runs"), [(b"sends", 3), (b"traps", 1)])
def test_after_the_pause_one_run_decides_about_the_others_of_the_batch(create_runner, modules, wasm, runs):
    plugin = installed(wasm, health=Health(failing=True, quarantine_seconds=-1))
    ran = create_runner(plugin).run([(message(), plugin) for _ in range(3)], modules)
    assert (len(ran.record.runs), len(ran.passed_over)) == (runs, 3 - runs)


def test_a_run_sees_the_state_that_the_one_before_it_left_and_the_last_one_is_written(create_runner, modules):
    plugin = installed(b"counts", state=PluginState(7, {"kept": "yes"}))
    ran = create_runner(plugin).run([(message(), plugin) for _ in range(2)], modules)
    assert ran.record.states == {plugin.id: PluginState(7, {"kept": "yes", "n": "x" * 10})}
    # The second run found what the first wrote, so it changed nothing.
    assert [run.wrote_state for run in ran.record.runs] == [True, False]


def test_a_run_that_fails_leaves_the_state_alone(create_runner, load):
    modules = {b"fails": load(wat.remembers(("set", "n", "1"), then="unreachable"))}
    plugin = installed(b"fails")
    ran = create_runner(plugin).run([(message(), plugin)], modules)
    assert (outcomes(ran), ran.record.states) == ([Outcome.TRAP], {})


@pytest.mark.parametrize(("used_by_others", "kept"), [(80, True), (95, False), (1_000, False)])
def test_a_guilds_plugins_share_the_room_for_their_state(create_runner, modules, used_by_others, kept):
    plugin = installed(b"counts")
    other = installed(b"sends", state=PluginState(1, {"k": "x" * (used_by_others - 1)}))
    ran = create_runner(plugin, other, budget=Budget(guild_state_bytes=100)).run([(message(), plugin)], modules)
    assert bool(ran.record.states) == kept


def test_what_one_plugin_of_a_guild_writes_leaves_less_room_for_the_next(create_runner, modules):
    plugins = [installed(b"counts") for _ in range(3)]
    runner = create_runner(*plugins, budget=Budget(guild_state_bytes=25))
    ran = runner.run([(message(), plugin) for plugin in plugins], modules)
    assert list(ran.record.states) == [plugin.id for plugin in plugins[:2]]


def test_a_batch_that_has_much_to_write_down_leaves_the_rest_for_the_next(create_runner, load):
    modules = {b"floods": load(wat.logs("x" * 4_000, times=16))}
    plugin = installed(b"floods")
    todo = [(message(), plugin) for _ in range(200)]
    ran = create_runner(plugin, budget=Budget(guild_log_bytes_per_minute=10**9)).run(todo, modules)
    assert 8 * 1024**2 <= sum(len(line) for run in ran.record.runs for line in run.result.logs) < 9 * 1024**2
    assert set(ran.postponed.values()) == {Postponed("its batch had enough to write down")}
    assert len(ran.postponed) + len(ran.record.runs) == 200


def record(plugin, outcome, detail=""):
    result = RunResult(outcome, detail, fuel_used=1, duration_us=1, host_calls=0, logs=(), intents=())
    return RunRecord(plugin, Message(uuid4(), GUILD, uuid4(), MESSAGE.created_at, "{}"), 0, result, 1_000)


@pytest.mark.parametrize(
    ("history", "failures", "in_a_row", "recovered"),
    [
        ([Outcome.TRAP], 1, 1, False),
        ([Outcome.TRAP, Outcome.DEADLINE, Outcome.OK], 2, 0, True),
        ([Outcome.TRAP, Outcome.OK, Outcome.INVALID, Outcome.OUT_OF_FUEL], 3, 2, True),
        ([Outcome.TRAP, Outcome.INTERNAL, Outcome.TRAP], 2, 2, False),
    ],
)
def test_a_batch_is_judged_by_its_order(history, failures, in_a_row, recovered):
    plugin = installed()
    (judgement,) = judge([record(plugin, outcome) for outcome in history])
    assert (judgement.failures, judgement.failures_in_a_row, judgement.recovered) == (failures, in_a_row, recovered)


def test_the_last_failure_is_the_one_that_is_told():
    plugin = installed()
    (judgement,) = judge([record(plugin, Outcome.TRAP, "first"), record(plugin, Outcome.DEADLINE, "second")])
    assert judgement.last_error == "deadline: second"


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.INTERNAL])
def test_good_runs_and_faults_of_guildhook_are_not_judged(outcome):
    assert judge([record(installed(), outcome)]) == []


def test_a_good_run_of_a_plugin_that_had_failed_is():
    (judgement,) = judge([record(installed(health=Health(failing=True)), Outcome.OK)])
    assert (judgement.failures, judgement.recovered, judgement.last_error) == (0, True, "")
