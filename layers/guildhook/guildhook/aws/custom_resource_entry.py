"""The entry to a function of custom resources. CloudFormation gets an answer even if the function cannot start.

A process that ends during its imports never reads the request, and CloudFormation waits until its timeout, an hour by
default. This module therefore imports the standard library alone.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

_logger = logging.getLogger(__name__)

# An answer may have 4,096 bytes, and JSON writes a control character in six.
LONGEST_REASON: Final = 400
_TIMEOUT_SECONDS: Final = 10

Handler = Callable[[Any, Any], Any]


class CustomResourceEntry:
    """The handler that `start` returns.

    It is started at once. If this raises Exception or SystemExit, each invocation tries again. While that fails, a
    request of CloudFormation is answered with FAILED and the reason, and an invocation with another event raises the
    error. The deletion of a resource succeeds, since there is nothing to delete.
    """

    def __init__(self, start: Callable[[], Handler]) -> None:
        self._start = start
        self._handler: Handler | None = None
        with suppress(Exception, SystemExit):
            self._handler = start()

    def __call__(self, event: Any, context: Any) -> Any:
        """Raises OSError if the answer cannot be delivered: Lambda then invokes the function again."""
        if self._handler is None:
            try:
                self._handler = self._start()
            except (Exception, SystemExit) as error:
                if not is_resource_request(event):
                    raise
                _logger.exception("the function cannot start")
                _deliver(event["ResponseURL"], _answer(event, error))
                return {}
        return self._handler(event, context)


def is_resource_request(event: Any) -> bool:
    return isinstance(event, dict) and "ResponseURL" in event


def physical_id(stack_id: str, logical_id: str, former: str | None) -> str:
    """Always the same one: another would make CloudFormation delete the resource that had the former."""
    return former or f"{stack_id}/{logical_id}"


def _answer(request: dict[str, Any], error: BaseException) -> dict[str, str]:
    stack_id, logical_id = request["StackId"], request["LogicalResourceId"]
    answer = {
        "Status": "SUCCESS" if request["RequestType"] == "Delete" else "FAILED",
        "PhysicalResourceId": physical_id(stack_id, logical_id, request.get("PhysicalResourceId")),
        "StackId": stack_id,
        "RequestId": request["RequestId"],
        "LogicalResourceId": logical_id,
    }
    return answer if answer["Status"] == "SUCCESS" else {**answer, "Reason": _reason(error)[:LONGEST_REASON]}


def _reason(error: BaseException) -> str:
    match error:
        case SystemExit():  # of a wrong environment
            return str(error)
        case ImportError() | SyntaxError():
            return f"the function cannot start: {type(error).__name__}: {error}"
    # Its text might be of somebody else.
    return f"the function cannot start: {type(error).__name__}; its log has more"


def _deliver(url: str, answer: dict[str, str]) -> None:
    """Raises OSError without the URL, since everyone who has it can answer."""
    body = json.dumps(answer, ensure_ascii=False).encode(errors="replace")
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        # The URL is signed for this header.
        connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Content-Type": ""})
        status = connection.getresponse().status
    except HTTPException as error:
        raise OSError(f"CloudFormation's answer: {type(error).__name__}") from None
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise OSError(f"CloudFormation's answer: HTTP {status}")
