"""AWS Secrets Manager without boto3, whose client takes 60 ms to build."""

import json
from http import HTTPStatus
from typing import Any, Final

import msgspec
import urllib3

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.requests import RETRIES, AwsService
from guildhook.errors import InfrastructureError

# A function has ten seconds to start, and connects to the database and the chat server as well.
_TIMEOUT: Final = urllib3.Timeout(connect=1, read=2)
_RETRIES: Final = RETRIES.new(connect=1, read=0)
_TOTAL_SECONDS: Final = 3
_HEADERS: Final = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
_LARGEST_ANSWER_BYTES: Final = 512 * 1024
"""A secret has 64 KiB at the most, which JSON can make six times as long."""
_REFUSAL_CHARS: Final = 400


class SecretsManager:
    """The method of boto3's client that Powertools calls."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    def get_secret_value(self, **parameters: str) -> dict[str, Any]:
        """Raises InfrastructureError, which shows nothing of the value."""
        # A new connection each time: since the last one the process may have been frozen, or restored from a snapshot.
        service = AwsService(self._access, "secretsmanager", _TIMEOUT, _RETRIES, _TOTAL_SECONDS)
        try:
            url = self._access.url("secretsmanager")
        except AwsError as error:
            raise InfrastructureError(str(error)) from None
        try:
            body = json.dumps(parameters).encode()
            answer = service.request("POST", f"{url}/", _LARGEST_ANSWER_BYTES, _HEADERS, body)
        except AwsError as error:
            raise InfrastructureError(f"Secrets Manager at {url}: {error}") from None
        if answer.status != HTTPStatus.OK:
            raise InfrastructureError(f"HTTP {answer.status} {_refusal(answer.body)}")
        try:
            return msgspec.json.decode(answer.body, type=dict[str, Any])
        except ValueError:
            raise InfrastructureError(f"Secrets Manager at {url}: an answer that is no JSON object") from None


def _refusal(body: bytes) -> str:
    """Code and message, on one line: AWS names there the missing permission or the missing secret."""
    try:
        answer = json.loads(body)
        code, message = answer["__type"], answer.get("Message") or answer.get("message") or ""
        return " ".join(f"{code.rpartition('#')[2]}: {message}".split())[:_REFUSAL_CHARS]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
