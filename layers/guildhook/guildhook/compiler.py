"""Compiles a plugin ahead of its first message and publishes the artifact. Nothing else writes artifacts."""

import hashlib

from guildhook.model import Artifact
from guildhook.modules import ArtifactBucket
from guildhook.sandbox import Engine
from guildhook.store import Store


def compile_and_publish(wasm: bytes, engine: Engine, bucket: ArtifactBucket, store: Store) -> Artifact:
    """Raises InvalidPluginError, InfrastructureError."""
    compiled = engine.compile(wasm)
    artifact = Artifact(
        wasm_sha256=hashlib.sha256(wasm).digest(),
        engine=engine.fingerprint,
        sha256=hashlib.sha256(compiled.artifact).digest(),
        size=len(compiled.artifact),
        memories=compiled.memories,
    )
    # The object first: once Postgres vouches for it, a worker may ask for it at once.
    bucket.put(artifact, compiled.artifact)
    store.add_artifact(artifact)
    return artifact
