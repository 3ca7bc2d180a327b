"""Checks of an installation before it is deployed: the identity provider, the account, the secrets and the chat API.

The checks judge what their callers or a BoundedClient found out, and return findings. A finding's sentence is for the
operator. It quotes parameters, and nothing that a server has sent.
"""

from guildhook.preflight.account_checks import ask_concurrency, ask_zones, check_concurrency, check_zones
from guildhook.preflight.addresses import Reach
from guildhook.preflight.bounded_client import BoundedClient
from guildhook.preflight.certificate_checks import CLOUDFRONT_REGION, ask_certificate, check_certificate
from guildhook.preflight.chat_api_check import check_chat_api
from guildhook.preflight.deployment_checks import check_account, check_network
from guildhook.preflight.findings import Finding, Verdict, raise_for
from guildhook.preflight.issuer_checks import check_audience, check_issuer
from guildhook.preflight.secret_checks import (
    check_chat_secret,
    check_database_secret,
    check_origin_secret,
    passed_chat_secret,
    read_token,
)

__all__ = [
    "CLOUDFRONT_REGION",
    "BoundedClient",
    "Finding",
    "Reach",
    "Verdict",
    "ask_certificate",
    "ask_concurrency",
    "ask_zones",
    "check_account",
    "check_audience",
    "check_certificate",
    "check_chat_api",
    "check_chat_secret",
    "check_concurrency",
    "check_database_secret",
    "check_issuer",
    "check_network",
    "check_origin_secret",
    "check_zones",
    "passed_chat_secret",
    "raise_for",
    "read_token",
]
