"""Reading objects from S3 with botocore's signatures, without its client.

A cold start waits for the first artifact, and importing and building boto3's client takes longer than the rest of it.
"""

import os
import re
import time
from functools import cached_property
from http import HTTPStatus
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, CredentialResolver, Credentials, EnvProvider
from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

from guildhook.errors import InfrastructureError

_TIMEOUT = urllib3.Timeout(connect=2, read=5)
_RETRIES = urllib3.Retry(
    total=2,
    backoff_factor=0.1,
    backoff_jitter=0.1,
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
_CONNECTIONS = 8
_PIECE_BYTES = 256 * 1024
_ERROR_BYTES = 64 * 1024
_ERROR_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")


class ObjectReader:
    """Safe for use from several threads."""

    def __init__(self, bucket: str, total_seconds: float = 20) -> None:
        """`total_seconds` bound the reading of an object: a timeout of the socket begins anew with each byte."""
        self._bucket = bucket
        self._total_seconds = total_seconds
        self._http = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=_TIMEOUT, retries=_RETRIES)

    def get(self, key: str, max_bytes: int) -> bytes | None:
        """The first `max_bytes` of an object; None where there is none. Raises InfrastructureError."""
        deadline = time.monotonic() + self._total_seconds
        try:
            with self._request(key) as answer:
                if answer.status == HTTPStatus.OK:
                    return self._read(answer, key, max_bytes, deadline)
                code = _code(answer.read(_ERROR_BYTES))
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(key, type(error).__name__) from None
        except BotoCoreError as error:
            raise self._failed(key, str(error)) from None
        if code == "NoSuchKey":
            return None
        raise self._failed(key, f"HTTP {answer.status} {code}")

    def _request(self, key: str) -> urllib3.BaseHTTPResponse:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise NoRegionError
        url = f"{_address(self._bucket, region)}/{quote(key)}"
        request = AWSRequest("GET", url)
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", region).add_auth(request)
        return self._http.request("GET", url, headers=dict(request.headers), preload_content=False, redirect=False)

    def _read(self, answer: urllib3.BaseHTTPResponse, key: str, max_bytes: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < max_bytes:
            piece = answer.read1(min(max_bytes - len(data), _PIECE_BYTES))
            if not piece:
                break
            data += piece
            if time.monotonic() > deadline:
                raise self._failed(key, f"{len(data)} bytes came in {self._total_seconds} s, and no end")
        return bytes(data)

    @cached_property
    def _credentials(self) -> Credentials:
        # Where Lambda puts them: the environment, and an endpoint where the function starts from a snapshot.
        found = CredentialResolver([EnvProvider(), ContainerProvider()]).load_credentials()
        if found is None:
            raise NoCredentialsError
        return found

    def _failed(self, key: str, reason: str) -> InfrastructureError:
        return InfrastructureError(f"S3 object {key} of bucket {self._bucket} (GUILDHOOK_ARTIFACT_BUCKET): {reason}")


def _address(bucket: str, region: str) -> str:
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if given:
        return f"{given.rstrip('/')}/{bucket}"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket}.s3.{region}.{suffix}"


def _code(body: bytes) -> str:
    found = _ERROR_CODE.search(body)
    return found[1].decode() if found else ""
