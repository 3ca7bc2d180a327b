"""What everybody may ask."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin.call import CurrentCall
from guildhook.admin.endpoints import Access, Endpoints
from guildhook.admin.models import Document, Health, SignIn
from guildhook.admin.problems import ProblemError

endpoints = Endpoints("service", Access.ANYBODY, "/api")


@endpoints.add("GET", "/health", "getHealth", Health)
def health(call: CurrentCall) -> Response[Any]:
    """Whether the service is up, and its database as it must be."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/sign-in", "getSignIn", SignIn)
def sign_in(call: CurrentCall) -> Response[Any]:
    """Where to sign in, and what uploads are bounded by."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/openapi.json", "getOpenApi", Document)
def openapi(call: CurrentCall) -> Response[Any]:
    """This document."""
    raise ProblemError("not-implemented", "still to come")
