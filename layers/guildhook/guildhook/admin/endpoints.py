"""The declaration of a route of the admin API. A route without a declared access cannot exist."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from inspect import getdoc, signature
from typing import Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator

from guildhook.admin.models import Problem, SecretName, VersionNumber
from guildhook.admin.problems import CONTENT_TYPE

Handler = Callable[..., Response[Any]]

JSON: Final = "application/json"
BEARER: Final = "token"
"""The name of the security scheme of people."""
SERVICE: Final = "service_token"
"""The name of the security scheme of the chat server."""
OPERATOR_BEARER: Final = "operator_token"
"""The name of the security scheme of operators."""
OPERATOR_PREFIX: Final = "/api/operator"


class Access(StrEnum):
    """The callers who may use a route."""

    ANYBODY = "anybody"
    CHAT_SERVER = "chat_server"
    """The chat server, with its own service token."""
    SIGNED_IN = "signed_in"
    MANAGERS = "managers"
    """Actors with MANAGE_GUILD in the guild that the path names."""
    OPERATORS = "operators"
    """Actors with a token for operators. Without the configuration of operators there is nobody."""


OF_PEOPLE: Final = frozenset({Access.SIGNED_IN, Access.MANAGERS, Access.OPERATORS})
"""They need an access token of the identity provider."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    method: str
    path: str
    """Parameters are written as `{name}`."""
    handler: Handler
    access: Access
    operation_id: str
    tag: str
    answer: type[BaseModel] | None
    """None if the answer has no body."""
    status: HTTPStatus
    conflicts: bool
    """The route also answers 409."""
    cost: int
    """The number of requests that this one counts as in the actor's limit."""

    def __post_init__(self) -> None:
        if (self.access is Access.OPERATORS) != self.path.startswith(OPERATOR_PREFIX):
            raise ValueError(f"{self.operation_id}: access is for operators exactly if the path is below theirs")
        if (self.access is Access.MANAGERS) != ("{guild_id}" in self.path) and self.access is not Access.OPERATORS:
            raise ValueError(f"{self.operation_id}: access is for managers exactly if the path has {{guild_id}}")

    @property
    def takes_body(self) -> bool:
        return "body" in signature(self.handler).parameters

    @property
    def is_conditional(self) -> bool:
        return "if_match" in signature(self.handler).parameters

    @property
    def summary(self) -> str:
        return (getdoc(self.handler) or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        return (getdoc(self.handler) or "").partition("\n")[2].strip()

    @property
    def scheme(self) -> str | None:
        """The name of the security scheme; None if the route asks for nothing."""
        schemes = {Access.ANYBODY: None, Access.CHAT_SERVER: SERVICE, Access.OPERATORS: OPERATOR_BEARER}
        return schemes.get(self.access, BEARER)

    def responses(self) -> dict[int, dict[str, Any]]:
        """The responses by status, in the form that Powertools makes OpenAPI from."""
        documented: dict[int, dict[str, Any]] = {self.status.value: self._success()}
        for status in self._problems():
            documented[status] = {"description": _MEANINGS[status], "content": {CONTENT_TYPE: {"model": Problem}}}
        if "if_none_match" in signature(self.handler).parameters:
            documented[HTTPStatus.NOT_MODIFIED] = {"description": "Nothing has changed since.", "content": {}}
        return documented

    def _success(self) -> dict[str, Any]:
        description = self.status.phrase
        if self.answer is None:
            return {"description": description, "content": {}}
        success: dict[str, Any] = {"description": description, "content": {JSON: {"model": self.answer}}}
        if "etag" in self.answer.model_fields:
            success["headers"] = {"ETag": {"description": "The entity tag for If-Match.", "schema": {"type": "string"}}}
        return success

    def _problems(self) -> Iterable[HTTPStatus]:
        parameters = signature(self.handler).parameters
        yield HTTPStatus.SERVICE_UNAVAILABLE
        if self.access is not Access.ANYBODY:
            yield HTTPStatus.UNAUTHORIZED
        if self.access in OF_PEOPLE:
            yield HTTPStatus.TOO_MANY_REQUESTS
        if self.access in (Access.MANAGERS, Access.OPERATORS):
            yield HTTPStatus.FORBIDDEN
            yield HTTPStatus.NOT_FOUND
        if self.takes_body:
            yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if self.takes_body or self.is_conditional or "cursor" in parameters:
            yield HTTPStatus.BAD_REQUEST
        if self.takes_body or {"limit", "hours", "base", "idempotency_key"} & set(parameters):
            yield HTTPStatus.UNPROCESSABLE_ENTITY
        if self.is_conditional:
            yield HTTPStatus.PRECONDITION_REQUIRED
            yield HTTPStatus.PRECONDITION_FAILED
        if self.conflicts:
            yield HTTPStatus.CONFLICT


class Endpoints:
    """The endpoints of one tag, in the order of their declaration."""

    def __init__(self, tag: str, access: Access, below: str = "") -> None:
        self._tag = tag
        self._access = access
        self._below = below
        self.declared: list[Endpoint] = []

    def add(
        self,
        method: str,
        path: str,
        operation_id: str,
        answer: type[BaseModel] | None,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        conflicts: bool = False,
        cost: int = 1,
    ) -> Callable[[Handler], Handler]:
        """A decorator for the handler. Its docstring's first line becomes the summary, the rest the description."""

        def declare(handler: Handler) -> Handler:
            self.declared.append(
                Endpoint(
                    method=method,
                    path=self._below + path,
                    handler=handler,
                    access=self._access,
                    operation_id=operation_id,
                    tag=self._tag,
                    answer=answer,
                    status=status,
                    conflicts=conflicts,
                    cost=cost,
                )
            )
            return handler

        return declare


def canonical_uuid(text: str) -> UUID:
    """Raises ValueError for any other spelling than the usual one, so that a resource has one path."""
    parsed = UUID(text)
    if str(parsed) != text:
        raise ValueError("not a UUID in lower case")
    return parsed


def _rfc3339(text: object) -> object:
    """Raises ValueError for a number, which pydantic would take as well."""
    if isinstance(text, str) and "T" not in text.upper():
        raise ValueError("not a time such as 2026-01-25T12:00:00Z")
    return text


_Uuid = Annotated[UUID, BeforeValidator(lambda text: canonical_uuid(text) if isinstance(text, str) else text)]

PathId = Annotated[_Uuid, Path()]
PathVersionNumber = Annotated[VersionNumber, Path()]
PathSecretName = Annotated[SecretName, Path()]
QueryId = Annotated[_Uuid | None, Query()]
QueryTime = Annotated[
    AwareDatetime | None, BeforeValidator(_rfc3339), Query(description="A time as in RFC 3339, with its offset.")
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="The entity tag that you read: `etag` in the body, or the header ETag. It can be a list of them.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match", description="The entity tag of your copy. If nothing has changed, the answer is 304."
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,64}$",
        description="A key of your choice. A second request with it creates nothing, and gets the first answer.",
    ),
]
Cursor = Annotated[str | None, Query(max_length=512, description="The `next_cursor` of the previous page.")]
PageLimit = Annotated[int, Query(ge=1, le=100, description="The most items on the page.")]

_MEANINGS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read: its body, its If-Match or its cursor.",
    HTTPStatus.UNAUTHORIZED: "The token is missing or not valid.",
    HTTPStatus.FORBIDDEN: "You do not have MANAGE_GUILD in the guild, or your token lacks the group of operators.",
    HTTPStatus.NOT_FOUND: "The resource does not exist, it belongs to another guild, or there are no operators.",
    HTTPStatus.CONFLICT: "The current state does not allow the request; `type` says why.",
    HTTPStatus.PRECONDITION_FAILED: "If-Match does not have the current entity tag. Read the resource again.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is not valid; `errors` says why.",
    HTTPStatus.PRECONDITION_REQUIRED: "If-Match is missing, or is `*`.",
    HTTPStatus.TOO_MANY_REQUESTS: "There were too many requests within a minute. Retry-After says when to try again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Another service does not answer. Try again.",
}
