"""Compiled plugins as the compile function publishes them."""

from functools import cache
from hashlib import sha256

from guildhook.model import Artifact
from guildhook.modules import compress
from guildhook.modules.artifact_bucket import artifact_key
from guildhook.sandbox import Engine, inspect
from guildhook.store.compiling import CompileStore
from guildhook_local.stack import Stack


def publish(system: Stack, *plugins: bytes) -> None:
    """Have the plugins compiled already. This process compiles each of them once, and starts no process for it."""
    store = CompileStore(system.database)
    for wasm in plugins:
        artifact, data = compiled(_engine(), wasm)
        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=data)
        store.add_artifact(artifact)
    store.close()


@cache
def compiled(engine: Engine, wasm: bytes) -> tuple[Artifact, bytes]:
    """The artifact as Postgres records it, and the object in S3."""
    native = engine.compile_here(wasm)
    return signed_off(wasm, engine.fingerprint, native, compress(native), inspect(wasm).memories)


@cache
def _engine() -> Engine:
    return Engine()


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
