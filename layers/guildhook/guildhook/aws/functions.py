"""Invoking another function of Lambda, and waiting for its answer."""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import urllib3

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.requests import AwsService
from guildhook.errors import InfrastructureError

MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit for a request and for an answer."""
# An API of API Gateway has 29 s for its own answer. Lambda sends a body once the function has ended.
CONNECT_SECONDS: Final = 2
ANSWER_SECONDS: Final = 20
BODY_SECONDS: Final = 3
# Connecting alone is tried again: a request that was sent may have been carried out.
_RETRIES: Final = urllib3.Retry(total=1, connect=1, read=0, status=0, other=0, redirect=0, backoff_factor=0.1)
_HEADERS: Final = {"Content-Type": "application/json"}
_REMEDIES: Final[Mapping[int, str]] = {
    HTTPStatus.FORBIDDEN: ": this function's role may not invoke it; it needs lambda:InvokeFunction",
    HTTPStatus.NOT_FOUND: ": there is no such function",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ": the request is larger than Lambda takes",
    HTTPStatus.TOO_MANY_REQUESTS: ": all of its instances are busy",
}


class LambdaFunction:
    """Safe for use from several threads."""

    def __init__(self, access: AwsAccess, name: str, variable: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        """`name` is the function's name or ARN; errors name `variable`, which configures it. `answer_seconds` limit the
        time until the answer begins.
        """
        self._access = access
        self._name = name
        self._variable = variable
        self._answer_seconds = answer_seconds

    def invoke(self, payload: bytes) -> bytes:
        """The function's answer. It and `payload` are JSON. Raises InfrastructureError, also if the function failed."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise self._failed(f"the request has {len(payload)} bytes; Lambda takes {MAX_PAYLOAD_BYTES}")
        try:
            answer = self._service.request("POST", self._url(), MAX_PAYLOAD_BYTES + 1, _HEADERS, payload)
        except AwsError as error:
            raise self._failed(str(error)) from None
        if answer.status != HTTPStatus.OK:
            raise self._failed(f"HTTP {answer.status}{_REMEDIES.get(answer.status, '')}")
        if len(answer.body) > MAX_PAYLOAD_BYTES:
            raise self._failed(f"the answer has more than {MAX_PAYLOAD_BYTES} bytes")
        if "X-Amz-Function-Error" in answer.headers:
            # The function's own log has the error.
            raise self._failed("it failed, or was ended by Lambda")
        return answer.body

    def _url(self) -> str:
        """Raises AwsError without a region."""
        return f"{self._access.url('lambda')}/2015-03-31/functions/{quote(self._name, safe='')}/invocations"

    @cached_property
    def _service(self) -> AwsService:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=self._answer_seconds)
        return AwsService(self._access, "lambda", timeout, _RETRIES, BODY_SECONDS)

    def _failed(self, why: str) -> InfrastructureError:
        return InfrastructureError(f"function {self._name} ({self._variable}): {why}")
