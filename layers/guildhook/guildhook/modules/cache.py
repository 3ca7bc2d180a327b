"""Finds the module of a plugin at the nearest level of the cache that has it.

A loaded module is native code, so bytes are loaded only if the compile function signed their digest, or if this process
compiled them itself. Bytes that do not match are discarded, and the next level is asked. An artifact without a valid
signature counts as not compiled.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from guildhook.errors import InfrastructureError, InvalidPluginError, UnloadableArtifactError
from guildhook.model import Artifact, CompiledModule, FailedCompile, MemoryType, Refusal
from guildhook.modules.artifact_bucket import ArtifactBucket, DamagedArtifactError
from guildhook.modules.artifact_signatures import is_signed
from guildhook.modules.disk_cache import DiskCache
from guildhook.modules.single_flight import SingleFlight, seconds_until

_logger = logging.getLogger(__name__)

Module = TypeVar("Module")
Module_co = TypeVar("Module_co", covariant=True)

_MAX_DOWNLOADS = 8
"""The largest number of simultaneous downloads."""
_FIRST_REST_SECONDS: Final = 10
_LONGEST_REST_SECONDS: Final = 900
_MAX_RESTS = 1_000
"""The number of failed compiles that are remembered."""
_MAX_REFUSALS = 1_000
"""The number of refusals that are remembered of compiles in this process."""
_NOT_COMPILED = "it is not compiled yet; the compile function was asked"
_LATE = "its module did not arrive in time from the disk or S3; the fetch goes on"


@dataclass(frozen=True, slots=True)
class UnavailableModule:
    """A module that cannot be loaded now, although it may be later."""

    reason: str
    not_compiled: bool = False
    """True if it has to be compiled, and the compile of this process failed."""


@dataclass(frozen=True, slots=True)
class NeededModule:
    """A module by the digest of its wasm. `compiled` comes from Postgres; None means that it was never compiled."""

    wasm_sha256: bytes
    compiled: Artifact | Refusal | FailedCompile | None


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
        """Map the artifact at `path`. Raises InfrastructureError, and UnloadableArtifactError, which is one."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """A module that was not compiled, and is not tried again before a time of time.monotonic()."""

    reason: str
    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class _File:
    """Native code that matches its digest, and the level that had it."""

    path: Path
    level: CacheEvent


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
        ask: Callable[[Sequence[bytes]], object],
        directory: Path,
        memory_bytes: int,
        disk_bytes: int,
        public_keys: Collection[bytes],
    ) -> None:
        """`memory_bytes` and `disk_bytes` limit the artifacts at these levels; `directory` is created if it is missing.

        `ask` gets the digests of wasm that was never compiled; an InfrastructureError that it raises is logged.
        An artifact is loaded only if one of the `public_keys` signed it.
        """
        self._loader = loader
        self._bucket = bucket
        self._ask = ask
        self._lock = threading.RLock()
        self._memory: OrderedDict[bytes, _Entry[Module]] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self._refusals: OrderedDict[bytes, Refusal] = OrderedDict()
        self._rests: OrderedDict[bytes, _Rest] = OrderedDict()
        self._disk = DiskCache(directory, disk_bytes)
        self._public_keys = public_keys
        self._fetches: SingleFlight[bytes, _File | None] = SingleFlight()
        self._slots = threading.BoundedSemaphore(_MAX_DOWNLOADS)
        self._compiles: SingleFlight[bytes, Module | Refusal] = SingleFlight()
        self._events: Counter[CacheEvent] = Counter()

    def find(
        self, needed: Iterable[NeededModule], deadline: float
    ) -> dict[bytes, Module | Refusal | UnavailableModule]:
        """The modules and refusals that exist already, by the digest of the wasm. S3 is asked for several at a time.

        A module that has not arrived at `deadline`, a time of time.monotonic(), is an UnavailableModule. Its fetch goes
        on, so that a later call finds it.
        """
        found: dict[bytes, Module | Refusal | UnavailableModule] = {}
        distant: list[Artifact] = []
        for module in needed:
            # A refusal that Postgres holds counts before one that this process made.
            known = self._refused(module) or self._recall(module.wasm_sha256)
            if known is not None:
                found[module.wasm_sha256] = known
            elif isinstance(module.compiled, Artifact):
                distant.append(module.compiled)
        return found | self._fetched(distant, deadline) if distant else found

    def at_hand(self, needed: Iterable[NeededModule]) -> dict[bytes, Module | Refusal]:
        """The modules and refusals in memory, by the digest of the wasm."""
        found = {module.wasm_sha256: self._refused(module) or self._recall(module.wasm_sha256) for module in needed}
        return {digest: known for digest, known in found.items() if known is not None}

    def compile(
        self,
        needed: Sequence[NeededModule],
        fetch_wasm: Callable[[Sequence[bytes]], Mapping[bytes, bytes]],
        latest_start: float,
    ) -> dict[bytes, Module | Refusal | UnavailableModule]:
        """Compile modules that `find` did not find, for this process alone, and ask the compile function for them too.

        `fetch_wasm` reads the wasm of all in one call. A module is an UnavailableModule if it returns no wasm for it,
        if its compile would start after `latest_start`, a time of time.monotonic(), or if its compile fails through no
        fault of the plugin. It is then not compiled again for a while, which doubles each time.
        """
        self.ask(needed)
        wasm_sha256 = [module.wasm_sha256 for module in needed]
        wasm = fetch_wasm(wasm_sha256)
        modules: dict[bytes, Module | Refusal | UnavailableModule] = {}
        for digest in wasm_sha256:
            if digest not in wasm:
                modules[digest] = self._unavailable("the plugin was deleted")
            elif time.monotonic() > latest_start:
                modules[digest] = self._unavailable(_NOT_COMPILED)
            else:
                modules[digest] = self._compiled(digest, wasm[digest], latest_start)
        return modules

    def ask(self, needed: Sequence[NeededModule]) -> None:
        """Ask the compile function to compile these, unless it is asked already; a failure to ask is logged."""
        wasm_sha256 = [module.wasm_sha256 for module in needed if _to_be_asked(module)]
        if not wasm_sha256:
            return
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

    def _fetched(
        self, artifacts: Sequence[Artifact], deadline: float
    ) -> dict[bytes, Module | Refusal | UnavailableModule]:
        """Fetch several at a time, and load each when it arrives, before another can take its place on the disk."""
        artifacts = [artifact for artifact in artifacts if self._is_signed(artifact)]
        fetches = {self._fetches.begin(each.wasm_sha256, partial(self._fetch, each)): each for each in artifacts}
        arrived: dict[bytes, Module | UnavailableModule | None] = {}
        try:
            for fetch in as_completed(fetches, seconds_until(deadline)):
                arrived[fetches[fetch].wasm_sha256] = self._arrived(fetches[fetch], fetch)
        except TimeoutError:
            late = [each.wasm_sha256 for each in artifacts if each.wasm_sha256 not in arrived]
            arrived |= {digest: self._unavailable(_LATE) for digest in late}
        modules = {each.wasm_sha256: arrived[each.wasm_sha256] for each in artifacts}
        return {digest: module for digest, module in modules.items() if module is not None}

    def _arrived(self, artifact: Artifact, fetch: Future[_File | None]) -> Module | UnavailableModule | None:
        """Load the file of a fetch that is done. The thread that asked for it does so: a thread that nobody waits for
        any more must not enter wasmtime beside it.
        """
        try:
            file = fetch.result()
        except InfrastructureError as error:
            return self._unavailable(str(error))
        if file is None:
            return None
        with self._lock:
            # Another thread may have loaded it in the meantime.
            return self._recall(artifact.wasm_sha256) or self._load_file(artifact, file)

    def _load_file(self, artifact: Artifact, file: _File) -> Module | UnavailableModule | None:
        try:
            module = self._load(file.path, artifact.memories)
        except UnloadableArtifactError as error:
            self._discard(artifact, error)
            return None
        except InfrastructureError as error:
            return self._unavailable(str(error))
        self._remember(artifact.wasm_sha256, _Entry(module, artifact.size, artifact.sha256), file.level)
        return module

    def _fetch(self, artifact: Artifact) -> _File | None:
        """Raises InfrastructureError."""
        with self._slots:
            for level, find in ((CacheEvent.DISK, self._find), (CacheEvent.S3, self._download)):
                try:
                    path = find(artifact)
                except DamagedArtifactError as error:
                    self._discard(artifact, error)
                    continue
                if path:
                    return _File(path, level)
            return None

    def _is_signed(self, artifact: Artifact) -> bool:
        if is_signed(artifact, self._public_keys):
            return True
        self._discard(artifact, "no key of GUILDHOOK_ARTIFACT_PUBLIC_KEYS has signed it")
        return False

    def _discard(self, artifact: Artifact, reason: object) -> None:
        extra = {"wasm_sha256": artifact.wasm_sha256.hex()}
        _logger.warning("an artifact is discarded: %s", reason, extra=extra)
        self._count(CacheEvent.DISCARDED)

    def _find(self, artifact: Artifact) -> Path | None:
        return self._disk.find(artifact.sha256)

    def _download(self, artifact: Artifact) -> Path:
        pieces = self._bucket.get(artifact)
        if pieces is None:
            raise DamagedArtifactError("S3 has no such object")
        return self._disk.add(artifact.sha256, artifact.size, pieces)

    def _compiled(self, wasm_sha256: bytes, wasm: bytes, latest_start: float) -> Module | Refusal | UnavailableModule:
        def compile_wasm() -> Module | Refusal:
            return self._recall(wasm_sha256) or self._compile(wasm_sha256, wasm)

        rest = self._rests.get(wasm_sha256)
        if rest and time.monotonic() < rest.until:
            return self._unavailable(rest.reason, not_compiled=True)
        try:
            compiled = self._compiles.do(wasm_sha256, compile_wasm, latest_start)
        except TimeoutError:
            return self._unavailable(_NOT_COMPILED)
        except InfrastructureError as error:
            self._rest(wasm_sha256, str(error))
            return self._unavailable(str(error), not_compiled=True)
        with self._lock:
            self._rests.pop(wasm_sha256, None)
        return compiled

    def _rest(self, wasm_sha256: bytes, reason: str) -> None:
        with self._lock:
            before = self._rests.pop(wasm_sha256, None)
            seconds = min(before.seconds * 2, _LONGEST_REST_SECONDS) if before else _FIRST_REST_SECONDS
            self._rests[wasm_sha256] = _Rest(reason, seconds, time.monotonic() + seconds)
            if len(self._rests) > _MAX_RESTS:
                self._rests.popitem(last=False)

    def _compile(self, wasm_sha256: bytes, wasm: bytes) -> Module | Refusal:
        """Raises InfrastructureError."""
        try:
            compiled = self._loader.compile(wasm)
        except InvalidPluginError as error:
            return self._refuse(wasm_sha256, Refusal(str(error), error.kind))
        digest, size = sha256(compiled.artifact).digest(), len(compiled.artifact)
        module = self._load(self._disk.add(digest, size, [compiled.artifact]), compiled.memories)
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

    def _unavailable(self, reason: str, *, not_compiled: bool = False) -> UnavailableModule:
        self._count(CacheEvent.UNAVAILABLE)
        return UnavailableModule(reason, not_compiled)

    def _count(self, event: CacheEvent) -> None:
        with self._lock:
            self._events[event] += 1


def _to_be_asked(module: NeededModule) -> bool:
    """Return whether no request for the module is on its way to its next try, or was the last one."""
    return not isinstance(module.compiled, FailedCompile) or module.compiled.due
