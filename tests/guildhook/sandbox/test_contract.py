import subprocess
import sys
from pathlib import Path

import pytest

from guildhook.sandbox import inspect
from guildhook.sandbox.contract import provides

WIT = Path(__file__).parents[3] / "wit" / "plugin.wit"
WASM_TOOLS = Path(sys.executable).parent / "wasm-tools"


def test_the_types_in_wasmtimes_terms_are_those_of_the_wit_file(engine, tmp_path):
    # A component that imports and exports all that the WIT file has; compiling compares every type.
    dummy, component = tmp_path / "dummy.wasm", tmp_path / "component.wasm"
    subprocess.run([WASM_TOOLS, "component", "embed", "--dummy", WIT, "-o", dummy], check=True)
    subprocess.run([WASM_TOOLS, "component", "new", dummy, "-o", component], check=True)
    wasm = component.read_bytes()
    assert inspect(wasm).imports == ("guildhook:plugin/host-api@1.0.0",)
    assert engine.compile(wasm).memories


@pytest.mark.parametrize(
    ("interface", "provided"),
    [
        ("guildhook:plugin/host-api@1.0.0", True),
        ("guildhook:plugin/host-api@1.12.3", True),
        ("guildhook:plugin/host-api@2.0.0", False),
        ("guildhook:plugin/host-api", False),
        ("guildhook:plugin/state@1.0.0", False),
        ("wasi:cli/environment@0.2.12", True),
        ("wasi:cli/environment@0.3.0", False),
        ("wasi:random/random@0.2.0", True),
        ("wasi:random/random@0.2.31", True),
        ("wasi:random/random@0.2.0-rc-2023-11-10", False),
    ],
)
def test_every_compatible_version_is_provided_and_no_other(interface, provided):
    assert provides(interface) is provided
