from math import inf

import pytest

from guildhook.events.quarantine import health_after, is_failure, judge, may_run
from guildhook.model import Outcome, PluginHealth, RunResult
from guildhook.store.events import RunRecord
from samples import installed_plugin, new_message

HEALTHY = PluginHealth()
QUARANTINED = PluginHealth(failing=True, quarantine_seconds=5)
PAUSE_IS_OVER = PluginHealth(failing=True, quarantine_seconds=-1)


def result(outcome, detail=""):
    return RunResult(outcome, detail, fuel_used=1, duration_us=1, host_calls=0, logs=(), intents=())


def record(plugin, outcome, detail=""):
    return RunRecord(plugin, new_message(), 0, result(outcome, detail), 1_000)


@pytest.mark.parametrize(
    ("health", "may"),
    [(HEALTHY, True), (QUARANTINED, False), (PAUSE_IS_OVER, True), (PluginHealth(quarantine_seconds=0), True)],
)
def test_a_quarantined_plugin_may_run_when_its_pause_is_over(health, may):
    assert may_run(health) == may


@pytest.mark.parametrize("outcome", Outcome)
def test_a_plugin_that_is_not_quarantined_keeps_its_health_within_a_batch(outcome):
    assert health_after(PluginHealth(failing=True), result(outcome)) == PluginHealth(failing=True)


@pytest.mark.parametrize("outcome", Outcome)
def test_after_a_pause_only_a_run_that_ends_ok_lets_the_plugin_run_again(outcome):
    assert may_run(health_after(PAUSE_IS_OVER, result(outcome))) == (outcome is Outcome.OK)


def test_a_plugin_that_fails_after_its_pause_has_no_pause_that_ends_within_the_batch():
    assert health_after(PAUSE_IS_OVER, result(Outcome.TRAP)).quarantine_seconds == inf


def test_every_outcome_but_ok_and_a_fault_of_guildhook_is_a_failure():
    assert {outcome for outcome in Outcome if not is_failure(result(outcome))} == {Outcome.OK, Outcome.INTERNAL}


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
    plugin = installed_plugin()
    (judgement,) = judge([record(plugin, outcome) for outcome in history])
    assert (judgement.failures, judgement.failures_in_a_row, judgement.recovered) == (failures, in_a_row, recovered)


def test_the_last_failure_is_reported():
    plugin = installed_plugin()
    (judgement,) = judge([record(plugin, Outcome.TRAP, "first"), record(plugin, Outcome.DEADLINE, "second")])
    assert judgement.last_error == "deadline: second"


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.INTERNAL])
def test_good_runs_and_faults_of_guildhook_are_not_judged(outcome):
    assert judge([record(installed_plugin(), outcome)]) == []


def test_a_good_run_of_a_plugin_that_had_failed_is_judged():
    (judgement,) = judge([record(installed_plugin(health=PluginHealth(failing=True)), Outcome.OK)])
    assert (judgement.failures, judgement.recovered, judgement.last_error) == (0, True, "")
