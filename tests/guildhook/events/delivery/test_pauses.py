import pytest

from guildhook.chat import Pause
from guildhook.events.delivery.pauses import Pauses


def test_a_channel_waits_for_itself_and_everything_for_a_pause_everywhere():
    pauses = Pauses()
    pauses.add(Pause(10, everywhere=False), "a", now=100)
    assert [pauses.seconds_to_wait(channel, 104) for channel in "ab"] == [6, 0]
    pauses.add(Pause(8, everywhere=True), "c", now=100)
    assert [pauses.seconds_to_wait(channel, 104) for channel in "ab"] == [6, 4]
    assert [pauses.seconds_to_wait(channel, 111) for channel in "ab"] == [0, 0]


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_shorter_pause_does_not_end_a_longer_one(everywhere):
    pauses = Pauses()
    pauses.add(Pause(10, everywhere), "a", now=0)
    pauses.add(Pause(1, everywhere), "a", now=0)
    assert pauses.seconds_to_wait("a", 0) == 10


def test_pauses_that_are_over_are_forgotten():
    pauses = Pauses()
    for channel in range(30_000):
        pauses.add(Pause(1, everywhere=False), str(channel), now=channel)
    assert len(pauses._channels) <= 10_000
    assert pauses.seconds_to_wait("29999", 29_999) == 1
