"""The precompiled module cache: memory, then the disk, then S3, then a compile of what Postgres holds."""

from guildhook.modules.artifact_bucket import ArtifactBucket, DamagedArtifactError, artifact_key, compress
from guildhook.modules.cache import CacheEvent, Loader, ModuleCache, NeededModule, UnavailableModule

__all__ = [
    "ArtifactBucket",
    "CacheEvent",
    "DamagedArtifactError",
    "Loader",
    "ModuleCache",
    "NeededModule",
    "UnavailableModule",
    "artifact_key",
    "compress",
]
