"""The REST API of the chat server that guildhook was made for."""

import json
from http import HTTPStatus
from typing import Any

import urllib3

from guildhook.errors import InfrastructureError
from guildhook.model import Delivery, DeliveryState, SendMessage

_TIMEOUT = urllib3.Timeout(connect=2, read=5)
# Together with the database's 5 s less than the 10 s that Lambda gives a function to start.
_CONNECT_TIMEOUT = urllib3.Timeout(total=2)
# SQS brings back what is still pending after these; the pauses stay far below a function's timeout.
_RETRIES = urllib3.Retry(
    total=2,
    backoff_factor=0.2,
    backoff_jitter=0.2,
    backoff_max=2,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,  # POST too: the idempotency key makes it safe
    raise_on_status=False,
    respect_retry_after_header=False,  # a server that asks for an hour would hold the function for an hour
)
_CONNECTIONS = 16
_MAX_RESPONSE_BYTES = 64 * 1024
# The operator's to mend, not the plugin's: wrong token, wrong address.
_PENDING_STATUS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class RestChatApi:
    def __init__(self, base_url: str, service_token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._address = urllib3.util.parse_url(self._base_url)._replace(auth=None).url
        self._headers = {"Authorization": f"Bearer {service_token}", "Content-Type": "application/json"}
        self._http = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=_TIMEOUT, retries=_RETRIES)

    def connect(self) -> None:
        """Open a connection ahead of its first use; any answer will do. Raises InfrastructureError."""
        try:
            self._http.request("HEAD", self._base_url, timeout=_CONNECT_TIMEOUT, retries=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise InfrastructureError(self._failure(_reason(error))) from None

    def send(self, intent: SendMessage) -> Delivery:
        try:
            response = self._http.request(
                "POST",
                f"{self._base_url}/api/messages/channel/{intent.channel_id}",
                body=json.dumps({"content": intent.content, "nonce": intent.key}),
                headers={**self._headers, "Idempotency-Key": intent.key},
                redirect=False,  # the token goes to the configured server alone
                preload_content=False,
            )
            with response:
                body = response.read(_MAX_RESPONSE_BYTES)
        except urllib3.exceptions.HTTPError as error:
            return self._pending(intent, _reason(error))
        answer = _object(body)
        if response.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
            return Delivery(intent.key, DeliveryState.DELIVERED, _text(answer.get("id")))
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in _PENDING_STATUS:
            return self._pending(intent, f"HTTP {response.status}")
        if response.status >= HTTPStatus.BAD_REQUEST:
            return Delivery(intent.key, DeliveryState.REFUSED, _text(answer.get("error")) or f"HTTP {response.status}")
        return self._pending(intent, f"HTTP {response.status}, which is no answer to a send")

    def close(self) -> None:
        self._http.clear()

    def _pending(self, intent: SendMessage, reason: str) -> Delivery:
        return Delivery(intent.key, DeliveryState.PENDING, self._failure(reason))

    def _failure(self, reason: str) -> str:
        return f"chat API at {self._address} (GUILDHOOK_CHAT_API_URL): {reason}"


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    return type(cause).__name__


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _text(value: Any) -> str:
    return value.replace("\0", "")[:200] if isinstance(value, str) else ""
