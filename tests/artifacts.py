"""Compiled plugins as the compile function publishes them."""

from functools import cache
from hashlib import sha256

from guildhook.model import Artifact
from guildhook.modules import ArtifactSigner, ArtifactSigningKeys, artifact_key, compress
from guildhook.sandbox import Engine, inspect
from guildhook.store.compiling import CompileStore
from guildhook_local.stack import Stack
from samples import FixedKeys

KEYS = ArtifactSigningKeys(signing_key="a key of tests that sign artifacts themselves")
SIGNER = ArtifactSigner(FixedKeys(KEYS))
PUBLIC_KEYS = KEYS.public_keys


def publish(system: Stack, *plugins: bytes) -> None:
    """Have the plugins compiled already. This process compiles each of them once, and starts no process for it."""
    store, signer = CompileStore(system.database), system.signer
    for wasm in plugins:
        artifact, data = compiled(_engine(), wasm)
        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=data)
        store.add_artifact(signer.sign(artifact))
    store.close()


@cache
def compiled(engine: Engine, wasm: bytes) -> tuple[Artifact, bytes]:
    """The artifact as Postgres records it, signed with the key of the tests, and the object in S3."""
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
    return SIGNER.sign(artifact), data
