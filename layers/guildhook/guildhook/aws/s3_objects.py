"""Objects of S3: their URLs, reading and writing them."""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.requests import AwsResponse, AwsService
from guildhook.errors import InfrastructureError

_REMEDIES: Final = {
    "AccessDenied": "this function's role may not {use} it; it needs {permissions}",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region ({region})",
    "AuthorizationHeaderMalformed": "the bucket is in another region ({region})",
}
"""The fault that the operator must mend, by the error code of S3."""
_ERROR_CODE: Final = re.compile(rb"<Code>(\w{1,64})</Code>")


def bucket_url(access: AwsAccess, bucket: str) -> str:
    """By IPv4, which S3's gateway endpoint of a network is for. Raises AwsError without a region."""
    given = access.endpoint("S3")
    return f"{given}/{bucket}" if given else f"https://{bucket}.s3.{access.region}.{access.domain()}"


class ObjectReader:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, bucket: str, total_seconds: float = 20) -> None:
        """`total_seconds` limit the time of reading one object."""
        self._access = access
        self._bucket = bucket
        self._service = AwsService(access, "s3", total_seconds=total_seconds)

    def get(self, key: str, max_bytes: int) -> bytes | None:
        """The first `max_bytes` of an object; None where there is none. Raises InfrastructureError."""
        try:
            url = f"{bucket_url(self._access, self._bucket)}/{quote(key)}"
            answer = self._service.request("GET", url, max_bytes)
        except AwsError as error:
            raise _failed(self._bucket, key, str(error)) from None
        if answer.status == HTTPStatus.OK:
            return answer.body
        if _code(answer.body) == "NoSuchKey":
            return None
        raise _failed(
            self._bucket, key, _refusal(answer, "read", "s3:GetObject, and s3:ListBucket to tell missing objects")
        )


class ObjectWriter:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, bucket: str) -> None:
        self._access = access
        self._bucket = bucket
        self._service = AwsService(access, "s3")

    def put(self, key: str, body: bytes) -> None:
        """Write an object, over another one with this key. Raises InfrastructureError."""
        try:
            # A repeated request writes the same object again.
            url = f"{bucket_url(self._access, self._bucket)}/{quote(key)}"
            answer = self._service.request("PUT", url, 0, body=body)
        except AwsError as error:
            raise _failed(self._bucket, key, str(error)) from None
        if answer.status != HTTPStatus.OK:
            raise _failed(self._bucket, key, _refusal(answer, "write", "s3:PutObject"))


def _failed(bucket: str, key: str, why: str) -> InfrastructureError:
    return InfrastructureError(f"S3 object {key} of bucket {bucket} (GUILDHOOK_ARTIFACT_BUCKET): {why}")


def _refusal(answer: AwsResponse, use: str, permissions: str) -> str:
    code, region = _code(answer.body), answer.headers.get("x-amz-bucket-region", "not said which")
    remedy = _REMEDIES[code].format(region=region, use=use, permissions=permissions) if code in _REMEDIES else ""
    return f"HTTP {answer.status} {code}{': ' if remedy else ''}{remedy}"


def _code(body: bytes) -> str:
    found = _ERROR_CODE.search(body)
    return found[1].decode() if found else ""
