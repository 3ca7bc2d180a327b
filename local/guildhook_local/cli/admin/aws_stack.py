"""The resources of a deployed stack, with the operator's own rights in AWS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config

from guildhook.aws.access import AwsAccess
from guildhook_local.cli.ending import CommandError, ExitStatus


@dataclass(frozen=True, slots=True)
class AwsStack:
    """Its methods raise botocore's errors, and CommandError if a resource is missing."""

    environment: Mapping[str, str] = field(repr=False)
    """The environment that has the operator's credentials, a profile among them, and the region."""
    name: str

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""
        return AwsAccess(self.environment).client(service, Config(connect_timeout=5, read_timeout=35))

    def queue_url(self, resource: str, given: str | None) -> str:
        """The URL of a queue: that which is given, or that of the stack's resource."""
        if given is not None:
            return given
        stacks = self.client("cloudformation")
        found = stacks.describe_stack_resource(StackName=self.name, LogicalResourceId=resource)
        url: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return url

    def mapping_of(self, queue_url: str) -> str:
        """The id of the event source mapping that takes from a queue."""
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        mappings = self.client("lambda").list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        if len(mappings) != 1:
            reason = f"{len(mappings)} event source mappings take from {queue_url}; there must be one"
            raise CommandError(ExitStatus.REFUSED, reason)
        mapping: str = mappings[0]["UUID"]
        return mapping
