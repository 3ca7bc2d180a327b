"""Finds the module of a plugin at the nearest level that has it.

Loading a module runs native code, so no bytes are loaded unless they match a digest: the one that Postgres
holds, or the one that this process took of what it compiled itself. What does not match is thrown away and
the next level is asked.
"""

import hashlib
import logging
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import Artifact, CompiledModule, MemoryType
from guildhook.modules.artifacts import ArtifactBucket

_logger = logging.getLogger(__name__)

Module = TypeVar("Module")
Module_co = TypeVar("Module_co", covariant=True)

# What a rejection takes in the accounting: nothing but its reason is kept.
_REJECTED_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Rejected:
    """The wasm cannot be compiled, and never will be by this engine."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The module could not be fetched this time."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module by the digest of its wasm; `artifact` is what Postgres vouches for, if it was compiled."""

    wasm_sha256: bytes
    artifact: Artifact | None


class Loader(Protocol[Module_co]):
    """The sandbox, as far as the cache knows it."""

    def compile(self, wasm: bytes) -> CompiledModule:
        """Raises InvalidPluginError."""

    def load(self, path: Path, memories: tuple[MemoryType, ...]) -> Module_co:
        """Map the artifact at `path`. Raises InvalidPluginError."""


class ModuleCache(Generic[Module]):
    """Not safe for use from several threads, like the sandbox it feeds."""

    def __init__(
        self,
        loader: Loader[Module],
        bucket: ArtifactBucket,
        directory: Path,
        memory_bytes: int,
        disk_bytes: int,
    ) -> None:
        """`memory_bytes` and `disk_bytes` bound the artifacts kept at these levels; `directory` is made."""
        self._loader = loader
        self._bucket = bucket
        self._memory: OrderedDict[bytes, tuple[Module | Rejected, int]] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._disk = _Disk(directory, disk_bytes)

    def resolve(
        self, wanted: Iterable[Wanted], fetch_wasm: Callable[[Sequence[bytes]], Mapping[bytes, bytes]]
    ) -> Mapping[bytes, Module | Rejected | Unavailable]:
        """Modules by the digest of their wasm.

        `fetch_wasm` reads the wasm of the modules that are nowhere else, all in one call; what it does not
        return is Unavailable.
        """
        resolved: dict[bytes, Module | Rejected | Unavailable] = {}
        missing: list[bytes] = []
        for want in wanted:
            module = self._recall(want.wasm_sha256) or (want.artifact and self._fetch(want.artifact))
            if module:
                resolved[want.wasm_sha256] = module
            else:
                missing.append(want.wasm_sha256)
        wasm = fetch_wasm(missing) if missing else {}
        for digest in missing:
            resolved[digest] = (
                self._compile(digest, wasm[digest]) if digest in wasm else Unavailable("the plugin was deleted")
            )
        return resolved

    def _recall(self, wasm_sha256: bytes) -> Module | Rejected | None:
        entry = self._memory.get(wasm_sha256)
        if entry is None:
            return None
        self._memory.move_to_end(wasm_sha256)
        return entry[0]

    def _fetch(self, artifact: Artifact) -> Module | Unavailable | None:
        """From the disk or S3; None where there is nothing that may be loaded."""
        name = f"artifact of wasm {artifact.wasm_sha256.hex()}"
        try:
            path = self._disk.find(artifact) or self._download(artifact)
            module = self._loader.load(path, artifact.memories) if path else None
        except InfrastructureError as error:
            return Unavailable(str(error))
        except InvalidPluginError as error:
            _logger.warning("%s is compiled anew: %s", name, error)
            return None
        if module is None:
            _logger.warning("%s is compiled anew: S3 has no object that matches its digest", name)
            return None
        self._remember(artifact.wasm_sha256, module, artifact.size)
        return module

    def _download(self, artifact: Artifact) -> Path | None:
        data = self._bucket.get(artifact)
        if data is None or hashlib.sha256(data).digest() != artifact.sha256:
            return None
        return self._disk.add(artifact.sha256, data)

    def _compile(self, wasm_sha256: bytes, wasm: bytes) -> Module | Rejected | Unavailable:
        try:
            compiled = self._loader.compile(wasm)
            path = self._disk.add(hashlib.sha256(compiled.artifact).digest(), compiled.artifact)
            module = self._loader.load(path, compiled.memories)
        except InvalidPluginError as error:
            rejected = Rejected(str(error))
            self._remember(wasm_sha256, rejected, _REJECTED_BYTES)
            return rejected
        except InfrastructureError as error:
            return Unavailable(str(error))
        self._remember(wasm_sha256, module, len(compiled.artifact))
        return module

    def _remember(self, wasm_sha256: bytes, module: Module | Rejected, size: int) -> None:
        self._memory[wasm_sha256] = (module, size)
        while len(self._memory) > 1 and sum(size for _, size in self._memory.values()) > self._memory_bytes:
            self._memory.popitem(last=False)


class _Disk:
    """Artifacts as files named by their digest, which modules map. A file is never changed once it has its name."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes

    def find(self, artifact: Artifact) -> Path | None:
        """Raises InfrastructureError where the disk cannot be read."""
        path = self._directory / artifact.sha256.hex()
        try:
            if hashlib.sha256(path.read_bytes()).digest() == artifact.sha256:
                return path
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._failed("read", error) from None
        return None

    def add(self, sha256: bytes, data: bytes) -> Path:
        """Raises InfrastructureError where the disk does not take it."""
        path = self._directory / sha256.hex()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(len(data))
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".new-", delete=False) as file:
                file.write(data)
            Path(file.name).replace(path)
        except OSError as error:
            raise self._failed("write to", error) from None
        return path

    def _make_room(self, size: int) -> None:
        """Drop the oldest files. The kernel keeps what is mapped, so modules in memory stay whole."""
        files = sorted((f.stat().st_mtime_ns, f.stat().st_size, f) for f in self._directory.iterdir())
        used = sum(length for _, length, _ in files)
        for _, length, file in files:
            if used + size <= self._limit_bytes:
                break
            file.unlink(missing_ok=True)
            used -= length

    def _failed(self, verb: str, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"cannot {verb} {self._directory} (GUILDHOOK_CACHE_DIR): {error.strerror}")
