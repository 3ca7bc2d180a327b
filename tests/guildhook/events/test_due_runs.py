from dataclasses import replace
from uuid import uuid4

import pytest

from guildhook.events.batch import ANOTHER_BODY, DELETED
from guildhook.events.checks import DueRun
from guildhook.events.due_runs import find_due_runs, needed_modules
from guildhook.model import Causality, Refusal
from guildhook.modules import NeededModule
from guildhook.store.events import RecordedRun, Snapshot
from samples import MESSAGE, installed_plugin, new_message, shadow_of

LIVE = installed_plugin(b"live")
SHADOW = shadow_of(LIVE, b"shadow")


def snapshot(*plugins, recorded=(), shadow_runs=()):
    return Snapshot(
        plugins={MESSAGE.guild_id: plugins},
        runs={(run.message_id, run.plugin_id): run for run in recorded},
        spent={},
        minute_seconds_left=0,
        shadow_runs=frozenset(shadow_runs),
    )


def recorded(message=MESSAGE, plugin=LIVE, message_sha256=MESSAGE.sha256):
    return RecordedRun(message.id, plugin.id, message_sha256, pending=())


def test_each_message_is_due_for_each_plugin_of_its_guild_and_for_shadows_apart():
    other, elsewhere = new_message(), new_message(uuid4())
    neighbour = installed_plugin(b"neighbour")
    due = find_due_runs([MESSAGE, other, elsewhere], snapshot(LIVE, neighbour, SHADOW))
    assert due.live == [DueRun(message, plugin) for message in (MESSAGE, other) for plugin in (LIVE, neighbour)]
    assert due.shadows == [DueRun(message, SHADOW) for message in (MESSAGE, other)]
    assert due.skipped == {elsewhere.id: "no enabled plugin of its guild takes it"}


def test_recorded_runs_are_not_due_again():
    due = find_due_runs([MESSAGE], snapshot(LIVE, SHADOW, recorded=[recorded()]))
    assert (due.live, due.shadows, due.skipped) == ([], [DueRun(MESSAGE, SHADOW)], {})
    due = find_due_runs([MESSAGE], snapshot(LIVE, SHADOW, shadow_runs=[(MESSAGE.id, SHADOW.version_id)]))
    assert (due.live, due.shadows) == ([DueRun(MESSAGE, LIVE)], [])


@pytest.mark.parametrize("plugins", [(LIVE,), (SHADOW,)])
def test_a_message_of_a_bot_that_no_live_version_takes_is_skipped(plugins):
    message = replace(MESSAGE, causality=Causality(uuid4(), 1))
    due = find_due_runs([message], snapshot(*plugins))
    assert (due.live, due.shadows) == ([], [])
    assert due.skipped == {MESSAGE.id: "no enabled plugin of its guild takes it"}


def test_a_shadow_alone_runs_and_the_message_counts_as_skipped():
    due = find_due_runs([MESSAGE], snapshot(SHADOW))
    assert due.shadows == [DueRun(MESSAGE, SHADOW)]
    assert list(due.skipped) == [MESSAGE.id]


def test_a_message_that_a_deleted_plugin_has_answered_is_not_skipped():
    assert find_due_runs([MESSAGE], snapshot(recorded=[recorded()])).skipped == {}


def test_a_message_that_was_recorded_with_another_body_is_due_for_nobody():
    changed = recorded(message_sha256=b"another body")
    neighbour = installed_plugin(b"neighbour")
    due = find_due_runs([MESSAGE], snapshot(LIVE, neighbour, SHADOW, recorded=[changed]))
    assert (due.live, due.shadows, due.skipped) == ([], [], {MESSAGE.id: ANOTHER_BODY})


@pytest.mark.parametrize("runs", [(), (recorded(),)])
def test_a_message_that_was_deleted_in_the_chat_is_due_for_nobody(runs):
    read = replace(snapshot(LIVE, SHADOW, recorded=runs), deleted=frozenset({(MESSAGE.guild_id, MESSAGE.id)}))
    due = find_due_runs([MESSAGE], read)
    assert (due.live, due.shadows, due.skipped) == ([], [], {MESSAGE.id: DELETED})


def test_a_message_of_another_guild_is_not_deleted():
    read = replace(snapshot(LIVE), deleted=frozenset({(uuid4(), MESSAGE.id)}))
    assert [run.message for run in find_due_runs([MESSAGE], read).live] == [MESSAGE]


def test_a_run_that_did_not_keep_its_body_agrees_with_every_body():
    kept_nothing = recorded(message_sha256=None)
    neighbour = installed_plugin(b"neighbour")
    assert find_due_runs([MESSAGE], snapshot(neighbour, recorded=[kept_nothing])).live == [DueRun(MESSAGE, neighbour)]


def test_a_module_that_several_runs_need_is_named_once():
    refused = installed_plugin(b"refused", compiled=Refusal("no component"))
    runs = [DueRun(message, plugin) for message in (MESSAGE, new_message()) for plugin in (LIVE, refused)]
    assert needed_modules(runs) == [NeededModule(b"live", None), NeededModule(b"refused", Refusal("no component"))]
