"""Questions about the account that a deploy asks: its concurrency, zones and certificates, and a stack's functions."""

from dataclasses import dataclass
from typing import Any

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

_FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True, slots=True)
class Zone:
    name: str
    """Another zone may have the same name in another account."""
    id: str
    """The same in all accounts."""
    is_available: bool
    is_ordinary: bool
    """False for local zones and the like."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of AWS Certificate Manager."""

    is_issued: bool
    names: frozenset[str]
    """In lower case. `*.` at the beginning stands for one label."""


class Account:
    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    def unreserved_concurrency(self) -> int:
        """Raises InfrastructureError."""
        limits = self._ask("lambda", "get_account_settings")["AccountLimit"]
        return int(limits["UnreservedConcurrentExecutions"])

    def reserved_concurrency(self, stack: str) -> int:
        """The concurrency that the functions of a stack have reserved now. Raises InfrastructureError."""
        return sum(
            self._ask("lambda", "get_function_concurrency", FunctionName=name).get("ReservedConcurrentExecutions", 0)
            for name in self._functions(stack)
        )

    def zones(self) -> list[Zone]:
        """The zones of the region, by name. Raises InfrastructureError."""
        found = [
            Zone(
                name=zone["ZoneName"],
                id=zone["ZoneId"],
                is_available=zone["State"] == "available",
                is_ordinary=zone.get("ZoneType", "availability-zone") == "availability-zone",
            )
            for zone in self._ask("ec2", "describe_availability_zones")["AvailabilityZones"]
        ]
        return sorted(found, key=lambda zone: zone.name)

    def certificate(self, arn: str, region: str) -> Certificate:
        """Raises InfrastructureError, also if there is no such certificate."""
        found = self._ask("acm", "describe_certificate", region, CertificateArn=arn)["Certificate"]
        names = {found["DomainName"], *found.get("SubjectAlternativeNames", ())}
        return Certificate(found["Status"] == "ISSUED", frozenset(name.lower() for name in names))

    def _functions(self, stack: str) -> list[str]:
        names: list[str] = []
        page: dict[str, str] = {}
        while True:
            answer = self._ask("cloudformation", "list_stack_resources", StackName=stack, **page)
            names += [
                resource["PhysicalResourceId"]
                for resource in answer["StackResourceSummaries"]
                if resource["ResourceType"] == _FUNCTION
                and resource.get("PhysicalResourceId")
                # A function that was deleted, or whose creation failed, has reserved nothing.
                and resource["ResourceStatus"] not in ("DELETE_COMPLETE", "CREATE_FAILED", "CREATE_IN_PROGRESS")
            ]
            if "NextToken" not in answer:
                return names
            page = {"NextToken": answer["NextToken"]}

    def _ask(self, service: str, operation: str, region: str | None = None, /, **parameters: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
        try:
            return getattr(self._access.client(service, config, region), operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise InfrastructureError(f"{service} of AWS: {' '.join(str(error).split())}") from None
        except ResponseParserError:
            raise InfrastructureError(f"{service} of AWS: its answer cannot be read") from None
