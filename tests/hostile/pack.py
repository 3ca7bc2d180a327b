"""The table of cases, and the check of the end of each."""

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from wasmtime import wat2wasm

from hostile import uploads
from hostile.attempt import Ending

_FOLDER = Path(__file__).parent
_TABLE = _FOLDER / "cases.toml"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table of cases.toml; the README explains the fields."""

    name: str
    source: str
    tries: str
    expected: tuple[str, ...]
    detail: str = ""
    log: str = ""
    sends: int = 0
    kept_keys: int = 0
    permissions: tuple[str, ...] = ("SEND_MESSAGES",)
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    compile_seconds: int | None = None
    """Where compiling is the attack; None is guildhook's default."""
    missed_growth_mib: float = 0
    """The bound for a case that misses the goal for memory growth; docs/decisions/0014-utf-8-only.md has the reason."""

    @cached_property
    def wasm(self) -> bytes:
        """The upload."""
        file, _, function = self.source.partition(":")
        if function:
            return bytes(getattr(uploads, function)())
        return bytes(wat2wasm((_FOLDER / file).read_text()))

    def faults(self, ending: Ending) -> list[str]:
        """Violations of the expectations; run.py has the bounds for times and growth."""
        expected_sends, expected_keys = (self.sends, self.kept_keys) if ending.outcome == "ok" else (0, 0)
        faults = []
        if ending.outcome not in self.expected:
            faults.append(f"ended {ending.outcome} ({ending.detail})")
        if self.detail not in ending.detail:
            faults.append(f"{self.detail!r} is not in the detail {ending.detail!r}")
        if not any(self.log in line for line in ("", *ending.logs)):
            faults.append(f"{self.log!r} is not in the log {ending.logs}")
        if ending.sends != expected_sends:
            faults.append(f"sends {ending.sends} messages instead of {expected_sends}")
        if ending.kept_keys != expected_keys:
            faults.append(f"keeps a state of {ending.kept_keys} keys instead of {expected_keys}")
        # The run's own measurement leaves out the call of the sandbox.
        if ending.charged_ms + 1 < ending.cpu_ms:
            faults.append(f"takes {ending.cpu_ms:.1f} ms of CPU time and is charged {ending.charged_ms:.1f} ms")
        if any(not character.isprintable() for character in ending.detail):
            faults.append("the detail has control characters")
        return faults


def read_cases() -> list[Case]:
    table = tomllib.loads(_TABLE.read_text())
    return [_case(name, fields) for name, fields in table.items()]


def _case(name: str, fields: dict[str, Any]) -> Case:
    expected = fields.pop("expected")
    fields.setdefault("source", f"cases/{name}.wat")
    return Case(name=name, expected=(expected,) if isinstance(expected, str) else tuple(expected), **fields)
