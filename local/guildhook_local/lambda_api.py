"""Lambda's Invoke API: functions of this process, called over HTTP as one function calls another in AWS."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guildhook_local.function import Handler, LambdaContext
from guildhook_local.guard import Admitted, Guard
from guildhook_local.signatures import KeyPair, SignedByKey
from guildhook_local.web_server import listening, serving_app

_logger = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit for a request and for an answer."""
# As in template.yaml. It is told to the function and not enforced on it.
_FUNCTION_TIMEOUT_SECONDS: Final = 15


@contextmanager
def lambda_api(
    handlers: Mapping[str, Handler], keys: KeyPair, address: str = "127.0.0.1", admitted: Admitted | None = None
) -> Iterator[str]:
    """Let functions be invoked by their names, with requests that are signed with `keys`, until the block is left.

    Yields the endpoint.
    """
    app = LambdaApi(handlers).app
    with listening(address) as (listener, url):
        guard = Guard(url, SignedByKey(keys), admitted or Admitted())
        with serving_app(app, guard, listener, "lambda-api"):
            yield url


class LambdaApi:
    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        # A sandbox of Lambda has one invocation at a time, and each function is loaded once.
        self._turns = {name: asyncio.Lock() for name in handlers}
        self.app = Starlette(routes=[Route("/2015-03-31/functions/{name}/invocations", self._invoke, methods=["POST"])])

    async def _invoke(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._handlers:
            return _error(404, "ResourceNotFoundException", f"Function not found: {name}")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_PAYLOAD_BYTES:
                return _error(
                    413, "RequestTooLargeException", f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes"
                )
        try:
            event = json.loads(body)
        except ValueError:
            return _error(400, "InvalidRequestContentException", "Could not parse request body into json")
        async with self._turns[name]:
            # In a thread: the function blocks, and may ask this process's other servers for something.
            return await asyncio.to_thread(self._call, name, event)

    def _call(self, name: str, event: Any) -> Response:
        context = LambdaContext(name, str(uuid4()), time.monotonic() + _FUNCTION_TIMEOUT_SECONDS)
        try:
            answer = json.dumps(self._handlers[name](event, context), ensure_ascii=False).encode()
        except Exception as error:
            _logger.exception("function %s failed", name)
            return _failed(type(error).__name__, str(error))
        if len(answer) > MAX_PAYLOAD_BYTES:
            return _failed("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed size")
        return Response(answer, media_type="application/json", headers={"X-Amz-Executed-Version": "$LATEST"})


def _failed(kind: str, message: str) -> Response:
    """Return the answer about a failed function. Lambda answers 200 for that as well."""
    headers = {"X-Amz-Function-Error": "Unhandled", "X-Amz-Executed-Version": "$LATEST"}
    return JSONResponse({"errorType": kind, "errorMessage": message}, headers=headers)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"Type": "User", "Message": message}, status, {"X-Amzn-ErrorType": code})
