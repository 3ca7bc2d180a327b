"""Invoking another function of Lambda, and waiting for its answer."""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import urllib3
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from guildhook.aws.access import AwsAccess
from guildhook.aws.requests import AwsRequests, reason
from guildhook.errors import InfrastructureError
from guildhook.http_bodies import EndlessAnswerError, read_whole

MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""What Lambda takes and gives."""
_TOTAL_SECONDS: Final = 20
"""An API of API Gateway has 29 s for its own answer."""
# Connecting alone is tried again: a request that was sent may have been carried out.
_RETRIES: Final = urllib3.Retry(total=1, connect=1, read=0, status=0, other=0, redirect=0, backoff_factor=0.1)
_ERROR_BYTES: Final = 64 * 1024
_MEANINGS: Final[Mapping[int, str]] = {
    HTTPStatus.FORBIDDEN: ": this function's role may not invoke it; it needs lambda:InvokeFunction",
    HTTPStatus.NOT_FOUND: ": there is no such function",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ": the request is larger than Lambda takes",
    HTTPStatus.TOO_MANY_REQUESTS: ": all of its instances are busy",
}


class LambdaFunction:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, name: str, variable: str, total_seconds: float = _TOTAL_SECONDS) -> None:
        """`name` is its name or ARN; `variable` of the environment has it, and is named in errors."""
        self._access = access
        self._name = name
        self._variable = variable
        self._total_seconds = total_seconds

    def invoke(self, payload: bytes) -> bytes:
        """Its answer, which like `payload` is JSON. Raises InfrastructureError, also if the function failed."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise self._failed(f"the request has {len(payload)} bytes; Lambda takes {MAX_PAYLOAD_BYTES}")
        try:
            with self._request(payload) as answer:
                if answer.status != HTTPStatus.OK:
                    answer.read(_ERROR_BYTES)
                    raise self._failed(f"HTTP {answer.status}{_MEANINGS.get(answer.status, '')}")
                body = read_whole(answer, MAX_PAYLOAD_BYTES, self._total_seconds)
        except EndlessAnswerError as error:
            raise self._failed(str(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(reason(error)) from None
        except BotoCoreError as error:
            raise self._failed(str(error)) from None
        if "X-Amz-Function-Error" in answer.headers:
            # What it says of it is in its own log.
            raise self._failed("it failed, or was ended by Lambda")
        return body

    def _request(self, payload: bytes) -> urllib3.BaseHTTPResponse:
        url = self._aws.endpoint("LAMBDA") or f"https://lambda.{self._aws.region}.{self._aws.domain}"
        path = f"/2015-03-31/functions/{quote(self._name, safe='')}/invocations"
        headers = {"Content-Type": "application/json"}
        return self._aws.request(AWSRequest("POST", f"{url}{path}", headers, payload), "lambda")

    @cached_property
    def _aws(self) -> AwsRequests:
        return AwsRequests(self._access, urllib3.Timeout(connect=2, read=self._total_seconds), _RETRIES)

    def _failed(self, why: str) -> InfrastructureError:
        return InfrastructureError(f"function {self._name} ({self._variable}): {why}")
