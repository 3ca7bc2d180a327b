"""Uploads: a form with which somebody puts one file, and no other, into the bucket."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from guildhook.aws.access import AwsAccess
from guildhook.aws.requests import AwsRequests
from guildhook.errors import InfrastructureError
from guildhook.modules.s3_objects import bucket_url

_PREFIX: Final = "uploads/"
_VALID: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Sent by POST as multipart/form-data: the fields, and then the file in a field `file`."""

    url: str
    fields: Mapping[str, str]
    expires_at: datetime


def upload_key(version_id: UUID) -> str:
    return f"{_PREFIX}{version_id}"


def uploaded_version(key: str) -> UUID | None:
    """The version that a key of the bucket is the upload of; None if it is none."""
    try:
        version_id = UUID(key.removeprefix(_PREFIX))
    except ValueError:
        return None
    # A UUID is read in many spellings, and is written in one.
    return version_id if key == upload_key(version_id) else None


class Uploads:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, bucket: str) -> None:
        self._access = access
        self._bucket = bucket

    def form(self, version_id: UUID, wasm_sha256: bytes, wasm_bytes: int) -> UploadForm:
        """For the file of that digest and size, and for a quarter of an hour: S3 itself takes no other.

        Raises InfrastructureError.
        """
        expires_at = datetime.now(UTC).replace(microsecond=0) + _VALID
        fields = {
            "key": upload_key(version_id),
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": b64encode(wasm_sha256).decode(),
        }
        conditions = [
            {"bucket": self._bucket},
            *({name: value} for name, value in fields.items()),
            ["content-length-range", wasm_bytes, wasm_bytes],
        ]
        try:
            request = AWSRequest("POST", bucket_url(self._aws, self._bucket))
            request.context["s3-presign-post-fields"] = fields
            request.context["s3-presign-post-policy"] = {
                "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "conditions": conditions,
            }
            self._aws.sign(request, "s3", S3SigV4PostAuth)
        except BotoCoreError as error:
            raise self._failed(error) from None
        # The signature adds its own fields, and the policy with all that was said above.
        return UploadForm(request.url, fields, expires_at)

    @property
    def origin(self) -> str:
        """Where forms are sent to, as a browser names it. Raises InfrastructureError."""
        try:
            url = urlsplit(bucket_url(self._aws, self._bucket))
        except BotoCoreError as error:
            raise self._failed(error) from None
        return f"{url.scheme}://{url.netloc}"

    @cached_property
    def _aws(self) -> AwsRequests:
        return AwsRequests(self._access)

    def _failed(self, error: BotoCoreError) -> InfrastructureError:
        return InfrastructureError(f"uploads to bucket {self._bucket} (GUILDHOOK_ARTIFACT_BUCKET): {error}")
