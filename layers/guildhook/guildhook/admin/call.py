"""What a handler of the admin API is given beside its parameters, and what it answers with."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Request, Response
from pydantic import BaseModel

from guildhook.admin.endpoints import JSON


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    services: Any


def _current(request: Request) -> Call:
    call: Call = request.context["call"]
    return call


CurrentCall = Annotated[Call, Depends(_current)]


def answer(body: BaseModel | None, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response[Any]:
    """With the ETag that is in the body."""
    if body is None:
        return Response(status.value, headers=headers)
    etag = getattr(body, "etag", None)
    if etag is not None:
        headers["ETag"] = etag
    return Response(status.value, JSON, body.model_dump_json(by_alias=True), headers)
