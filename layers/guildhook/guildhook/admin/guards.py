"""The checks that a request passes before its route is called, ordered from the cheapest to the dearest."""

import re
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)

from guildhook.admin import problems
from guildhook.admin.access import NotManagedError
from guildhook.admin.admin_request import AdminRequest
from guildhook.admin.endpoints import JSON, Access, Endpoint, canonical_uuid
from guildhook.admin.models import FieldError
from guildhook.admin.origin import ORIGIN_HEADER
from guildhook.admin.problems import ProblemError
from guildhook.admin.rate_limiter import TooManyRequestsError
from guildhook.admin.request_report import RequestReport
from guildhook.admin.responses import respond_with_problem
from guildhook.admin.services import AdminServices
from guildhook.admin.tokens import Actor, InvalidTokenError, NotOperatorError
from guildhook.errors import InfrastructureError, OverLimitError, UnsealableError

MAX_BODY_BYTES: Final = 256 * 1024
"""The size of a request's body."""
MAX_BODY_LEVELS: Final = 64
"""The levels of lists and objects in a request's body. Settings may have half as many levels."""

_TOKEN: Final = re.compile(r"(?i:bearer) +(\S+) *")
_CHALLENGE: Final = 'Bearer realm="guildhook"'
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)

Middleware = Callable[[APIGatewayHttpResolver, NextMiddleware], Response[Any]]


def answering(services: AdminServices) -> Middleware:
    """The outermost middleware. It turns every error into an answer, and reports the request."""

    def middleware(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        started = time.monotonic()
        request = AdminRequest(services)
        app.context["request"] = request
        problem: ProblemError | None = None
        fault: Exception | None = None
        try:
            response = next_middleware(app)
        except Exception as error:  # noqa: BLE001 - an unexpected error is reported with its traceback
            problem, fault = _problem_of(error)
            response = respond_with_problem(problem)
        for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")):
            response.headers.setdefault(name, value)
        services.report(
            RequestReport(
                operation=app.context.get("operation", ""),
                method=app.current_event.http_method,
                status=response.status_code,
                actor_id=request.signed_in.id if request.signed_in else None,
                guild_id=str(request.managed.id) if request.managed else None,
                seconds=time.monotonic() - started,
                problem=str(problem) if problem else None,
                fault=fault,
            )
        )
        return response

    return middleware


def origin_checked(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """The guard of every path, known or not, before any other work: requests come through the cache in front."""
    request: AdminRequest = app.context["request"]
    origin = request.services.origin
    if origin is not None and not origin.admits(app.current_event.headers.get(ORIGIN_HEADER)):
        raise ProblemError(
            "closed-address",
            "this address answers the cache in front of it alone; use the address that the operator has published",
        )
    return next_middleware(app)


def guards(endpoint: Endpoint) -> list[Middleware]:
    """The middlewares of one route, in their order."""

    def named(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        app.context["operation"] = endpoint.operation_id
        return next_middleware(app)

    def signed_in_operator(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        request: AdminRequest = app.context["request"]
        _sign_in_operator(request, app.current_event.headers.get("authorization"))
        _charge(request, endpoint.cost)
        return next_middleware(app)

    def signed_in(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        request: AdminRequest = app.context["request"]
        _sign_in(request, app.current_event.headers.get("authorization"))
        _charge(request, endpoint.cost)
        return next_middleware(app)

    found: list[Middleware] = [named]
    if endpoint.takes_body:
        found.append(_bounded_body)
    if endpoint.access is Access.CHAT_SERVER:
        found.append(_chat_server)
    if endpoint.access is Access.OPERATORS:
        found.append(signed_in_operator)
    if endpoint.access in (Access.SIGNED_IN, Access.MANAGERS):
        found.append(signed_in)
    if endpoint.access is Access.MANAGERS:
        found.append(_guild_managed)
    return found


def _bounded_body(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    event = app.current_event
    media_type = event.headers.get("content-type", "").partition(";")[0].strip()
    if event.body and media_type != JSON:
        raise ProblemError("not-json", f"send the body with Content-Type: {JSON}")
    try:
        text = event.body or ""
        body = b64decode(text, validate=True) if event.is_base64_encoded else text.encode()
    except ValueError:
        raise ProblemError("malformed", "the body is not UTF-8") from None
    check_json(body)
    return next_middleware(app)


def check_json(body: bytes) -> None:
    """Raises ProblemError unless the body is a JSON object within the limits of size and depth."""
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError("too-large", f"the body has {len(body)} bytes; the limit is {MAX_BODY_BYTES}")
    # Levels are counted before parsing, because a parser needs stack for every level.
    level = 0
    for found in _BRACKETS.finditer(body):
        level += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(found[0], 0)
        if level > MAX_BODY_LEVELS:
            raise ProblemError("malformed", f"the body has more than {MAX_BODY_LEVELS} levels, which is the limit")
    if not body.strip():
        raise problems.invalid([FieldError(pointer="", message="send a body, a JSON object")])
    try:
        # json.loads would accept lone surrogates and NaN.
        parsed = msgspec.json.decode(body)
    except ValueError as error:
        raise ProblemError("malformed", f"the body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise problems.invalid([FieldError(pointer="", message="is not a JSON object")])


def _chat_server(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    request: AdminRequest = app.context["request"]
    sent = _sent_token(
        app.current_event.headers.get("authorization"),
        "send the service token that guildhook uses with the chat server: Authorization: Bearer TOKEN",
    )
    if not request.services.service_token.accepts(sent):
        raise _invalid_token("this is not the service token that guildhook uses with the chat server")
    request.service_token = sent
    return next_middleware(app)


def _sign_in(request: AdminRequest, authorization: str | None) -> None:
    request.signed_in = _verified(request.services.tokens.verify, authorization)


def _sign_in_operator(request: AdminRequest, authorization: str | None) -> None:
    tokens = request.services.tokens
    rule = tokens.operators
    if rule is None:
        detail = "this installation has no operators; OperatorAudience and OperatorGroup say who they are"
        raise ProblemError("not-found", detail)
    try:
        request.signed_in = _verified(lambda token: tokens.verify_operator(token, rule), authorization)
    except NotOperatorError as error:
        raise ProblemError("forbidden", f"{error}; the identity provider's admins can add you") from None


def _verified(verify: Callable[[str], Actor], authorization: str | None) -> Actor:
    token = _sent_token(
        authorization, "send an access token: Authorization: Bearer TOKEN; GET /api/sign-in names the issuer"
    )
    try:
        return verify(token)
    except InvalidTokenError as error:
        raise _invalid_token(str(error)) from None


def _sent_token(authorization: str | None, request_for_one: str) -> str:
    found = _TOKEN.fullmatch(authorization or "")
    if found is None:
        raise ProblemError("unauthorized", request_for_one, headers={"WWW-Authenticate": _CHALLENGE})
    return found[1]


def _invalid_token(reason: str) -> ProblemError:
    return ProblemError("unauthorized", reason, headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'})


def _charge(request: AdminRequest, cost: int) -> None:
    try:
        request.services.rate_limiter.charge(request.actor, cost)
    except TooManyRequestsError as error:
        headers = {"Retry-After": str(error.retry_after_seconds)}
        raise ProblemError("too-many-requests", str(error), headers=headers) from None


def _guild_managed(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    request: AdminRequest = app.context["request"]
    guild_id = _guild_id(app.context["_route_args"]["guild_id"])
    try:
        request.managed = request.services.access.check(request.actor, guild_id)
    except NotManagedError as error:
        if error.member:
            raise ProblemError("forbidden", "this needs MANAGE_GUILD in the guild; its admins can grant it") from None
        raise _no_guild() from None
    return next_middleware(app)


def _guild_id(text: str) -> UUID:
    try:
        return canonical_uuid(text)
    except ValueError:
        raise _no_guild() from None


def _no_guild() -> ProblemError:
    return ProblemError("not-found", "there is no such guild, or you are not a member of it")


def _problem_of(error: Exception) -> tuple[ProblemError, Exception | None]:
    """The problem to answer with, and the error itself if guildhook is at fault."""
    match error:
        case ProblemError():
            return error, None
        case RequestValidationError():
            return problems.from_validation(error.errors()), None
        case RequestUnsupportedContentType():
            return ProblemError("not-json", f"send the body with Content-Type: {JSON}"), None
        case UnsealableError():
            return ProblemError("cannot-run", str(error)), None
        case OverLimitError():
            return ProblemError("limit-reached", f"{error}; make some smaller, or delete some"), None
        case InfrastructureError():
            detail = "the database, the chat server or another service does not answer; try again"
            return ProblemError("unavailable", detail, operators_detail=str(error)), None
        case _:
            return ProblemError(
                "internal", "the error is in the operator's log; try again, and tell the operator if it stays"
            ), error
