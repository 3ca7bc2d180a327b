"""Requests to AWS with botocore's signatures, without its clients.

A cold start waits for the first artifact and for its secrets, and importing boto3's clients and building them takes
longer than the rest of it.
"""

import json
from functools import cached_property
from http import HTTPStatus
from typing import Any

import msgspec
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

_TIMEOUT = urllib3.Timeout(connect=2, read=5)
_RETRIES = urllib3.Retry(
    total=2,
    backoff_factor=0.1,
    backoff_jitter=0.1,
    allowed_methods=None,  # all of them: what is asked for here changes nothing
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
# A function has ten seconds to start, and connects to the database and the chat server as well.
_TIMEOUT_OF_SECRETS = urllib3.Timeout(connect=1, read=2)
_RETRIES_OF_SECRETS = _RETRIES.new(connect=1, read=0)
_CONNECTIONS = 8
_GET_SECRET_VALUE = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
_LARGEST_SECRET_BYTES = 512 * 1024
"""Of the answer: a secret has 64 KiB at the most, which JSON can make six times as long."""
_REFUSAL_CHARS = 400


class AwsRequests:
    """Signed requests and their connections. Safe for use from several threads.

    Raises BotoCoreError where the region or the credentials are missing.
    """

    def __init__(
        self, access: AwsAccess, timeout: urllib3.Timeout = _TIMEOUT, retries: urllib3.Retry = _RETRIES
    ) -> None:
        self._access = access
        self._http = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=timeout, retries=retries)

    @property
    def region(self) -> str:
        region = self._access.region
        if not region:
            raise NoRegionError
        return region

    @property
    def domain(self) -> str:
        """The domain of the region's services."""
        return "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"

    def endpoint(self, service: str) -> str | None:
        return self._access.endpoint(service)

    def request(self, request: AWSRequest, service: str, auth: type[SigV4Auth] = SigV4Auth) -> urllib3.BaseHTTPResponse:
        """The answer; its body is still to be read. Raises urllib3's HTTPError."""
        self.sign(request, service, auth)
        return self._http.request(
            request.method,
            request.url,
            body=request.data,
            headers=dict(request.headers),
            preload_content=False,
            redirect=False,
        )

    def sign(self, request: AWSRequest, service: str, auth: type[SigV4Auth], **options: Any) -> None:
        auth(self._credentials.get_frozen_credentials(), service, self.region, **options).add_auth(request)

    @cached_property
    def _credentials(self) -> Credentials:
        credentials = self._access.credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials


class SecretsManager:
    """As much of boto3's client as Powertools needs; its own takes 60 ms to build."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    def get_secret_value(self, **parameters: str) -> dict[str, Any]:
        """Raises InfrastructureError, which shows nothing of the value."""
        # A new connection: until a secret is read again, the process may have been frozen, or be another's snapshot.
        aws = AwsRequests(self._access, _TIMEOUT_OF_SECRETS, _RETRIES_OF_SECRETS)
        try:
            url = aws.endpoint("SECRETS_MANAGER") or f"https://secretsmanager.{aws.region}.{aws.domain}"
            request = AWSRequest("POST", f"{url}/", dict(_GET_SECRET_VALUE), json.dumps(parameters))
            with aws.request(request, "secretsmanager") as answer:
                body = answer.read(_LARGEST_SECRET_BYTES)
            if answer.status == HTTPStatus.OK:
                return msgspec.json.decode(body, type=dict[str, Any])
        except BotoCoreError as error:
            raise InfrastructureError(str(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise InfrastructureError(f"Secrets Manager at {url}: {reason(error)}") from None
        except ValueError:
            raise InfrastructureError(f"Secrets Manager at {url}: an answer that is no JSON object") from None
        raise InfrastructureError(f"HTTP {answer.status} {_refusal(body)}")


def reason(error: urllib3.exceptions.HTTPError) -> str:
    """What ended the last attempt; not in its own words, which have the whole URL."""
    return type((isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason) or error).__name__


def _refusal(body: bytes) -> str:
    """Code and message, on one line: AWS says there who may not do what, or what is not there."""
    try:
        answer = json.loads(body)
        code, message = answer["__type"], answer.get("Message") or answer.get("message") or ""
        return " ".join(f"{code.rpartition('#')[2]}: {message}".split())[:_REFUSAL_CHARS]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
