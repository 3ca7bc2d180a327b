"""The two groups of checks that a deploy makes."""

from guildhook.aws.account import Account
from guildhook.configuration import PreflightConfiguration
from guildhook.model import TokenAlgorithm
from guildhook.preflight.account_checks import ask_concurrency, ask_zones
from guildhook.preflight.bounded_client import BoundedClient
from guildhook.preflight.certificate_checks import ask_certificate
from guildhook.preflight.chat_api_check import check_chat_api
from guildhook.preflight.findings import Finding
from guildhook.preflight.issuer_checks import check_audience, check_issuer
from guildhook.preflight.secret_checks import (
    check_chat_secret,
    check_database_secret,
    check_origin_secret,
    read_token,
)


def check_account(configuration: PreflightConfiguration, client: BoundedClient) -> list[Finding]:
    """The checks that need no network of the stack: the identity provider, the secrets and the account."""
    account = Account(configuration.aws)
    findings = [
        *_check_issuer(configuration, client),
        check_audience(configuration.jwt_issuer, configuration.jwt_audience, configuration.jwt_client_id),
        check_chat_secret(configuration.aws, configuration.chat_secret),
    ]
    for name, parameter in (
        (configuration.database_secret, "DatabaseSecretArn"),
        (configuration.migration_secret, "MigrationSecretArn"),
    ):
        if name:
            findings.append(check_database_secret(configuration.aws, name, parameter))
    if configuration.origin_secret:
        findings.append(check_origin_secret(configuration.aws, configuration.origin_secret))
    if configuration.certificate and configuration.domain_name and configuration.certificate_region:
        findings.append(
            ask_certificate(
                account, configuration.certificate, configuration.domain_name, configuration.certificate_region
            )
        )
    if configuration.reserved_in_all:
        findings.append(ask_concurrency(account, configuration.reserved_in_all, configuration.stack))
    if configuration.availability_zones:
        findings.append(ask_zones(account, configuration.availability_zones.split(",")))
    return findings


def check_network(configuration: PreflightConfiguration, client: BoundedClient) -> list[Finding]:
    """The checks from the network of the functions: the chat API, and the issuer, whose keys AdminApi fetches there."""
    is_ipv6 = configuration.ipv6_network
    token = read_token(configuration.aws, configuration.chat_secret)
    chat_api = (
        token
        if isinstance(token, Finding)
        else check_chat_api(client, configuration.chat_api_url, token.chat_api_token, in_ipv6_network=is_ipv6)
    )
    return [chat_api, *_check_issuer(configuration, client)]


def _check_issuer(configuration: PreflightConfiguration, client: BoundedClient) -> list[Finding]:
    return check_issuer(
        client,
        configuration.jwt_issuer,
        configuration.jwt_keys_host or "",
        # Without a choice API Gateway verifies tokens too, which takes RSA alone.
        configuration.jwt_algorithm or TokenAlgorithm.RS256,
        in_ipv6_network=configuration.ipv6_network,
    )
