"""Checks a deployment before it costs anything: the identity provider, the account, the secrets and the chat API.

Takes a request of CloudFormation for a Custom::AccountPreflight, which needs no network of the stack, or for a
Custom::NetworkPreflight, which asks from the network of the other functions. Its environment alone says whom it asks,
so that an invocation cannot send the token elsewhere. An invocation with any other event fails.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guildhook.aws.custom_resources import Attributes, is_resource_request, provide
from guildhook.configuration import PreflightConfiguration, load_configuration
from guildhook.errors import UnknownEventError
from guildhook.observability import create_telemetry
from guildhook.preflight import BoundedClient, Finding, Reach, check_account, check_network, raise_for
from guildhook.startup import Function


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError for a variable of the telemetry. Any other malformed variable fails the checks, since a
    deploy waits for their answer.
    """
    telemetry = create_telemetry(environment)

    def handle(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes both
        """Raises InfrastructureError and UnknownEventError."""
        if not is_resource_request(event):
            raise UnknownEventError("this function takes requests of CloudFormation")
        work = {
            "Custom::AccountPreflight": lambda: checked(check_account, Reach.INTERNET),
            # The chat server may be in a network that this one is peered with.
            "Custom::NetworkPreflight": lambda: checked(check_network, Reach.NETWORK),
        }
        provide(event, work, is_check=True)
        return {}

    def checked(
        check: Callable[[PreflightConfiguration, BoundedClient], Sequence[Finding]], reach: Reach
    ) -> Attributes:
        """Raises ConfigurationError and PreflightError."""
        with telemetry.stage("preflight"):
            findings = check(load_configuration(PreflightConfiguration, environment), BoundedClient(reach))
        for finding in findings:
            telemetry.logger.info("preflight check", extra={"check": finding.check, "verdict": finding.verdict})
        raise_for(findings)
        return {"Checks": len(findings)}

    return Function(telemetry.handler(handle))
