"""Signed requests to AWS without boto3.

A cold start waits for its secrets and the first artifact, and boto3's clients take longer to import and build than the
rest of the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import urllib3

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.signing import Signer
from guildhook.http_bodies import EndlessAnswerError, read_at_most
from guildhook.http_deadlines import head_deadline_pool

TIMEOUT: Final = urllib3.Timeout(connect=2, read=5)
RETRIES: Final = urllib3.Retry(
    total=2,
    backoff_factor=0.1,
    backoff_jitter=0.1,
    allowed_methods=None,  # all methods: requests that are sent with these retries change nothing
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
_CONNECTIONS: Final = 8
_TOTAL_SECONDS: Final = 20
_ERROR_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class AwsResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    """Its start, with a bound for an error as well."""


class AwsService:
    """One service of AWS and its connections. Safe for use from several threads."""

    def __init__(
        self,
        access: AwsAccess,
        name: str,
        timeout: urllib3.Timeout = TIMEOUT,
        retries: urllib3.Retry = RETRIES,
        total_seconds: float = _TOTAL_SECONDS,
    ) -> None:
        """`name` is the one in signatures, such as s3. `timeout.read` limits the time of status and headers, and then
        each read of the body; `total_seconds` limit the time of reading a body.
        """
        self._name = name
        self._total_seconds = total_seconds
        self._signer = Signer(access)
        self._timeout = timeout
        self._http = head_deadline_pool(_CONNECTIONS, retries)

    def request(
        self, method: str, url: str, max_bytes: int, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AwsResponse:
        """The answer with the first `max_bytes` of its body, or 64 KiB where the status is not 200. Raises AwsError."""
        signed = self._signer.headers(self._name, method, url, headers or {}, body)
        try:
            with self._http.request(
                method,
                url,
                body=body,
                headers=signed,
                timeout=self._timeout,
                preload_content=False,
                redirect=False,
            ) as answer:
                bound = max_bytes if answer.status == HTTPStatus.OK else _ERROR_BYTES
                data = read_at_most(answer, bound, self._total_seconds)
                return AwsResponse(answer.status, answer.headers, data)
        except EndlessAnswerError as error:
            raise AwsError(str(error)) from None
        except urllib3.exceptions.HTTPError as error:
            # The class alone: the text of the error has the whole URL.
            cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else None
            raise AwsError(type(cause or error).__name__) from None
