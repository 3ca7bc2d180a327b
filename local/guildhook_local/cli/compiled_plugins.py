"""Keeps compiled plugins in the user's cache folder, so that an unchanged plugin is compiled once.

The files are native code that this process will run. The folder must therefore be the user's own, and closed to
everybody else; and a file is loaded only if its bytes have the digest that was noted when it was compiled.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import CompiledModule
from guildhook.modules.artifact_bucket import DamagedArtifactError
from guildhook.modules.disk_cache import DiskCache
from guildhook.sandbox import Engine, Inspection, LoadedModule
from guildhook_local.cli import streams
from guildhook_local.cli.visible_text import visible
from guildhook_local.output_files import replace_file

LIMIT_BYTES: Final = 512 * 1024 * 1024
"""The size of all compiled plugins in the folder. The least recently used are deleted first."""
_OWNER_ONLY: Final = 0o700
_OTHERS: Final = 0o077
_DIGEST_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class CompiledPlugins:
    """The folder, by a descriptor of this process: nobody can put another folder in its place."""

    folder: Path

    @property
    def has_links(self) -> bool:
        """A part of the folder is elsewhere, among files that are not to be deleted for their age."""
        return (self.folder / "modules").is_symlink() or self._notes.is_symlink()

    def find(self, wasm_sha256: bytes, engine: str) -> Path | None:
        """The native code of a plugin; None if it is not there, or damaged, or cannot be read."""
        try:
            digest = (self._notes / _note(wasm_sha256, engine)).read_text(encoding="ascii")
            path = self._files.find(bytes.fromhex(digest)) if len(digest) == _DIGEST_CHARS else None
        except (OSError, ValueError, InfrastructureError, DamagedArtifactError):
            return None
        if path is not None:
            with suppress(OSError):
                os.utime(path)  # the cache of the next process deletes the oldest files first
        return path

    def add(self, wasm_sha256: bytes, engine: str, artifact: bytes) -> Path | None:
        """Keep the native code of a plugin; None if there is no room for it, or the disk fails."""
        digest = sha256(artifact).digest()
        try:
            path = self._files.add(digest, len(artifact), [artifact])
            self._notes.mkdir(mode=_OWNER_ONLY, exist_ok=True)
            self._drop_notes_of_deleted_files()
            replace_file(self._notes / _note(wasm_sha256, engine), digest.hex().encode(), private=True)
        except (OSError, InfrastructureError):
            return None
        return path

    @property
    def _files(self) -> DiskCache:
        return DiskCache(self.folder / "modules", LIMIT_BYTES)

    @property
    def _notes(self) -> Path:
        return self.folder / "digests"

    def _drop_notes_of_deleted_files(self) -> None:
        for note in self._notes.iterdir():
            with suppress(OSError, ValueError):
                if not (self.folder / "modules" / note.read_text(encoding="ascii")).exists():
                    note.unlink(missing_ok=True)


@contextmanager
def compiled_plugins(environment: Mapping[str, str]) -> Iterator[CompiledPlugins | None]:
    """The user's cache folder, which is created if it is missing; None if there is none that can be used.

    A folder that somebody else can write to is not used, and a line on standard error names it.
    """
    path = cache_folder(environment)
    descriptor = _opened(path) if path else None
    if descriptor is None:
        yield None
        return
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
            streams.note(
                f"guildhook: compiled plugins are not kept: {visible(str(path))} must belong to you and be closed to "
                "others; delete the folder"
            )
            yield None
        else:
            kept = CompiledPlugins(Path(f"/proc/self/fd/{descriptor}"))
            yield None if kept.has_links else kept
    finally:
        os.close(descriptor)


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder by the XDG Base Directory Specification, which ignores relative paths; None without a home."""
    for variable, below in (("XDG_CACHE_HOME", "guildhook"), ("HOME", ".cache/guildhook")):
        base = environment.get(variable, "")
        if base.startswith("/"):
            return Path(base, below)
    return None


@dataclass(frozen=True, slots=True)
class PluginLoader:
    """Loads one plugin, from the user's cache or compiled now."""

    engine: Engine
    wasm: bytes
    _kept: CompiledPlugins | None
    _search: Future[tuple[bytes, Path | None]]

    @property
    def wasm_sha256(self) -> bytes:
        return self._search.result()[0]

    def load(self, inspection: Inspection, compiling: Callable[[], AbstractContextManager[object]]) -> LoadedModule:
        """The module of the plugin. `inspection` is that of the plugin, and `compiling` surrounds a compile.

        Raises InvalidPluginError, InfrastructureError.
        """
        if not inspection.accepted:
            raise InvalidPluginError("; ".join(inspection.reasons))
        digest, found = self._search.result()
        if found is not None:
            # Another process may have deleted it, and the folder may be on a file system of the kind noexec.
            with suppress(InfrastructureError):
                return self.engine.load(found, inspection.memories)
        with compiling():
            compiled = self.engine.compile(self.wasm)
        added = self._kept.add(digest, self.engine.fingerprint, compiled.artifact) if self._kept else None
        if added is not None:
            with suppress(InfrastructureError):
                return self.engine.load(added, inspection.memories)
        return _load_new(self.engine, compiled)


@contextmanager
def plugin_loader(engine: Engine, wasm: bytes, environment: Mapping[str, str]) -> Iterator[PluginLoader]:
    """Begin to look for a plugin's native code.

    A thread of its own hashes both files meanwhile: that takes as long as the inspection of a large plugin.
    """
    with compiled_plugins(environment) as kept, ThreadPoolExecutor(1) as thread:
        yield PluginLoader(engine, wasm, kept, thread.submit(_searched, kept, wasm, engine.fingerprint))


def _searched(kept: CompiledPlugins | None, wasm: bytes, engine: str) -> tuple[bytes, Path | None]:
    digest = sha256(wasm).digest()
    return digest, kept.find(digest, engine) if kept else None


def _load_new(engine: Engine, compiled: CompiledModule) -> LoadedModule:
    with tempfile.NamedTemporaryFile(prefix="guildhook-", suffix=".cwasm") as file:
        file.write(compiled.artifact)
        file.flush()
        return engine.load(Path(file.name), compiled.memories)  # the mapping outlives the name


def _opened(path: Path) -> int | None:
    """A descriptor of the folder; None if it cannot be created or opened. A symbolic link is not followed."""
    try:
        path.parent.mkdir(mode=_OWNER_ONLY, exist_ok=True)  # and no home
        with suppress(FileExistsError):
            path.mkdir(mode=_OWNER_ONLY)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None


def _note(wasm_sha256: bytes, engine: str) -> str:
    return f"{wasm_sha256.hex()}-{engine}"
