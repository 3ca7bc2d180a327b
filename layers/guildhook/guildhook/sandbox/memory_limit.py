"""Converts the limit on total memory into the limit on each memory that wasmtime enforces.

`Store.set_limits(memory_size=…)` bounds each memory by itself, and a module can have many. The bound is chosen so that
all memories together stay within the total, even if each of them grows as far as it can.
"""

from functools import lru_cache

from guildhook.model import MemoryType
from guildhook.sandbox.limits import WASM_PAGE_BYTES

_MAX_PAGES = 65_536
"""The size of the largest 32-bit memory."""


@lru_cache(maxsize=1024)
def limit_per_memory(memories: tuple[MemoryType, ...], cap_bytes: int) -> int | None:
    """The largest limit in bytes for each memory that keeps the total within `cap_bytes`; None if there is none."""
    cap = cap_bytes // WASM_PAGE_BYTES
    largest = min(cap, _MAX_PAGES)
    floor = max((memory.minimum for memory in memories), default=0)
    fitting = (pages for pages in range(largest, floor - 1, -1) if _grown(memories, pages) <= cap)
    pages = next(fitting, None)
    return None if pages is None else pages * WASM_PAGE_BYTES


def too_much_memory(memories: tuple[MemoryType, ...], cap_bytes: int) -> str:
    """The reason why `limit_per_memory` is None for these memories."""
    needed = sum(memory.minimum for memory in memories) * WASM_PAGE_BYTES
    return (
        f"its {len(memories)} memories start with {needed} bytes and can grow past the limit of {cap_bytes} bytes; "
        "declare smaller memories with a maximum"
    )


def _grown(memories: tuple[MemoryType, ...], pages: int) -> int:
    return sum(pages if m.maximum is None else min(m.maximum, pages) for m in memories)
