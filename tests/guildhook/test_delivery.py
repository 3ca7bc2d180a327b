import threading
from uuid import UUID, uuid4

from guildhook.delivery import deliver
from guildhook.model import Delivery, DeliveryState, SendMessage


class RecordingChat:
    """A chat API that keeps what it was asked to send; `failing` contents stay pending."""

    def __init__(self, failing=(), meet: threading.Barrier | None = None):
        self.sent: list[tuple[UUID, str]] = []
        self._failing, self._meet = failing, meet

    def send(self, intent: SendMessage) -> Delivery:
        if self._meet:
            self._meet.wait(timeout=10)
        self.sent.append((intent.channel_id, intent.content))
        failed = intent.content in self._failing
        return Delivery(intent.key, DeliveryState.PENDING if failed else DeliveryState.DELIVERED, "")


def intents(channel, *contents):
    return [SendMessage(str(uuid4()), i, str(channel), content) for i, content in enumerate(contents)]


def test_nothing_to_send_is_nothing_done():
    assert deliver(RecordingChat(), []) == []


def test_one_channel_gets_its_messages_in_order():
    chat, channel = RecordingChat(), uuid4()
    todo = intents(channel, *"abcdefgh")
    assert [delivery.key for delivery in deliver(chat, todo)] == [intent.key for intent in todo]
    assert chat.sent == [(str(channel), content) for content in "abcdefgh"]


def test_channels_are_served_at_the_same_time():
    # Every send waits until a send of each other channel is under way.
    chat = RecordingChat(meet=threading.Barrier(4))
    assert len(deliver(chat, [intent for _ in range(4) for intent in intents(uuid4(), "x")])) == 4


def test_what_is_behind_a_pending_message_waits_and_other_channels_do_not():
    chat, stuck, free = RecordingChat(failing="b"), uuid4(), uuid4()
    deliveries = deliver(chat, intents(stuck, "a", "b", "c") + intents(free, "d", "e"))
    assert sorted(content for _, content in chat.sent) == ["a", "b", "d", "e"]
    assert [delivery.state for delivery in deliveries].count(DeliveryState.PENDING) == 1
