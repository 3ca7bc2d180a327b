"""The limits of one run. Units are in the names."""

from dataclasses import dataclass, fields

WASM_PAGE_BYTES = 64 * 1024
# The largest value that both wasmtime's C API and a BIGINT of Postgres can hold.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    fuel: int = 100_000_000
    """An instruction costs about one unit, and host calls cost fuel as well."""
    memory_bytes: int = 16 * 1024 * 1024
    """The linear memory of all memories of the instance together."""
    deadline_ms: int = 250
    """The wall time of the run, with instantiation and host calls."""
    instances: int = 100
    """The core instances of the component."""
    tables: int = 50
    """The tables of all instances together."""
    table_elements: int = 20_000
    """The elements of each table."""
    host_calls: int = 64
    """The calls of `host-api`, `settings` and `state`. One more ends the run."""
    host_call_bytes: int = 1024 * 1024
    """The bytes of text that host calls pass, in both directions together. One more ends the run."""
    sends: int = 5
    """The messages that a run may send. The plugin gets an error for one more."""
    content_chars: int = 4_000
    """The characters of a message, which is the chat API's limit. The plugin gets an error for a longer one."""
    state_keys: int = 256
    """The keys in a plugin's state. The plugin gets an error for one more."""
    state_key_bytes: int = 256
    """The bytes of each of these keys. The plugin gets an error for a longer one."""
    state_bytes: int = 64 * 1024
    """The bytes of a plugin's state: keys and values together, in UTF-8. The plugin gets an error for more."""
    log_line_bytes: int = 4 * 1024
    """The bytes of a line of log. A longer line is cut."""
    log_lines: int = 100
    """The lines of log. One more ends the run."""
    log_bytes: int = 64 * 1024
    """The bytes of log. One more ends the run."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= _LARGEST:
                raise ValueError(f"limit {field.name} is {value}; it must be from 0 to {_LARGEST}")
