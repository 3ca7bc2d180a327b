"""The S3 bucket: a compressed object for each compiled (wasm, engine), and the uploads that wait for a compile."""

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError
from guildhook.model import Artifact

if TYPE_CHECKING:
    from guildhook.aws.s3_objects import ObjectReader

# The S3 clients are imported where they are first used: the warm path never uses them, and importing and building them
# takes longer than a batch.

# Objects are a tenth smaller than at zstd's default level and decompress as fast; the largest take 0.5 s to compress.
_LEVEL = 9
_PIECE_BYTES = 1024 * 1024
_DELETED_AT_ONCE = 1_000
"""The largest number of keys that S3 deletes in one request."""


class DamagedArtifactError(Exception):
    """The bytes do not match the digest that Postgres holds. The text is the reason."""


def artifact_key(wasm_sha256: bytes, engine: str) -> str:
    return f"artifacts/{engine}/{wasm_sha256.hex()}.zst"


def compress(native: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415

    return zstd.compress(native, _LEVEL)


class ArtifactBucket:
    def __init__(self, access: AwsAccess, name: str) -> None:
        self._access = access
        self._name = name

    def get(self, artifact: Artifact) -> Iterator[bytes] | None:
        """The native code in pieces, since it can have tens of megabytes; None if there is no such object.

        Raises InfrastructureError; and DamagedArtifactError, also while the pieces are read: the earlier pieces are
        then worthless.
        """
        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        # One byte more than expected shows a longer object without reading all of it.
        data = self._objects.get(key, artifact.object_size + 1)
        if data is None:
            return None
        # The digest is checked first, so that foreign bytes do not even reach the decompressor.
        if sha256(data).digest() != artifact.object_sha256:
            raise DamagedArtifactError(f"the object's {len(data)} bytes do not match their digest")
        return _decompressed(data, artifact.size)

    def get_upload(self, key: str, max_bytes: int) -> bytes | None:
        """The first `max_bytes` of an upload; None if there is no such object. Raises InfrastructureError."""
        return self._objects.get(key, max_bytes)

    def put(self, artifact: Artifact, data: bytes) -> None:
        """Store a compressed artifact. Raises InfrastructureError, also in the worker, whose role may not write."""
        self._call("put_object", Key=artifact_key(artifact.wasm_sha256, artifact.engine), Body=data)

    def delete(self, artifacts: Sequence[tuple[bytes, str]]) -> None:
        """Delete artifacts, given as pairs of wasm digest and engine. Missing objects count as deleted.

        Raises InfrastructureError.
        """
        for start in range(0, len(artifacts), _DELETED_AT_ONCE):
            keys = [{"Key": artifact_key(*artifact)} for artifact in artifacts[start : start + _DELETED_AT_ONCE]]
            answer = self._call("delete_objects", Delete={"Objects": keys, "Quiet": True})
            for failure in answer.get("Errors", ()):
                raise self._failed(failure["Key"], failure["Code"])

    @cached_property
    def _objects(self) -> "ObjectReader":
        from guildhook.aws.s3_objects import ObjectReader  # noqa: PLC0415

        return ObjectReader(self._access, self._name)

    @cached_property
    def _s3(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 3},
            use_dualstack_endpoint=False,  # as in bucket_url
        )
        return self._access.client("s3", config)

    def _call(self, operation: str, **parameters: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return getattr(self._s3, operation)(Bucket=self._name, **parameters)
        except (BotoCoreError, ClientError) as error:
            raise self._failed(parameters.get("Key", operation), error) from None

    def _failed(self, key: str, reason: object) -> InfrastructureError:
        return InfrastructureError(f"S3 object {key} of bucket {self._name} (GUILDHOOK_ARTIFACT_BUCKET): {reason}")


def _decompressed(data: bytes, size: int) -> Iterator[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415

    decompressor, left = zstd.ZstdDecompressor(), size
    while not decompressor.eof:
        try:
            piece = decompressor.decompress(data, max_length=_PIECE_BYTES)
        except zstd.ZstdError as error:
            raise DamagedArtifactError(str(error)) from None
        data, left = b"", left - len(piece)
        if left < 0 or not (piece or decompressor.eof):
            break
        yield piece
    if left or not decompressor.eof:
        raise DamagedArtifactError(f"the object does not decompress to {size} bytes")
