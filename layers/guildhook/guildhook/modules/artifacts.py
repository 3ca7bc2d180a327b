"""Compiled modules in S3, one object for each (wasm, engine)."""

from functools import cached_property
from typing import Any

from guildhook.errors import InfrastructureError
from guildhook.model import Artifact


def artifact_key(wasm_sha256: bytes, engine: str) -> str:
    return f"artifacts/{engine}/{wasm_sha256.hex()}"


class ArtifactBucket:
    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _s3(self) -> Any:
        # boto3 and its S3 client take longer to import and build than a batch to handle, and a warm path
        # never needs them.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        config = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
        return boto3.client("s3", config=config)

    def get(self, artifact: Artifact) -> bytes | None:
        """The object, unverified; None where there is none. Raises InfrastructureError."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        try:
            body = self._s3.get_object(Bucket=self._name, Key=key)["Body"]
            # One byte more than expected shows a longer object without reading all of it.
            return bytes(body.read(artifact.size + 1))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise self._unavailable(key, error) from None
        except BotoCoreError as error:
            raise self._unavailable(key, error) from None

    def put(self, artifact: Artifact, data: bytes) -> None:
        """Raises InfrastructureError. Only the compile step calls this; the worker's role may not write."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        try:
            self._s3.put_object(Bucket=self._name, Key=key, Body=data)
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(key, error) from None

    def _unavailable(self, key: str, error: Exception) -> InfrastructureError:
        return InfrastructureError(f"S3 object {key} of bucket {self._name} (GUILDHOOK_ARTIFACT_BUCKET): {error}")
