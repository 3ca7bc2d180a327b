"""Routes that anybody may use."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook import __version__
from guildhook.admin.admin_request import CurrentRequest
from guildhook.admin.endpoints import Access, Endpoints
from guildhook.admin.models import Document, Health, SignIn
from guildhook.admin.problems import ProblemError
from guildhook.admin.responses import respond
from guildhook.store.needed_migrations import MIGRATIONS

endpoints = Endpoints("service", Access.ANYBODY, "/api")

# A cache in front of the API answers strangers for this time, so that few of their requests come here.
_HEALTH_SECONDS = 10
_SIGN_IN_SECONDS = 60
_DOCUMENT_SECONDS = 300


@endpoints.add("GET", "/health", "getHealth", Health)
def health(request: CurrentRequest) -> Response[Any]:
    """Check that the service answers and that its database is up to date."""
    applied = request.services.store.applied_migrations()
    missing = [migration for migration in MIGRATIONS if migration not in applied]
    if missing:
        operators_detail = f"migrations are missing: {', '.join(missing)}"
        raise ProblemError("unavailable", "the database is not up to date", operators_detail=operators_detail)
    # A newer version of guildhook may have applied more migrations.
    return _cached(respond(Health(status="ok", version=__version__, migration=max(applied))), _HEALTH_SECONDS)


@endpoints.add("GET", "/sign-in", "getSignIn", SignIn)
def sign_in(request: CurrentRequest) -> Response[Any]:
    """Read the identity provider to sign in with, and the limit on uploads."""
    return _cached(respond(request.services.sign_in), _SIGN_IN_SECONDS)


@endpoints.add("GET", "/openapi.json", "getOpenApi", Document)
def openapi(request: CurrentRequest) -> Response[Any]:
    """Read this document."""
    return _cached(respond(Document(request.services.document())), _DOCUMENT_SECONDS)


def _cached(response: Response[Any], seconds: int) -> Response[Any]:
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    return response
