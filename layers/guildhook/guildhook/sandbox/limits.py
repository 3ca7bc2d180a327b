"""What one run may use. Units are in the names."""

from dataclasses import dataclass, fields

WASM_PAGE_BYTES = 64 * 1024
# What wasmtime's C API and a BIGINT both hold.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    fuel: int = 100_000_000
    """About one unit for each WebAssembly instruction; calls of the host cost fuel as well."""
    memory_bytes: int = 16 * 1024 * 1024
    """Linear memory in total, over all memories of the instance."""
    deadline_ms: int = 250
    """Wall time of the run, instantiation and host calls included."""
    instances: int = 100
    tables: int = 50
    table_elements: int = 20_000
    """For each table."""
    host_calls: int = 64
    host_call_bytes: int = 1024 * 1024
    """Of text that passes between plugin and host, both ways together."""
    sends: int = 5
    content_chars: int = 4_000
    """Of one message; the chat API takes no longer ones."""
    state_keys: int = 256
    state_key_bytes: int = 256
    """Of one key."""
    state_bytes: int = 64 * 1024
    """Of the whole state of a plugin in a guild: keys and values together, in UTF-8."""
    log_line_bytes: int = 4 * 1024
    """A longer line is cut."""
    log_lines: int = 100
    log_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= _LARGEST:
                raise ValueError(f"limit {field.name} is {value}; it must be from 0 to {_LARGEST}")
