from dataclasses import replace
from typing import Any

import msgspec
import pytest

from guildhook.events.checks import (
    BEFORE_RUN,
    MOST_WRITTEN_BYTES,
    DueRun,
    NotTaken,
    OverBudget,
    PassedOver,
    Postponed,
    RunFacts,
    Unrunnable,
    reason_not_taken,
    reason_not_to_run,
)
from guildhook.model import Causality, FailedCompile, Outcome, PluginHealth, Refusal
from guildhook.modules import UnavailableModule
from samples import MESSAGE, installed_plugin

PLUGIN = installed_plugin()
MODULE: Any = object()
"""It stands for a loaded module: the checks ask only whether it is refused or unavailable."""
RUNNABLE = RunFacts(
    message=MESSAGE,
    plugin=PLUGIN,
    module=MODULE,
    settings={},
    health=PluginHealth(),
    over_budget=None,
    written_bytes=MOST_WRITTEN_BYTES - 1,
    seconds_left=0,
)
NOT_COMPILED = UnavailableModule("the machine is busy", not_compiled=True)
GIVEN_UP = replace(PLUGIN, compiled=FailedCompile("the machine was busy", due=False, given_up=True))
TRIED_AGAIN = replace(PLUGIN, compiled=FailedCompile("the machine was busy", due=False, given_up=False))
HINDRANCES: list[tuple[dict[str, Any], object]] = [
    ({"module": UnavailableModule("S3 is away")}, Postponed("S3 is away")),
    ({"module": NOT_COMPILED, "plugin": TRIED_AGAIN}, Postponed("the machine is busy")),
    ({"module": UnavailableModule("there was no time"), "plugin": GIVEN_UP}, Postponed("there was no time")),
    ({"seconds_left": -0.001}, Postponed("no time was left to run all of its plugins")),
    ({"written_bytes": MOST_WRITTEN_BYTES}, Postponed("its batch had enough to write down")),
    ({"over_budget": "its plugins sent too much"}, OverBudget("its plugins sent too much")),
    (
        {"health": PluginHealth(failing=True, quarantine_seconds=1), "plugin": GIVEN_UP},
        PassedOver(MESSAGE.id, GIVEN_UP),
    ),
    (
        {"module": NOT_COMPILED, "plugin": GIVEN_UP},
        Unrunnable(Outcome.INTERNAL, "it could not be compiled yet: the machine is busy"),
    ),
    ({"module": Refusal("no component")}, Unrunnable(Outcome.INVALID, "no component")),
    ({"settings": Postponed("no answer")}, Postponed("no answer")),
    ({"settings": Unrunnable(Outcome.INTERNAL, "no key")}, Unrunnable(Outcome.INTERNAL, "no key")),
]


def test_a_run_that_nothing_hinders_may_start():
    assert reason_not_to_run(RUNNABLE) is None


@pytest.mark.parametrize(("facts", "reason"), HINDRANCES)
def test_each_hindrance_is_a_reason_of_its_own(facts, reason):
    assert reason_not_to_run(msgspec.structs.replace(RUNNABLE, **facts)) == reason


@pytest.mark.parametrize(("facts", "reason"), HINDRANCES)
def test_exactly_one_check_sees_each_hindrance(facts, reason):
    run = msgspec.structs.replace(RUNNABLE, **facts)
    assert [found for check in BEFORE_RUN if (found := check(run))] == [reason]


@pytest.mark.parametrize("first", range(len(HINDRANCES) - 1))
def test_the_first_of_several_reasons_counts(first):
    later = {name: value for facts, _ in reversed(HINDRANCES[first:]) for name, value in facts.items()}
    assert reason_not_to_run(msgspec.structs.replace(RUNNABLE, **later)) == HINDRANCES[first][1]


def test_a_message_that_waits_for_its_budget_is_not_counted_as_passed_over_too():
    run = msgspec.structs.replace(RUNNABLE, over_budget="too much", health=PluginHealth(quarantine_seconds=5))
    assert reason_not_to_run(run) == OverBudget("too much")


def test_messages_of_people_are_taken_by_all_and_those_of_bots_by_plugins_that_ask_for_them():
    of_a_bot = replace(MESSAGE, causality=Causality(MESSAGE.id, 1))
    plugins = [PLUGIN, replace(PLUGIN, bot_messages=True)]
    taken = [[reason_not_taken(DueRun(message, plugin)) for plugin in plugins] for message in (MESSAGE, of_a_bot)]
    assert taken == [
        [None, None],
        [NotTaken("its author is a bot, and the plugin does not take messages of bots"), None],
    ]
