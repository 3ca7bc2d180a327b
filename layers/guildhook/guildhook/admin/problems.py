"""The errors of the admin API, as problem details (RFC 9457)."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from guildhook.admin.models import FieldError, Problem
from guildhook.model import Permission

CONTENT_TYPE: Final = "application/problem+json"
_URN: Final = "urn:guildhook:problem:"
_MAX_ERRORS: Final = 20
_SHOWN_CHARS: Final = 200
"""The characters that are shown of a name from a request."""

KINDS: Final[Mapping[str, tuple[HTTPStatus, str]]] = {
    "malformed": (HTTPStatus.BAD_REQUEST, "The request cannot be read"),
    "bad-cursor": (HTTPStatus.BAD_REQUEST, "The cursor is not valid"),
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "Sign in first"),
    "forbidden": (HTTPStatus.FORBIDDEN, "You may not do this"),
    "closed-address": (HTTPStatus.FORBIDDEN, "This address is closed"),
    "not-found": (HTTPStatus.NOT_FOUND, "There is no such resource"),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The resource does not take this method"),
    "consent-required": (HTTPStatus.CONFLICT, "The version needs permissions that the plugin is not granted"),
    "settings-invalid": (HTTPStatus.CONFLICT, "The version does not take the plugin's settings"),
    "settings-unknown": (HTTPStatus.CONFLICT, "The settings are not known"),
    "not-ready": (HTTPStatus.CONFLICT, "The version is not ready"),
    "compiling": (HTTPStatus.CONFLICT, "The version is still being compiled"),
    "in-use": (HTTPStatus.CONFLICT, "The version is in use"),
    "nothing-before": (HTTPStatus.CONFLICT, "There is no version to roll back to"),
    "limit-reached": (HTTPStatus.CONFLICT, "The limit is reached"),
    "message-not-kept": (HTTPStatus.CONFLICT, "The run's message was not kept"),
    "cannot-run": (HTTPStatus.CONFLICT, "The version cannot be run"),
    "changed-meanwhile": (HTTPStatus.PRECONDITION_FAILED, "Somebody has changed the resource meanwhile"),
    "condition-failed": (HTTPStatus.PRECONDITION_FAILED, "If-Match does not have the resource's entity tag"),
    "too-large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large"),
    "not-json": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not JSON"),
    "invalid": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    "key-used": (HTTPStatus.UNPROCESSABLE_ENTITY, "The idempotency key was used for something else"),
    "condition-missing": (HTTPStatus.PRECONDITION_REQUIRED, "An entity tag in If-Match is missing"),
    "too-many-requests": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Another service does not answer"),
}
"""Every kind of problem with its status and title."""


class ProblemError(Exception):
    """Ends a request with a problem. `detail` says what is wrong, and the way out."""

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Iterable[FieldError] = (),
        consent: Iterable[Permission] = (),
        headers: Mapping[str, str] | None = None,
        operators_detail: str | None = None,
    ) -> None:
        """`operators_detail` is for the log alone."""
        super().__init__(f"{kind}: {operators_detail or detail}")
        status, title = KINDS[kind]
        self.status = status
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=_URN + kind,
            title=title,
            status=status,
            detail=detail,
            errors=list(errors),
            consent=list(consent),
        )


def invalid(errors: Sequence[FieldError]) -> ProblemError:
    """A problem of a request that is not valid. `errors` has at least one error."""
    count = len(errors)
    return ProblemError(
        "invalid", errors[0].message if count == 1 else f"{count} parts of the request are not valid", errors
    )


def from_validation(errors: Iterable[Mapping[str, Any]]) -> ProblemError:
    """A problem from the errors of pydantic, whose `loc` Powertools begins with `path`, `query`, `header` or `body`.

    At most twenty errors are shown; a body can have tens of thousands.
    """
    found = [(error["loc"][0], _field_error(error), error["type"]) for error in islice(errors, _MAX_ERRORS)]
    if any(part == "path" for part, _, _ in found):
        return ProblemError("not-found", "there is no such resource")
    if any(part == "header" and error.pointer == "If-Match" and kind == "missing" for part, error, kind in found):
        return ProblemError("condition-missing", "send If-Match with the entity tag of the resource that you read")
    return invalid([error for _, error, _ in found])


def _field_error(error: Mapping[str, Any]) -> FieldError:
    part, *path = error["loc"]
    where = pointer(path) if part == "body" else ".".join(map(str, path))
    if part == "header":
        where = where.title()  # Powertools converts names to lower case.
    if error["type"] == "extra_forbidden":
        message = f"there is no field {str(path[-1])[:_SHOWN_CHARS]!r}; leave it out"
    elif error["type"] == "missing" and not path:
        message = "send a body, a JSON object"
    elif error["type"] == "missing":
        message = "is missing; give it"
    else:
        message = str(error["msg"]).removeprefix("Value error, ")
    return FieldError(pointer=where[:_SHOWN_CHARS], message=message)


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
