"""Finds the module of a plugin at the nearest level of the cache that has it.

A loaded module is native code, so bytes are loaded only if they match a digest: the one that Postgres holds, or the
one of a module that this process compiled itself. Bytes that do not match are discarded, and the next level is asked.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import Artifact, CompiledModule, MemoryType, Refusal
from guildhook.modules.artifact_bucket import ArtifactBucket, DamagedArtifactError
from guildhook.modules.disk_cache import DiskCache
from guildhook.modules.single_flight import SingleFlight

_logger = logging.getLogger(__name__)

Module = TypeVar("Module")
Module_co = TypeVar("Module_co", covariant=True)
Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_DOWNLOADS = 8
"""The largest number of simultaneous downloads."""
_MAX_REFUSALS = 1_000
"""The number of refusals that are remembered of compiles in this process."""


@dataclass(frozen=True, slots=True)
class UnavailableModule:
    """A module that cannot be loaded now, although it may be later."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeededModule:
    """A module by the digest of its wasm. `compiled` comes from Postgres; None means that it was never compiled."""

    wasm_sha256: bytes
    compiled: Artifact | Refusal | None


class CacheEvent(StrEnum):
    """The events that the cache counts: where modules were found, and which were discarded."""

    MEMORY = "memory"
    DISK = "disk"
    S3 = "s3"
    COMPILED = "compiled"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    DISCARDED = "discarded"


class Loader(Protocol[Module_co]):
    """The part of the sandbox that the cache uses."""

    def compile(self, wasm: bytes) -> CompiledModule:
        """Raises InvalidPluginError, InfrastructureError."""

    def load(self, path: Path, memories: tuple[MemoryType, ...]) -> Module_co:
        """Map the artifact at `path`. Raises InvalidPluginError."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Module]):
    module: Module
    size: int
    file: bytes
    """The digest of the native code."""


class ModuleCache(Generic[Module]):
    """Safe for use from several threads; each module is fetched or compiled by one of them."""

    def __init__(
        self,
        loader: Loader[Module],
        bucket: ArtifactBucket,
        ask: Callable[[Sequence[bytes]], None],
        directory: Path,
        memory_bytes: int,
        disk_bytes: int,
    ) -> None:
        """`memory_bytes` and `disk_bytes` limit the artifacts at these levels; `directory` is created if it is missing.

        `ask` gets the digests of wasm that was never compiled; an InfrastructureError that it raises is logged.
        """
        self._loader = loader
        self._bucket = bucket
        self._ask = ask
        self._lock = threading.RLock()
        self._memory: OrderedDict[bytes, _Entry[Module]] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self._refusals: OrderedDict[bytes, Refusal] = OrderedDict()
        self._disk = DiskCache(directory, disk_bytes)
        self._fetches: SingleFlight[bytes, Module | None] = SingleFlight()
        self._compiles: SingleFlight[bytes, Module | Refusal] = SingleFlight()
        self._events: Counter[CacheEvent] = Counter()

    def find(self, needed: Iterable[NeededModule]) -> dict[bytes, Module | Refusal | UnavailableModule]:
        """The modules and refusals that exist already, by the digest of the wasm. S3 is asked for several at a time."""
        found: dict[bytes, Module | Refusal | UnavailableModule] = {}
        distant: list[Artifact] = []
        for module in needed:
            # A refusal that Postgres holds counts before one that this process made.
            known = self._refused(module) or self._recall(module.wasm_sha256)
            if known is not None:
                found[module.wasm_sha256] = known
            elif isinstance(module.compiled, Artifact):
                distant.append(module.compiled)
        for artifact, fetched in zip(distant, _in_threads(self._fetched, distant), strict=True):
            if fetched is not None:
                found[artifact.wasm_sha256] = fetched
        return found

    def at_hand(self, needed: Iterable[NeededModule]) -> dict[bytes, Module | Refusal]:
        """The modules and refusals in memory, by the digest of the wasm."""
        found = {module.wasm_sha256: self._refused(module) or self._recall(module.wasm_sha256) for module in needed}
        return {digest: known for digest, known in found.items() if known is not None}

    def compile(
        self,
        wasm_sha256: Sequence[bytes],
        fetch_wasm: Callable[[Sequence[bytes]], Mapping[bytes, bytes]],
        latest_start: float,
    ) -> dict[bytes, Module | Refusal | UnavailableModule]:
        """Compile modules that `find` did not find, for this process alone, and ask the compile function for them too.

        `fetch_wasm` reads the wasm of all in one call. A module is an UnavailableModule if it returns no wasm for it,
        or if its compile would start after `latest_start`, a time of time.monotonic().
        """
        self.ask(wasm_sha256)
        wasm = fetch_wasm(wasm_sha256)
        modules: dict[bytes, Module | Refusal | UnavailableModule] = {}
        for digest in wasm_sha256:
            if digest not in wasm:
                modules[digest] = self._unavailable("the plugin was deleted")
            elif time.monotonic() > latest_start:
                modules[digest] = self._unavailable("it is not compiled yet; the compile function was asked")
            else:
                modules[digest] = self._compiled(digest, wasm[digest])
        return modules

    def ask(self, wasm_sha256: Sequence[bytes]) -> None:
        """Ask the compile function to compile these; a failure to ask is logged."""
        try:
            self._ask(wasm_sha256)
        except InfrastructureError as error:
            _logger.error("the compile function is not asked: %s", error)  # noqa: TRY400 - one line says it all

    def take_events(self) -> Mapping[CacheEvent, int]:
        """The events since the last call."""
        with self._lock:
            events, self._events = self._events, Counter()
        return events

    def _refused(self, module: NeededModule) -> Refusal | None:
        refusal = module.compiled or self._refusals.get(module.wasm_sha256)
        if not isinstance(refusal, Refusal):
            return None
        self._count(CacheEvent.REFUSED)
        return refusal

    def _recall(self, wasm_sha256: bytes) -> Module | None:
        with self._lock:
            entry = self._memory.get(wasm_sha256)
            if entry is None:
                return None
            self._memory.move_to_end(wasm_sha256)
        # The disk evicts in the same order; otherwise it would keep room for files that only a mapping still holds.
        self._disk.use(entry.file)
        self._count(CacheEvent.MEMORY)
        return entry.module

    def _fetched(self, artifact: Artifact) -> Module | UnavailableModule | None:
        def fetch() -> Module | None:
            # Another thread may have fetched it in the meantime.
            return self._recall(artifact.wasm_sha256) or self._fetch(artifact)

        try:
            return self._fetches.do(artifact.wasm_sha256, fetch)
        except InfrastructureError as error:
            return self._unavailable(str(error))

    def _fetch(self, artifact: Artifact) -> Module | None:
        """Raises InfrastructureError."""
        for level, find in ((CacheEvent.DISK, self._find), (CacheEvent.S3, self._download)):
            try:
                path = find(artifact)
                module = path and self._load(path, artifact.memories)
            except (DamagedArtifactError, InvalidPluginError) as error:
                ids = {"wasm_sha256": artifact.wasm_sha256.hex()}
                _logger.warning("an artifact is discarded: %s", error, extra=ids)
                self._count(CacheEvent.DISCARDED)
                continue
            if module:
                self._remember(artifact.wasm_sha256, _Entry(module, artifact.size, artifact.sha256), level)
                return module
        return None

    def _find(self, artifact: Artifact) -> Path | None:
        return self._disk.find(artifact.sha256)

    def _download(self, artifact: Artifact) -> Path:
        pieces = self._bucket.get(artifact)
        if pieces is None:
            raise DamagedArtifactError("S3 has no such object")
        return self._disk.add(artifact.sha256, artifact.size, pieces)

    def _compiled(self, wasm_sha256: bytes, wasm: bytes) -> Module | Refusal | UnavailableModule:
        def compile_wasm() -> Module | Refusal:
            return self._recall(wasm_sha256) or self._compile(wasm_sha256, wasm)

        try:
            return self._compiles.do(wasm_sha256, compile_wasm)
        except InfrastructureError as error:
            return self._unavailable(str(error))

    def _compile(self, wasm_sha256: bytes, wasm: bytes) -> Module | Refusal:
        """Raises InfrastructureError."""
        try:
            compiled = self._loader.compile(wasm)
            digest, size = sha256(compiled.artifact).digest(), len(compiled.artifact)
            module = self._load(self._disk.add(digest, size, [compiled.artifact]), compiled.memories)
        except InvalidPluginError as error:
            return self._refuse(wasm_sha256, Refusal(str(error)))
        self._remember(wasm_sha256, _Entry(module, size, digest), CacheEvent.COMPILED)
        return module

    def _refuse(self, wasm_sha256: bytes, refusal: Refusal) -> Refusal:
        with self._lock:
            self._refusals[wasm_sha256] = refusal
            if len(self._refusals) > _MAX_REFUSALS:
                self._refusals.popitem(last=False)
        self._count(CacheEvent.REFUSED)
        return refusal

    def _load(self, path: Path, memories: tuple[MemoryType, ...]) -> Module:
        with self._lock:  # one at a time: the bindings of wasmtime are not thread-safe
            return self._loader.load(path, memories)

    def _remember(self, wasm_sha256: bytes, entry: _Entry[Module], source: CacheEvent) -> None:
        with self._lock:
            known = self._memory.pop(wasm_sha256, None)
            self._memory[wasm_sha256] = entry
            self._used_bytes += entry.size - (known.size if known else 0)
            while len(self._memory) > 1 and self._used_bytes > self._memory_bytes:
                self._used_bytes -= self._memory.popitem(last=False)[1].size
        self._count(source)

    def _unavailable(self, reason: str) -> UnavailableModule:
        self._count(CacheEvent.UNAVAILABLE)
        return UnavailableModule(reason)

    def _count(self, event: CacheEvent) -> None:
        with self._lock:
            self._events[event] += 1


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(len(items), _MAX_DOWNLOADS), thread_name_prefix="modules") as pool:
        return list(pool.map(work, items))
