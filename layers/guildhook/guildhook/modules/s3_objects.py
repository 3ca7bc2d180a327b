"""Reads objects from S3."""

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from guildhook.aws.access import AwsAccess
from guildhook.aws.requests import AwsRequests, reason
from guildhook.errors import InfrastructureError

_PIECE_BYTES = 256 * 1024
_ERROR_BYTES = 64 * 1024
_MEANINGS = {
    "AccessDenied": "this function's role may not read it; it needs s3:GetObject, and s3:ListBucket to tell missing "
    "objects",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region ({region})",
    "AuthorizationHeaderMalformed": "the bucket is in another region ({region})",
}
"""The fault that the operator must mend, by the error code of S3."""
_ERROR_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")


def bucket_url(aws: AwsRequests, bucket: str) -> str:
    """The URL of the bucket. Raises BotoCoreError if the region is not configured."""
    given = aws.endpoint("S3")
    return f"{given}/{bucket}" if given else f"https://{bucket}.s3.{aws.region}.{aws.domain}"


class ObjectReader:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, bucket: str, total_seconds: float = 20) -> None:
        """`total_seconds` limit the reading of one object, since a socket's timeout starts again with each byte."""
        self._bucket = bucket
        self._total_seconds = total_seconds
        self._aws = AwsRequests(access)

    def get(self, key: str, max_bytes: int) -> bytes | None:
        """The first `max_bytes` of an object; None if there is no such object. Raises InfrastructureError."""
        deadline = time.monotonic() + self._total_seconds
        try:
            with self._request(key) as answer:
                if answer.status == HTTPStatus.OK:
                    return self._read(answer, key, max_bytes, deadline)
                code = _code(answer.read(_ERROR_BYTES))
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(key, reason(error)) from None
        except BotoCoreError as error:
            raise self._failed(key, str(error)) from None
        if code == "NoSuchKey":
            return None
        raise self._failed(key, f"HTTP {answer.status} {code}{_meaning(code, answer.headers)}")

    def _request(self, key: str) -> urllib3.BaseHTTPResponse:
        return self._aws.request(
            AWSRequest("GET", f"{bucket_url(self._aws, self._bucket)}/{quote(key)}"), "s3", S3SigV4Auth
        )

    def _read(self, answer: urllib3.BaseHTTPResponse, key: str, max_bytes: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < max_bytes:
            piece = answer.read1(min(max_bytes - len(data), _PIECE_BYTES))
            if not piece:
                break
            data += piece
            if time.monotonic() > deadline:
                raise self._failed(key, f"only {len(data)} bytes arrived within the limit of {self._total_seconds} s")
        return bytes(data)

    def _failed(self, key: str, why: str) -> InfrastructureError:
        return InfrastructureError(f"S3 object {key} of bucket {self._bucket} (GUILDHOOK_ARTIFACT_BUCKET): {why}")


def _code(body: bytes) -> str:
    found = _ERROR_CODE.search(body)
    return found[1].decode() if found else ""


def _meaning(code: str, headers: Mapping[str, str]) -> str:
    region = headers.get("x-amz-bucket-region", "unknown")
    return f": {_MEANINGS[code].format(region=region)}" if code in _MEANINGS else ""
