"""The precompiled module cache: memory, then the disk, then S3, then a compile of what Postgres holds."""

from guildhook.modules.artifacts import ArtifactBucket, DamagedError, artifact_key, compress
from guildhook.modules.cache import CacheEvent, Loader, ModuleCache, NeededModule, UnavailableModule

__all__ = [
    "ArtifactBucket",
    "CacheEvent",
    "DamagedError",
    "Loader",
    "ModuleCache",
    "NeededModule",
    "UnavailableModule",
    "artifact_key",
    "compress",
]
