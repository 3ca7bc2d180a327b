"""Lambda behind an HTTP API: what guild admins and operators ask. Errors are objects of `error` and `message`, as the
chat server's are.
"""

import sys
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths

from guildhook import __version__
from guildhook.errors import ConfigurationError, InfrastructureError
from guildhook.observability import create_telemetry
from guildhook.settings import AdminSettings, load_settings
from guildhook.store import Store
from guildhook.store.schema import MIGRATIONS

# POWERTOOLS_DEV would print whole requests, and answer with tracebacks.
api = APIGatewayHttpResolver(debug=False)

try:
    telemetry = create_telemetry()
    settings = load_settings(AdminSettings)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
logger = telemetry.logger
store = Store(settings.database)
close = store.close


handler = telemetry.handler(api.resolve, correlation_paths.API_GATEWAY_HTTP)


@api.get("/api/health")
def health() -> Response[Any]:
    applied = store.applied_migrations()
    missing = [migration for migration in MIGRATIONS if migration not in applied]
    if missing:
        logger.error("the database is not up to date", extra={"missing": missing})
        return failure(HTTPStatus.SERVICE_UNAVAILABLE, "the database is not up to date")
    # A newer version may have applied more already.
    return answer(HTTPStatus.OK, {"status": "ok", "version": __version__, "schema": max(applied)})


@api.route("/api/health", method=["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def health_is_only_read() -> Response[Any]:
    return failure(HTTPStatus.METHOD_NOT_ALLOWED, "this resource takes GET", {"Allow": "GET"})


@api.not_found
def no_such_resource(_error: NotFoundError) -> Response[Any]:
    return failure(HTTPStatus.NOT_FOUND, "there is no such resource")


@api.exception_handler(InfrastructureError)  # type: ignore[untyped-decorator]
def out_of_reach(error: InfrastructureError) -> Response[Any]:
    logger.error("out of reach", extra={"reason": str(error)})
    return failure(HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer")


@api.exception_handler(Exception)  # type: ignore[untyped-decorator]
def failed(error: Exception) -> Response[Any]:
    logger.error("request failed", exc_info=error)
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong; it is in the log")


def failure(status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> Response[Any]:
    return answer(status, {"error": _ERRORS[status], "message": message}, headers)


def answer(status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response[Any]:
    return Response(
        status.value, content_types.APPLICATION_JSON, body, {"Cache-Control": "no-store", **(headers or {})}
    )


_ERRORS = {
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
}
