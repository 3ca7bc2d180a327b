"""Compiled plugins as the compile function publishes them."""

from hashlib import sha256

from guildhook.model import Artifact
from guildhook.modules import compress
from guildhook.sandbox import Engine


def compiled(engine: Engine, wasm: bytes) -> tuple[Artifact, bytes]:
    """The artifact as Postgres records it, and the object in S3."""
    module = engine.compile(wasm)
    return signed_off(wasm, engine.fingerprint, module.artifact, compress(module.artifact), module.memories)


def signed_off(wasm, fingerprint, native, data, memories) -> tuple[Artifact, bytes]:
    """The same for any bytes."""
    artifact = Artifact(
        wasm_sha256=sha256(wasm).digest(),
        engine=fingerprint,
        sha256=sha256(native).digest(),
        size=len(native),
        object_sha256=sha256(data).digest(),
        object_size=len(data),
        memories=memories,
    )
    return artifact, data
