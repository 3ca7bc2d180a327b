"""The admin API: its routes, and what every request passes before one of them is called."""

from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import OpenAPIRequestValidationMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from guildhook.admin import problems
from guildhook.admin.call import Call
from guildhook.admin.endpoints import BEARER, Access, Endpoint
from guildhook.admin.problems import ProblemError
from guildhook.admin.routes import guilds, plugins, runs, service, versions

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *service.endpoints.declared,
    *guilds.mine.declared,
    *guilds.endpoints.declared,
    *plugins.endpoints.declared,
    *versions.endpoints.declared,
    *runs.endpoints.declared,
)


def create_api(services: Any) -> APIGatewayHttpResolver:
    # POWERTOOLS_DEV would print whole requests, and answer with tracebacks.
    api = APIGatewayHttpResolver(debug=False)
    for endpoint in ENDPOINTS:
        _add(api, endpoint, services)
    api.exception_handler(ProblemError)(_problem)
    api.exception_handler(RequestValidationError)(lambda error: _problem(problems.from_validation(error.errors())))
    return api


def _add(api: APIGatewayHttpResolver, endpoint: Endpoint, services: Any) -> None:
    def with_call(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        app.append_context(call=Call(services))
        return next_middleware(app)

    api.route(
        endpoint.path.replace("{", "<").replace("}", ">"),
        endpoint.method,
        summary=endpoint.summary,
        description=endpoint.description,
        responses=endpoint.responses(),  # type: ignore[arg-type]
        tags=[endpoint.tag],
        operation_id=endpoint.operation_id,
        security=None if endpoint.access is Access.ANYBODY else [{BEARER: []}],
        middlewares=[with_call, OpenAPIRequestValidationMiddleware()],
    )(endpoint.handler)


def _problem(error: ProblemError) -> Response[Any]:
    return Response(error.status, problems.CONTENT_TYPE, error.problem.model_dump_json(), dict(error.headers))
