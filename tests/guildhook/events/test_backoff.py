import pytest

from guildhook.events.backoff import Backoff, doubled, jittered


@pytest.mark.parametrize(
    ("receive_count", "longest"), [(1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (100, 900), (1_000_000, 900)]
)
def test_waits_grow_by_doubling_up_to_the_longest_and_half_of_them_is_drawn(receive_count, longest):
    backoff = Backoff(first_seconds=10, longest_seconds=900)
    waits = {backoff.seconds(receive_count) for _ in range(200)}
    assert longest / 2 <= min(waits) < max(waits) <= longest


def test_a_first_wait_of_zero_turns_waits_off():
    assert Backoff(first_seconds=0).seconds(5) == 0


@pytest.mark.parametrize(("doublings", "seconds"), [(0, 0.5), (1, 1), (3, 4), (4, 7), (1_000_000, 7)])
def test_a_pause_doubles_up_to_the_longest(doublings, seconds):
    assert doubled(0.5, doublings, 7) == seconds


def test_jitter_draws_from_the_shortest_to_the_longest():
    drawn = {jittered(3, shortest_seconds=2) for _ in range(100)}
    assert 2 <= min(drawn) < max(drawn) <= 3
    assert 0 <= min(jittered(1) for _ in range(100)) < 0.5
