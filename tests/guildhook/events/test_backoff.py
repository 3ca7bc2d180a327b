import pytest

from guildhook.events.backoff import Backoff


@pytest.mark.parametrize(
    ("receive_count", "longest"), [(1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (100, 900), (1_000_000, 900)]
)
def test_waits_grow_by_doubling_up_to_the_longest_and_half_of_them_is_drawn(receive_count, longest):
    backoff = Backoff(first_seconds=10, longest_seconds=900)
    waits = {backoff.seconds(receive_count) for _ in range(200)}
    assert longest / 2 <= min(waits) < max(waits) <= longest


def test_no_wait_is_no_wait():
    assert Backoff(first_seconds=0).seconds(5) == 0
