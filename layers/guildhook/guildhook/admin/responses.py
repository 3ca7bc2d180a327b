"""The answers of the admin API as HTTP responses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from guildhook.admin.endpoints import JSON
from guildhook.admin.problems import CONTENT_TYPE, ProblemError


def respond(body: BaseModel | None, status: HTTPStatus = HTTPStatus.OK, etag: str | None = None) -> Response[Any]:
    headers: Mapping[str, Any] = {"ETag": etag} if etag else {}
    if body is None:
        return Response(status.value, headers=headers)
    return Response(status.value, JSON, body.model_dump_json(by_alias=True), headers)


def respond_with_problem(error: ProblemError) -> Response[Any]:
    return Response(error.status.value, CONTENT_TYPE, error.problem.model_dump_json(), dict(error.headers))
