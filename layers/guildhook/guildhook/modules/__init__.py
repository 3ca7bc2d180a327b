"""The cache of compiled modules: in memory, on disk and in S3. Modules that none has are compiled."""

from guildhook.modules.artifact_bucket import ArtifactBucket, DamagedArtifactError, artifact_key, compress
from guildhook.modules.artifact_signatures import (
    ArtifactSigner,
    ArtifactSigningKeys,
    is_signed,
    read_public_keys,
    write_public_keys,
)
from guildhook.modules.cache import CacheEvent, Loader, ModuleCache, NeededModule, UnavailableModule

__all__ = [
    "ArtifactBucket",
    "ArtifactSigner",
    "ArtifactSigningKeys",
    "CacheEvent",
    "DamagedArtifactError",
    "Loader",
    "ModuleCache",
    "NeededModule",
    "UnavailableModule",
    "artifact_key",
    "compress",
    "is_signed",
    "read_public_keys",
    "write_public_keys",
]
