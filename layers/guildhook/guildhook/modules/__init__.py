"""The precompiled module cache: memory, then the disk, then S3, then a compile of what Postgres holds."""

from guildhook.modules.artifacts import ArtifactBucket, artifact_key
from guildhook.modules.cache import Loader, ModuleCache, Rejected, Unavailable, Wanted

__all__ = [
    "ArtifactBucket",
    "Loader",
    "ModuleCache",
    "Rejected",
    "Unavailable",
    "Wanted",
    "artifact_key",
]
