"""Compiles plugins ahead of their messages. No other module writes, signs or deletes artifacts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from guildhook.errors import FailedCompileError, InfrastructureError, InvalidPluginError, UnloadableArtifactError
from guildhook.model import Artifact, Refusal, RefusalKind
from guildhook.modules import ArtifactBucket, ArtifactSigner, DamagedArtifactError, compress, is_signed
from guildhook.sandbox import Engine, Limits
from guildhook.stage import Stage
from guildhook.store.compiling import CompileStore

_PRUNED_AT_ONCE = 1_000
_RESERVED_SECONDS: Final = 360
"""The longest time of a compile, which is the timeout of the function."""
_NEXT_LOOK_SECONDS: Final = 30
"""A request waits so long while another one compiles the same wasm."""


@dataclass(frozen=True, slots=True)
class Compiler:
    engine: Engine
    limits: Limits
    """The limits under which a plugin must be able to start."""
    bucket: ArtifactBucket
    store: CompileStore
    signer: ArtifactSigner
    stage: Stage = nullcontext
    pauses: Sequence[float] = ()
    """The seconds between a compile that failed through no fault of the plugin and its next try."""

    def compile(self, wasm: bytes) -> Artifact | Refusal:
        """Inspect, compile, start once, sign and publish the wasm, or record a refusal. Raises InfrastructureError."""
        digest = sha256(wasm).digest()
        with self.recorded_failures(digest):
            return self._compile(digest, wasm)

    @contextmanager
    def recorded_failures(self, wasm_sha256: bytes) -> Iterator[None]:
        """Record an InfrastructureError of the block, and raise it as FailedCompileError.

        Raises InfrastructureError if Postgres cannot record it.
        """
        try:
            yield
        except FailedCompileError:
            raise
        except InfrastructureError as error:
            reason = str(error)
            seconds = self.store.add_failure(wasm_sha256, self.engine.fingerprint, reason, self.pauses)
            raise FailedCompileError(reason, seconds) from None

    def _compile(self, digest: bytes, wasm: bytes) -> Artifact | Refusal:
        """Raises InfrastructureError."""
        refusal = self.store.refusal(digest, self.engine.fingerprint)
        if refusal and refusal.kind is not RefusalKind.START:
            return refusal
        if not self.store.reserve(digest, self.engine.fingerprint, _RESERVED_SECONDS):
            raise FailedCompileError("another request compiles the same file now", _NEXT_LOOK_SECONDS)
        try:
            # Another request may have ended between the caller's look and the reservation.
            return self.published(digest) or self._compile_reserved(digest, wasm)
        finally:
            self.store.release(digest, self.engine.fingerprint)

    def _compile_reserved(self, digest: bytes, wasm: bytes) -> Artifact | Refusal:
        """Raises InfrastructureError."""
        try:
            with self.stage("compile"):
                compiled = self.engine.compile(wasm, self.limits)
        except InvalidPluginError as error:
            refusal = Refusal(str(error), error.kind)
            self.store.add_refusal(digest, self.engine.fingerprint, refusal)
            return refusal
        data = compress(compiled.artifact)
        unsigned = Artifact(
            wasm_sha256=digest,
            engine=self.engine.fingerprint,
            sha256=sha256(compiled.artifact).digest(),
            size=len(compiled.artifact),
            object_sha256=sha256(data).digest(),
            object_size=len(data),
            memories=compiled.memories,
        )
        artifact = self.signer.sign(unsigned)
        with self.stage("upload"):
            # The object is written first: once Postgres vouches for it, a worker may fetch it at once.
            self.bucket.put(artifact, data)
            self.store.add_artifact(artifact)
        return artifact

    def compile_stored(self, wasm_sha256: bytes) -> Artifact | Refusal | None:
        """Compile wasm that is in Postgres, unless its artifact is good already.

        Returns None if no plugin has it, or if another request for it waits for its next try.
        Raises InfrastructureError.
        """
        with self.recorded_failures(wasm_sha256):
            artifact = self.published(wasm_sha256)
        if artifact:
            return artifact
        if self.store.awaits_try(wasm_sha256, self.engine.fingerprint):
            return None
        with self.stage("fetch"):
            wasm = self.store.wasm([wasm_sha256]).get(wasm_sha256)
        return None if wasm is None else self.compile(wasm)

    def published(self, wasm_sha256: bytes) -> Artifact | None:
        """Return the artifact that a worker would find, or None if it is not good.

        An artifact that another valid key signed is signed anew, with the current one. Raises InfrastructureError.
        """
        with self.stage("check"):
            artifact = self.store.artifact(wasm_sha256, self.engine.fingerprint)
            if artifact is None:
                return None
            public_keys = self.signer.public_keys()
            if not (is_signed(artifact, public_keys) and self._is_good(artifact)):
                return None
            if not is_signed(artifact, public_keys[:1]):
                artifact = self.signer.sign(artifact)
                self.store.add_artifact(artifact)
            return artifact

    def uncompiled(self) -> list[bytes]:
        """Return the digests of the wasm that enabled plugins run and that has no artifact for this engine with a
        signature of the current key. After an update of wasmtime or a rotation that is all of it.

        Raises InfrastructureError.
        """
        return self.store.uncompiled(self.engine.fingerprint, self.signer.public_keys()[0])

    def try_again(self, *, refused_for_cpu: bool) -> None:
        """Let failed compiles begin with their first try, and forget refusals for CPU time if that is asked.

        Raises InfrastructureError.
        """
        self.store.try_failed_again(self.engine.fingerprint)
        if refused_for_cpu:
            self.store.forget_refusals(self.engine.fingerprint, RefusalKind.CPU_SECONDS)

    def prune(self, days: int) -> int:
        """Delete artifacts older than `days` that are for other engines, or for wasm that no plugin has.

        Returns the number of artifacts deleted. Raises InfrastructureError.
        """
        pruned = 0
        while stale := self.store.stale_artifacts(self.engine.fingerprint, days, _PRUNED_AT_ONCE):
            # The objects are deleted first: after an interruption the next attempt deletes the same ones again.
            self.bucket.delete(stale)
            self.store.forget_artifacts(stale)
            pruned += len(stale)
        self.store.forget_stale_refusals(self.engine.fingerprint, days)
        self.store.forget_stale_failures(days)
        return pruned

    def _is_good(self, artifact: Artifact) -> bool:
        """Return True if a worker could fetch it from S3 and load it. Its signature must have been verified.

        Raises InfrastructureError.
        """
        try:
            return self._loads(artifact)
        except OSError as error:
            raise InfrastructureError(f"cannot write a compiled plugin to a temporary file: {error.strerror}") from None

    def _loads(self, artifact: Artifact) -> bool:
        """Raises InfrastructureError and OSError."""
        with tempfile.NamedTemporaryFile(suffix=".cwasm") as file:
            try:
                pieces = self.bucket.get(artifact)
                if pieces is None:
                    return False
                file.writelines(pieces)
                file.flush()
                self.engine.load(Path(file.name), artifact.memories)
            except (DamagedArtifactError, UnloadableArtifactError):
                return False
        return True
