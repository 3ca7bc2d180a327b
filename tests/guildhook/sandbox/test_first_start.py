from pathlib import Path

import pytest

import wat
from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import RefusalKind
from guildhook.sandbox import Limits
from guildhook.sandbox.first_start import start_once

LOOPS = wat.plugin(wat.on_message("", "(func $run (loop (br 0))) (start $run)"))


@pytest.fixture
def start(engine, tmp_path: Path):
    def start(wasm: bytes, **limits: int) -> None:
        compiled = engine.compile(wasm)
        path = tmp_path / "artifact"
        path.write_bytes(compiled.artifact)
        start_once(engine, engine.load(path, compiled.memories), Limits(**limits))

    return start


def test_a_plugin_that_starts_is_accepted(start):
    start(wat.SILENT)


@pytest.mark.parametrize(
    ("wasm", "limits", "reason", "kind"),
    [
        (wat.plugin(wat.on_message("", "(func $run unreachable) (start $run)")), {}, "invalid", RefusalKind.START),
        (LOOPS, {}, "out_of_fuel", RefusalKind.START),
        (LOOPS, {"fuel": 10**15, "deadline_ms": 10}, "deadline: it used", RefusalKind.CPU_SECONDS),
    ],
)
def test_a_plugin_that_does_not_start_is_refused(start, wasm, limits, reason, kind):
    with pytest.raises(InvalidPluginError, match=f"it does not start: {reason}") as refused:
        start(wasm, **limits)
    assert refused.value.kind is kind


def test_a_start_that_gets_no_cpu_time_is_no_verdict(start, monkeypatch):
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    with pytest.raises(InfrastructureError, match="its first start ended as deadline"):
        start(LOOPS, fuel=10**15, deadline_ms=1)
