"""Runs plugins under limits of fuel, memory and time. Only this package uses wasmtime."""

from guildhook.sandbox.compiling.child_process import CompileLimits
from guildhook.sandbox.compiling.inspection import MAX_WASM_BYTES, Inspection, inspect, with_settings_schema
from guildhook.sandbox.engine import Engine, LoadedModule, printable
from guildhook.sandbox.limits import Limits
from guildhook.sandbox.sandbox import LoadedPlugin, Sandbox

__all__ = [
    "MAX_WASM_BYTES",
    "CompileLimits",
    "Engine",
    "Inspection",
    "Limits",
    "LoadedModule",
    "LoadedPlugin",
    "Sandbox",
    "inspect",
    "printable",
    "with_settings_schema",
]
