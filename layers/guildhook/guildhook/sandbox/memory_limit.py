"""How the cap on total memory becomes a limit that wasmtime enforces.

`Store.set_limits(memory_size=…)` bounds every memory by itself, and a module can have many. So the bound is
chosen such that all of them together, each grown as far as it can, stay within the cap.
"""

from functools import lru_cache

from guildhook.model import MemoryType
from guildhook.sandbox.limits import WASM_PAGE_BYTES

_MAX_PAGES = 65_536
"""Of a 32-bit memory."""


@lru_cache(maxsize=1024)
def limit_per_memory(memories: tuple[MemoryType, ...], cap_bytes: int) -> int | None:
    """Bytes each memory may have, as many as `cap_bytes` in total allow; None where no limit is low enough."""
    cap = cap_bytes // WASM_PAGE_BYTES
    largest = min(cap, _MAX_PAGES)
    floor = max((memory.minimum for memory in memories), default=0)
    fitting = (pages for pages in range(largest, floor - 1, -1) if _grown(memories, pages) <= cap)
    pages = next(fitting, None)
    return None if pages is None else pages * WASM_PAGE_BYTES


def too_much_memory(memories: tuple[MemoryType, ...], cap_bytes: int) -> str:
    """Why there is no limit for these memories."""
    needed = sum(memory.minimum for memory in memories) * WASM_PAGE_BYTES
    return (
        f"its {len(memories)} memories start with {needed} bytes and can grow past the limit of {cap_bytes} bytes; "
        "declare smaller ones, and a maximum for each"
    )


def _grown(memories: tuple[MemoryType, ...], pages: int) -> int:
    return sum(pages if m.maximum is None else min(m.maximum, pages) for m in memories)
