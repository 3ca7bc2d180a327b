"""The statements of compile_plugin: artifacts of wasm, and the check of uploaded versions."""

from guildhook.store.compiling.compile_store import ArtifactKey, CompileStore
from guildhook.store.compiling.version_check import UncheckedVersion, VersionFindings

__all__ = ["ArtifactKey", "CompileStore", "UncheckedVersion", "VersionFindings"]
