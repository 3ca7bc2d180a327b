"""Performs the steps of a deploy for which CloudFormation has no resource.

Takes requests of CloudFormation for a Custom::PublishedVersion, which is answered with the number of the version, a
Custom::DeletionProtection and a Custom::LogRetention. An invocation with any other event fails.
"""

import time
from collections.abc import Mapping
from typing import Any

from guildhook.aws.clusters import protect_cluster
from guildhook.aws.custom_resources import is_resource_request, provide
from guildhook.aws.function_versions import delete_old_versions, publish_version
from guildhook.aws.log_groups import limit_retention
from guildhook.configuration import DeployStepsConfiguration, load_configuration
from guildhook.errors import ConfigurationError, InfrastructureError, UnknownEventError
from guildhook.observability import create_telemetry
from guildhook.startup import Function

_FINISH_SECONDS = 70
"""The part of the function's time that is kept for deleting old versions and for the answer to CloudFormation, which
takes 33 s at the most."""
_KEPT_VERSIONS = 2
"""The running one, and the one before it for a roll-back. AWS charges for the snapshot of each version."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(DeployStepsConfiguration, environment)

    def handle(event: Any, context: Any) -> dict[str, Any]:
        """Raises InfrastructureError and UnknownEventError."""
        if not is_resource_request(event):
            raise UnknownEventError("this function takes requests of CloudFormation")
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _FINISH_SECONDS
        provide(
            event,
            {
                "Custom::PublishedVersion": lambda: {"Version": publish(deadline)},
                "Custom::DeletionProtection": protect,
                "Custom::LogRetention": limit_logs,
            },
        )
        return {}

    def publish(deadline: float) -> str:
        function = configuration.published_function
        if not function:
            raise ConfigurationError("GUILDHOOK_PUBLISHED_FUNCTION is not set")
        with telemetry.stage("publish"):
            version = publish_version(configuration.aws, function, deadline)
        telemetry.logger.info("version published", extra={"version": version})
        try:
            delete_old_versions(configuration.aws, function, _KEPT_VERSIONS)
        except InfrastructureError as error:  # the next deploy tries again
            telemetry.logger.warning("old versions stay", extra={"reason": str(error)})
        return version

    def protect() -> dict[str, str]:
        if not configuration.protected_cluster:
            raise ConfigurationError("GUILDHOOK_PROTECTED_CLUSTER is not set")
        with telemetry.stage("protect"):
            protect_cluster(configuration.aws, configuration.protected_cluster)
        return {}

    def limit_logs() -> dict[str, str]:
        if not configuration.log_groups:
            raise ConfigurationError("GUILDHOOK_LOG_GROUPS is not set")
        with telemetry.stage("limit_logs"):
            groups = configuration.log_groups.split(",")
            limit_retention(configuration.aws, groups, configuration.log_retention_days)
        return {}

    return Function(telemetry.handler(handle))
