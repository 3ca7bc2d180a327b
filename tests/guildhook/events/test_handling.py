import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from guildhook.events.backoff import Backoff
from guildhook.events.batch import ANOTHER_BODY, QueueRecord, read_batch
from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.events.checks import DueRun, PassedOver, Postponed
from guildhook.events.handling import Handling, UnrecordedRuns
from guildhook.model import (
    Causality,
    Delivery,
    DeliveryState,
    Outcome,
    OutgoingIntent,
    PluginHealth,
    PluginState,
    RunResult,
    SendMessage,
)
from guildhook.store.events import DelayedMessage, RecordedBatch, RecordedRun, RunRecord, Snapshot
from samples import CHANNEL, MESSAGE, event, installed_plugin, new_message, shadow_of

AT_ONCE = Backoff(first_seconds=0)


def queue_record(record_id, body, receive_count=1):
    text = body if isinstance(body, str) else json.dumps(body)
    return QueueRecord(record_id, text, datetime.now(UTC), receive_count)


def create_handling(*bodies):
    return Handling(read_batch([queue_record(str(i), body) for i, body in enumerate(bodies)]), 100)


def snapshot(*plugins, recorded=()):
    guilds = {plugin.guild_id for plugin in plugins}
    return Snapshot(
        plugins={guild: tuple(plugin for plugin in plugins if plugin.guild_id == guild) for guild in guilds},
        runs={(run.message_id, run.plugin_id): run for run in recorded},
        spent={},
        minute_seconds_left=0,
    )


def budgets():
    return Budgets(lambda _guild: GuildBudget(), {})


def run_record(plugin, message=MESSAGE, outcome=Outcome.OK, state=None, sends=()):
    intents = tuple(SendMessage(key, position, CHANNEL, "hello") for position, key in enumerate(sends))
    result = RunResult(outcome, "", fuel_used=1, duration_us=1, host_calls=0, logs=(), intents=intents, state=state)
    return RunRecord(plugin, message, 0, result, 1_000)


def outgoing(key, channel_id=CHANNEL, message=MESSAGE):
    intent = SendMessage(key, 0, channel_id, "hello")
    return OutgoingIntent(message.id, message.guild_id, uuid4(), intent, Causality(message.id, 1))


def pending(key, seconds=0):
    return Delivery(key, DeliveryState.PENDING, "no answer", seconds)


# --- an attempt ----------------------------------------------------------------------------------------------------


def test_the_next_run_starts_with_the_state_and_health_that_the_last_one_left():
    plugin = installed_plugin(
        state=PluginState(7, {"n": "1"}), health=PluginHealth(failing=True, quarantine_seconds=-1)
    )
    runs = UnrecordedRuns()
    assert (runs.state_of(plugin), runs.health_of(plugin)) == (plugin.state, plugin.health)
    runs.add(run_record(plugin, state={"n": "2"}))
    assert (runs.state_of(plugin), runs.health_of(plugin)) == (PluginState(7, {"n": "2"}), PluginHealth())
    runs.add(run_record(plugin, outcome=Outcome.TRAP))
    assert (runs.state_of(plugin).entries, runs.health_of(plugin).failing) == ({"n": "2"}, True)


def test_a_shadow_changes_neither_state_nor_health_and_has_no_part_in_its_live_versions():
    plugin = installed_plugin(health=PluginHealth(failing=True, quarantine_seconds=-1))
    shadow = shadow_of(plugin, b"shadow")
    runs = UnrecordedRuns()
    runs.add_shadow(run_record(shadow, state={"n": "1"}))
    assert (runs.state_of(plugin), runs.health_of(plugin)) == (plugin.state, plugin.health)
    runs.add(run_record(plugin, outcome=Outcome.TRAP))
    assert runs.health_of(shadow) == shadow.health
    assert (len(runs.record().runs), len(runs.record().shadow_runs)) == (1, 1)


def test_an_attempt_yields_the_batch_to_record():
    plugin, quarantined = installed_plugin(), installed_plugin()
    late = DueRun(new_message(), plugin)
    runs = UnrecordedRuns()
    assert runs.record().empty
    runs.add(run_record(plugin, outcome=Outcome.TRAP))
    runs.passed_over += [PassedOver(MESSAGE.id, quarantined), PassedOver(uuid4(), quarantined)]
    runs.delay(late, "its plugins sent too much", 40)
    record = runs.record()
    assert [judgement.plugin for judgement in record.judgements] == [plugin]
    assert record.passed_over == {quarantined.id: 2}
    assert record.delayed == [DelayedMessage(late.message.id, plugin.guild_id, "its plugins sent too much")]
    reason = f"guild {plugin.guild_id} is over its budget: its plugins sent too much"
    assert runs.postponed == {late.message.id: Postponed(reason, 40)}


# --- a batch -------------------------------------------------------------------------------------------------------


def test_the_steps_of_a_batch_each_have_a_time_by_which_they_must_start():
    handling = Handling(read_batch([]), 100)
    assert (handling.latest_compile, handling.latest_start) == (60, 85)
    assert (handling.latest_send, handling.latest_statement) == (94, 96)


def test_a_batch_begins_with_the_runs_that_are_due_and_the_intents_that_are_left():
    handling = create_handling(event(MESSAGE.guild_id))
    (message,) = handling.batch.messages.values()
    plugin, answered = installed_plugin(), installed_plugin()
    left = outgoing("left")
    recorded = RecordedRun(message.id, answered.id, message.sha256, (left,))
    handling.begin(snapshot(plugin, answered, recorded=[recorded]), budgets())
    assert handling.ready == [DueRun(message, plugin)]
    assert handling.take_unsent() == [left]
    assert (handling.take_unsent(), handling.outgoing) == ([], {"left": left})


def test_messages_of_a_paused_guild_wait_with_their_intents_and_shadows_and_others_do_not():
    theirs, ours = uuid4(), uuid4()
    handling = create_handling(event(ours), event(theirs), event(theirs))
    first, second, third = handling.batch.messages.values()
    plugins = [installed_plugin(guild_id=guild) for guild in (ours, theirs)]
    answered = [RecordedRun(second.id, plugins[1].id, second.sha256, (outgoing("left", message=second),))]
    paused = replace(
        snapshot(*plugins, shadow_of(plugins[1], b"shadow"), recorded=answered), paused={theirs: "it floods"}
    )
    handling.begin(paused, budgets())
    assert handling.ready == [DueRun(first, plugins[0])]
    assert (handling.shadows, handling.take_unsent()) == ([], [])
    assert set(handling.postponed) == {second.id, third.id}
    assert handling.postponed[third.id].reason == f"guild {theirs} is paused by an operator: it floods"
    assert handling.skipped_records() == {}


def test_a_paused_guilds_messages_that_no_plugin_takes_do_not_wait():
    handling = create_handling(event(MESSAGE.guild_id))
    handling.begin(replace(snapshot(), paused={MESSAGE.guild_id: "it floods"}), budgets())
    assert handling.postponed == {}
    assert list(handling.skipped_records().values()) == ["no enabled plugin of its guild takes it"]


def test_a_message_waits_longer_each_time_while_its_guild_is_paused():
    guild = uuid4()
    waits = []
    for receive_count in range(1, 10):
        body = json.dumps(event(guild))
        handling = Handling(read_batch([QueueRecord("0", body, datetime.now(UTC), receive_count)]), 100)
        paused = replace(snapshot(installed_plugin(guild_id=guild)), paused={guild: "it floods"})
        handling.begin(paused, budgets())
        waits.append(handling.records_to_return(AT_ONCE)["0"].seconds)
    # They are half jitter. A queue hands a message out ten times.
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, (600, 1200, 2400, 4800), strict=False))
    assert all(3600 <= wait <= 7200 for wait in waits[4:])
    assert 6 * 3600 < sum(waits) < 13 * 3600


def test_the_first_reason_of_a_message_stays_and_its_longest_wait_counts():
    handling = create_handling()
    for why in (Postponed("first", 1), Postponed("second", 5), Postponed("third", 3)):
        handling.postpone([MESSAGE.id], why)
    assert handling.postponed == {MESSAGE.id: Postponed("first", 5)}


def test_after_recording_only_written_runs_count_and_only_pending_intents_are_sent():
    handling = create_handling()
    written, stale, busy = plugins = [installed_plugin() for _ in range(3)]
    messages = [new_message() for _ in plugins]
    runs = UnrecordedRuns()
    for plugin, message, keys in zip(plugins, messages, (["a", "refused"], ["b"], ["c"]), strict=True):
        runs.add(run_record(plugin, message, sends=keys))
    lost = uuid4()
    handling.note_recorded(
        runs,
        RecordedBatch(
            pending=frozenset({"a"}),
            lost=frozenset({(lost, written.id)}),
            stale=frozenset({stale.id}),
            busy=frozenset({busy.id}),
        ),
    )
    assert [run.plugin for run in handling.runs] == [written]
    assert [each.intent.key for each in handling.unsent] == ["a"]
    assert handling.postponed == {
        lost: Postponed("another delivery of the same message is under way"),
        messages[2].id: Postponed("its plugin is being deleted"),
    }


def test_runs_that_lost_a_race_are_due_again_on_the_new_state_and_their_shadows_too():
    handling = create_handling()
    plugin, disabled, neighbour = (installed_plugin() for _ in range(3))
    lost = [DueRun(MESSAGE, plugin), DueRun(MESSAGE, disabled)]
    kept = DueRun(new_message(), shadow_of(neighbour, b"shadow"))
    handling.shadows = [kept, DueRun(MESSAGE, shadow_of(plugin, b"old shadow"))]
    fresh = installed_plugin(id=plugin.id, state=PluginState(8, {}))
    shadow = shadow_of(fresh, b"new shadow")
    again = handling.begin_again(lost, snapshot(fresh, neighbour, shadow))
    assert again == [DueRun(MESSAGE, fresh)]
    assert handling.shadows == [kept, DueRun(MESSAGE, shadow)]
    assert handling.postponed == {}


def test_a_run_that_another_delivery_recorded_meanwhile_brings_its_message_back():
    handling = create_handling()
    plugin = installed_plugin()
    recorded = RecordedRun(MESSAGE.id, plugin.id, MESSAGE.sha256, ())
    assert handling.begin_again([DueRun(MESSAGE, plugin)], snapshot(plugin, recorded=[recorded])) == []
    assert handling.postponed == {MESSAGE.id: Postponed("another delivery of the same message is under way")}


def test_an_intent_that_is_still_pending_lets_no_later_one_of_its_channel_pass():
    handling = create_handling()
    slow, untried, other = outgoing("slow"), outgoing("untried", message=new_message()), outgoing("other", "elsewhere")
    done = Delivery("other", DeliveryState.DELIVERED, "id")
    handling.note_deliveries([slow, untried, other], [pending("slow", 7), done])
    assert handling.postponed == {
        slow.message_id: Postponed("no answer", 7),
        untried.message_id: Postponed(
            "no time was left to send it, or an earlier message to its channel is still to be sent"
        ),
    }
    assert handling.sendable([outgoing("later"), other]) == [other]


def test_all_records_of_a_message_come_back_and_a_malformed_one_at_once():
    body = event()
    batch = read_batch(
        [queue_record("0", body), queue_record("1", body, receive_count=3), queue_record("2", "{", receive_count=9)]
    )
    handling = Handling(batch, 100)
    handling.postpone(batch.messages, Postponed("no answer"))
    records = handling.records_to_return(Backoff(first_seconds=8, longest_seconds=60))
    assert {record_id: why.reason.split(":")[0] for record_id, why in records.items()} == {
        "0": "no answer",
        "1": "no answer",
        "2": "not JSON",
    }
    assert 4 <= records["0"].seconds <= 8
    assert 16 <= records["1"].seconds <= 32
    assert records["2"].seconds == 0


def test_a_record_waits_at_least_as_long_as_its_reason_asks():
    handling = create_handling(event())
    handling.postpone(handling.batch.messages, Postponed("asked to wait", 1_000))
    assert handling.records_to_return(AT_ONCE) == {"0": Postponed("asked to wait", 1_000)}


def test_a_second_body_in_one_batch_comes_back():
    first = event()
    second = {**first, "message": {**first["message"], "content": "edited"}}
    assert create_handling(first, second).records_to_return(AT_ONCE) == {"1": Postponed(ANOTHER_BODY)}


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_skipped_message_that_comes_back_for_another_reason_is_not_reported_yet(comes_back):
    handling = create_handling(event(), event(encrypted=True))
    handling.begin(snapshot(), budgets())
    if comes_back:
        handling.postpone(handling.batch.messages, Postponed("no answer"))
    skipped = {"1": "encrypted message"}
    if not comes_back:
        skipped["0"] = "no enabled plugin of its guild takes it"
    assert handling.skipped_records() == skipped
