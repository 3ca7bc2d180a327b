"""The cache of compiled modules: in memory, on disk and in S3. Modules that none has are compiled."""

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
