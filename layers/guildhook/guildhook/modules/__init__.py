"""The precompiled module cache: memory, then the disk, then S3, then a compile of what Postgres holds."""

from guildhook.modules.artifacts import ArtifactBucket, DamagedError, artifact_key, compress
from guildhook.modules.cache import CacheEvent, Loader, ModuleCache, Unavailable, Wanted
from guildhook.modules.requests import CompileQueue, Request, Stored, StoredVersion, Upload, read_requests

__all__ = [
    "ArtifactBucket",
    "CacheEvent",
    "CompileQueue",
    "DamagedError",
    "Loader",
    "ModuleCache",
    "Request",
    "Stored",
    "StoredVersion",
    "Unavailable",
    "Upload",
    "Wanted",
    "artifact_key",
    "compress",
    "read_requests",
]
