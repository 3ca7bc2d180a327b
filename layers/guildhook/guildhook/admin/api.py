"""The admin API: all routes, each behind its guards."""

import re
from typing import Any, Final

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import OpenAPIRequestValidationMiddleware

from guildhook.admin.endpoints import Endpoint
from guildhook.admin.guards import answering, guards, origin_checked
from guildhook.admin.problems import ProblemError
from guildhook.admin.routes import (
    guilds,
    live_version,
    plugins,
    runs,
    service,
    settings_versions,
    subscribers,
    trials,
    versions,
)
from guildhook.admin.routes.operator import audit as operator_audit
from guildhook.admin.routes.operator import compiles as operator_compiles
from guildhook.admin.routes.operator import guilds as operator_guilds
from guildhook.admin.routes.operator import plugins as operator_plugins
from guildhook.admin.routes.operator import runs as operator_runs
from guildhook.admin.services import AdminServices

ENDPOINTS: Final[tuple[Endpoint, ...]] = tuple(
    endpoint
    for endpoints in (
        service.endpoints,
        subscribers.endpoints,
        guilds.actor_endpoints,
        guilds.endpoints,
        plugins.endpoints,
        versions.endpoints,
        live_version.endpoints,
        settings_versions.endpoints,
        runs.endpoints,
        trials.endpoints,
        operator_guilds.endpoints,
        operator_plugins.endpoints,
        operator_runs.endpoints,
        operator_compiles.endpoints,
        operator_audit.endpoints,
    )
    for endpoint in endpoints.declared
)


def create_api(services: AdminServices) -> APIGatewayHttpResolver:
    api = described_api()
    api.use([answering(services), origin_checked])

    def nothing_there(_error: Exception) -> Response[Any]:
        raise _not_found(api.current_event.http_method, api.current_event.path)

    api.not_found(nothing_there)
    return api


def described_api() -> APIGatewayHttpResolver:
    """The API without services, which is enough for its OpenAPI document."""
    # Without `debug=False`, POWERTOOLS_DEV would print whole requests and answer with tracebacks. Validation is not
    # enabled here, because Powertools would validate before the guards; each route does it after them.
    api = APIGatewayHttpResolver(debug=False, json_body_deserializer=msgspec.json.decode)
    for endpoint in ENDPOINTS:
        api.route(
            endpoint.path.replace("{", "<").replace("}", ">"),
            endpoint.method,
            compress=endpoint.answer is not None,
            summary=endpoint.summary,
            description=endpoint.description,
            responses=endpoint.responses(),  # type: ignore[arg-type]
            tags=[endpoint.tag],
            operation_id=endpoint.operation_id,
            security=[{endpoint.scheme: []}] if endpoint.scheme else None,
            middlewares=[*guards(endpoint), OpenAPIRequestValidationMiddleware()],  # type: ignore[no-untyped-call]
        )(endpoint.handler)
    return api


def _not_found(method: str, path: str) -> ProblemError:
    allowed = sorted({endpoint.method for endpoint in ENDPOINTS if _pattern(endpoint.path).fullmatch(path)})
    # Powertools does not match every character in a path, so an endpoint may have the path and the method.
    if not allowed or method in allowed:
        return ProblemError("not-found", "there is no such resource; GET /api/openapi.json lists all of them")
    takes = ", ".join(allowed)
    return ProblemError("method-not-allowed", f"the resource takes {takes}, not {method}", headers={"Allow": takes})


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
