import pytest

from guildhook.model import MemoryType
from guildhook.sandbox.memory_limit import limit_per_memory

PAGE = 64 * 1024
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("memories", "pages"),
    [
        ([], 256),
        ([(1, None)], 256),
        ([(1, 10)], 256),
        ([(256, None)], 256),
        ([(257, None)], None),
        ([(1, None), (1, None)], 128),
        ([(1, None), (16, 16)], 240),
        ([(200, None), (16, 16)], 240),
        ([(200, None), (1, None)], None),
        ([(100, None), (1, 1), (1, 3)], 252),
        ([(0, None)] * 300, 0),
    ],
)
def test_all_memories_together_stay_within_the_cap(memories, pages):
    limit = limit_per_memory(tuple(MemoryType(*memory) for memory in memories), 16 * MIB)
    assert limit == (None if pages is None else pages * PAGE)


def test_a_cap_beyond_all_memory_is_found_at_once():
    growing = (MemoryType(1, None),) * 3
    assert limit_per_memory(growing, 2**63 - 1) == 65_536 * PAGE
