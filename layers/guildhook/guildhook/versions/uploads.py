"""Forms for uploads: each puts one file, and no other, into the bucket."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.s3_objects import bucket_url
from guildhook.aws.signing import Signer
from guildhook.errors import InfrastructureError

_PREFIX: Final = "uploads/"
_VALID: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form to send by POST as multipart/form-data: the fields, and then the file in a field `file`."""

    url: str
    fields: Mapping[str, str]
    expires_at: datetime


def upload_key(version_id: UUID) -> str:
    return f"{_PREFIX}{version_id}"


def uploaded_version(key: str) -> UUID | None:
    """The version whose upload has this key of the bucket; None if the key is not that of an upload."""
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
        self._signer = Signer(access)

    def form(self, version_id: UUID, wasm_sha256: bytes, wasm_bytes: int) -> UploadForm:
        """A form for the file of that digest and size. S3 takes no other file with it, and none after 15 minutes.

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
            url = bucket_url(self._access, self._bucket)
            signed = self._signer.form_fields(url, fields, conditions, expires_at)
        except AwsError as error:
            raise self._failed(error) from None
        return UploadForm(url, signed, expires_at)

    @property
    def origin(self) -> str:
        """The origin of the forms' URL, as a browser names it. Raises InfrastructureError."""
        try:
            url = urlsplit(bucket_url(self._access, self._bucket))
        except AwsError as error:
            raise self._failed(error) from None
        return f"{url.scheme}://{url.netloc}"

    def _failed(self, error: AwsError) -> InfrastructureError:
        return InfrastructureError(f"uploads to bucket {self._bucket} (GUILDHOOK_ARTIFACT_BUCKET): {error}")
