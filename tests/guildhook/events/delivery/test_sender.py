import re
import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from guildhook.chat import Pause, SendResult
from guildhook.events.delivery import BreakerRules, CircuitBreaker, Sender
from guildhook.model import Causality, DeliveryState, OutgoingIntent, SendMessage
from resource_limits import no_more_threads

DELIVERED = SendResult(DeliveryState.DELIVERED, "id")
REFUSED = SendResult(DeliveryState.REFUSED, "FORBIDDEN")
FAILED = SendResult(DeliveryState.PENDING, "HTTP 500", server_failed=True)
LIMITED = SendResult(DeliveryState.PENDING, "HTTP 429", pause=Pause(2, everywhere=False))


class Clock:
    """A clock that advances only when somebody sleeps."""

    def __init__(self):
        self.time = 1_000.0
        self.waits = []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.time += seconds


class ScriptedChat:
    """A chat API that gives each content its results in turn, repeats the last one, and delivers all other contents."""

    def __init__(self, clock, answers=None, seconds=0.0):
        self._clock, self._answers, self._seconds = clock, answers or {}, seconds
        self.sent = []
        self.timeouts = []

    def send(self, outgoing, timeout_seconds):
        intent = outgoing.intent
        self.sent.append((intent.channel_id, intent.content))
        self.timeouts.append(timeout_seconds)
        self._clock.time += self._seconds
        answers = self._answers.get(intent.content, [DELIVERED])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self):
        """Do nothing: there is no connection."""

    def close(self):
        """Do nothing."""


@pytest.fixture
def clock():
    return Clock()


def outgoing(channel, *contents):
    message = uuid4()
    intents = [SendMessage(str(uuid4()), i, str(channel), content) for i, content in enumerate(contents)]
    return [OutgoingIntent(message, uuid4(), uuid4(), intent, Causality(message, 1)) for intent in intents]


def sender(chat, clock, **rules):
    return Sender(chat, CircuitBreaker(replace(BreakerRules(), **rules)), clock.now, clock.sleep)


def contents(chat):
    return "".join(content for _, content in chat.sent)


def test_an_empty_list_sends_nothing(clock):
    assert sender(ScriptedChat(clock), clock).send([], clock.time + 60) == []


def test_one_channel_gets_its_messages_in_order(clock):
    chat, todo = ScriptedChat(clock), outgoing(uuid4(), *"abcdefgh")
    deliveries = sender(chat, clock).send(todo, clock.time + 60)
    assert [delivery.key for delivery in deliveries] == [each.intent.key for each in todo]
    assert contents(chat) == "abcdefgh"


def test_channels_are_served_at_the_same_time(clock):
    # Every send waits until a send of each other channel is under way.
    meet = threading.Barrier(4)

    class MeetingChat(ScriptedChat):
        def send(self, outgoing, timeout_seconds):
            meet.wait(timeout=60)
            return super().send(outgoing, timeout_seconds)

    todo = [each for _ in range(4) for each in outgoing(uuid4(), "x")]
    assert len(sender(MeetingChat(clock), clock).send(todo, float("inf"))) == 4


def test_messages_behind_a_pending_one_wait_and_other_channels_do_not(clock):
    chat = ScriptedChat(clock, {"b": [FAILED]})
    todo = outgoing(uuid4(), *"abc") + outgoing(uuid4(), *"de")
    deliveries = sender(chat, clock).send(todo, clock.time + 60)
    assert sorted(set(contents(chat))) == ["a", "b", "d", "e"]
    assert sorted(delivery.state for delivery in deliveries) == ["delivered"] * 3 + ["pending"]


def test_a_refusal_is_final_and_the_next_message_is_sent(clock):
    chat = ScriptedChat(clock, {"a": [REFUSED]})
    refused, delivered = sender(chat, clock).send(outgoing(uuid4(), *"ab"), clock.time + 60)
    assert (refused.state, refused.detail) == (DeliveryState.REFUSED, "FORBIDDEN")
    assert delivered.state is DeliveryState.DELIVERED
    assert contents(chat) == "ab"


def test_a_fault_is_tried_three_times_with_growing_waits_and_then_left_to_the_queue(clock):
    chat = ScriptedChat(clock, {"a": [FAILED]})
    (delivery,) = sender(chat, clock).send(outgoing(uuid4(), "a"), clock.time + 60)
    assert contents(chat) == "aaa"
    assert (delivery.state, delivery.detail, delivery.retry_seconds) == (DeliveryState.PENDING, "HTTP 500", 0)
    first, second = clock.waits
    assert 0 <= first <= 0.2
    assert 0 <= second <= 0.4


def test_a_fault_that_passes_is_delivered_at_the_next_attempt(clock):
    chat = ScriptedChat(clock, {"a": [FAILED, FAILED, DELIVERED]})
    (delivery,) = sender(chat, clock).send(outgoing(uuid4(), "a"), clock.time + 60)
    assert delivery.state is DeliveryState.DELIVERED


def test_a_pause_is_kept_in_its_channel_and_no_other(clock):
    chat = ScriptedChat(clock, {"a": [LIMITED, DELIVERED]})
    sending, limited = sender(chat, clock), uuid4()
    (delivery,) = sending.send(outgoing(limited, "a"), clock.time + 60)
    assert delivery.state is DeliveryState.DELIVERED
    # The sender waits for the rest of the pause, of which the backoff has taken a part.
    assert sum(clock.waits) == pytest.approx(2)


def test_a_pause_of_a_send_that_failed_is_kept_without_a_second_attempt(clock):
    chat = ScriptedChat(clock, {"a": [replace(FAILED, pause=Pause(65, everywhere=False))]})
    (delivery,) = sender(chat, clock).send(outgoing(uuid4(), "a"), clock.time + 60)
    assert (delivery.state, delivery.retry_seconds) == (DeliveryState.PENDING, pytest.approx(65, abs=1))
    assert contents(chat) == "a"


def test_a_pause_everywhere_holds_up_the_other_channels(clock):
    everywhere = replace(LIMITED, pause=Pause(100, everywhere=True))
    chat = ScriptedChat(clock, {"a": [everywhere]})
    sending = sender(chat, clock)
    sending.send(outgoing(uuid4(), "a"), clock.time + 60)
    (delivery,) = sending.send(outgoing(uuid4(), "b"), clock.time + 60)
    assert (delivery.state, delivery.retry_seconds) == (DeliveryState.PENDING, pytest.approx(100, abs=1))
    assert contents(chat) == "a"


def test_a_long_pause_is_left_to_the_queue_for_as_long_as_it_takes(clock):
    chat = ScriptedChat(clock, {"a": [replace(LIMITED, pause=Pause(1_800, everywhere=False))]})
    (delivery,) = sender(chat, clock).send(outgoing(uuid4(), "a"), clock.time + 60)
    assert (delivery.state, delivery.retry_seconds) == (DeliveryState.PENDING, pytest.approx(1_800, abs=1))
    assert delivery.detail.startswith("the chat API asks to wait for 1")
    assert contents(chat) == "a"


def test_an_open_circuit_stops_all_remaining_sends(clock):
    chat = ScriptedChat(clock, {"x": [FAILED]})
    sending = sender(chat, clock, channels=1, pause_seconds=30)
    sending.send(outgoing(uuid4(), "x"), clock.time + 60)
    deliveries = sending.send([each for _ in range(20) for each in outgoing(uuid4(), "y")], clock.time + 60)
    assert contents(chat) == "x"
    assert {delivery.state for delivery in deliveries} == {DeliveryState.PENDING}
    assert all(29 < delivery.retry_seconds < 31 for delivery in deliveries)
    assert re.fullmatch(r"not tried for .* s more, since the circuit is open: HTTP 500", deliveries[0].detail)


def test_a_server_that_answers_again_is_used_again(clock):
    chat = ScriptedChat(clock, {"x": [FAILED, DELIVERED]})
    sending = sender(chat, clock, channels=1, pause_seconds=30)
    sending.send(outgoing(uuid4(), "x"), clock.time + 60)
    assert sending.breaker.is_open
    clock.time += 31
    assert sending.send(outgoing(uuid4(), "x"), clock.time + 60)[0].state is DeliveryState.DELIVERED
    assert not sending.breaker.is_open


def test_refusals_and_pauses_do_not_open_the_circuit(clock):
    chat = ScriptedChat(clock, {"r": [REFUSED], "l": [LIMITED]})
    sending = sender(chat, clock, channels=2)
    for _ in range(5):
        sending.send(outgoing(uuid4(), "r") + outgoing(uuid4(), "l"), clock.time + 60)
    assert not sending.breaker.is_open


def test_nothing_is_begun_without_time_and_no_attempt_may_take_longer_than_is_left(clock):
    chat = ScriptedChat(clock, seconds=4)
    deadline = clock.time + 10
    deliveries = sender(chat, clock).send(outgoing(uuid4(), *"abcde"), deadline)
    assert contents(chat) == "abc"
    # Each attempt ends a moment before the deadline, so that its answer is not lost.
    assert chat.timeouts == pytest.approx([9.9, 5.9, 1.9])
    assert deliveries[-1].detail == "no time was left to send it"


def test_no_wait_goes_past_the_deadline(clock):
    chat = ScriptedChat(clock, {"a": [LIMITED]})
    deadline = clock.time + 1.5
    (delivery,) = sender(chat, clock).send(outgoing(uuid4(), "a"), deadline)
    assert delivery.state is DeliveryState.PENDING
    assert contents(chat) == "a"
    assert clock.time < deadline


def test_a_wait_that_took_longer_than_it_should_leaves_no_time_for_an_attempt(clock):
    chat = ScriptedChat(clock, {"a": [LIMITED]})
    sending = Sender(chat, CircuitBreaker(), clock.now, lambda seconds: clock.sleep(seconds + 1))
    (delivery,) = sending.send(outgoing(uuid4(), "a"), clock.time + 2.9)
    assert delivery.detail == "no time was left to send it"
    assert contents(chat) == "a"


def test_repeated_failures_in_fewer_channels_than_the_threshold_do_not_open_the_circuit(clock):
    chat = ScriptedChat(clock, {"x": [FAILED]})
    sending, bad = sender(chat, clock, channels=3), [uuid4(), uuid4()]
    for _ in range(5):
        sending.send([each for channel in bad for each in outgoing(channel, "x")], clock.time + 60)
    assert sending.send(outgoing(uuid4(), "y"), clock.time + 60)[0].state is DeliveryState.DELIVERED


def test_messages_for_which_there_is_no_thread_are_not_tried(clock, caplog):
    chat = ScriptedChat(clock)
    with no_more_threads():
        assert sender(chat, clock).send([*outgoing("a", "1"), *outgoing("b", "2")], clock.now() + 60) == []
    assert chat.sent == []
    assert "no further thread" in caplog.text


def test_an_endless_answer_is_not_waited_for(clock):
    release, begun = threading.Event(), threading.Event()

    class EndlessChat(ScriptedChat):
        def send(self, outgoing, timeout_seconds):
            begun.set()
            release.wait()
            return super().send(outgoing, timeout_seconds)

    chat, channel = EndlessChat(clock), uuid4()
    sending = Sender(chat, CircuitBreaker(BreakerRules(channels=1)))  # by the real clock
    try:
        assert sending.send(outgoing(channel, "a"), sending._now() + 0.5) == []
        assert begun.is_set()
        assert sending.breaker.is_open
    finally:
        release.set()
