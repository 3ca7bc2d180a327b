"""Versions of a Lambda function, which an alias or a snapshot needs."""

import time
from collections.abc import Mapping
from typing import Any, Final

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

_POLL_SECONDS: Final = 5
_OF_ONE_VERSION: Final = frozenset(
    {
        "Description",
        "FunctionArn",
        "LastModified",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
        "ResponseMetadata",
        "RevisionId",
        "State",
        "StateReason",
        "StateReasonCode",
        "Version",
    }
)
"""The fields of a configuration in which a version differs from the function that it was published from. An unknown
field counts as a part of the configuration, so that too many versions are published rather than too few.
"""


def publish_version(access: AwsAccess, function: str, deadline: float) -> str:
    """Publish the code and the configuration that the function has now; return the number of the version.

    Nothing is published if an alias points to a version that has the same, as after a deploy that is rolled back, or
    if the latest version has the same. The number is then that version's. The version can be invoked when this
    returns: with SnapStart that takes minutes. Raises InfrastructureError, also if that is not so at the `deadline`, a
    time of time.monotonic().
    """
    from botocore.exceptions import BotoCoreError, ClientError, WaiterError  # noqa: PLC0415 - it takes long to import

    try:
        client = _client(access)
        live = _live_version(client, function)
        if live is not None:
            return live
        version: str = client.publish_version(FunctionName=function)["Version"]
    except (BotoCoreError, ClientError) as error:
        raise InfrastructureError(f"a version of {function} is not published: {error}") from None
    tries = max(1, int((deadline - time.monotonic()) / _POLL_SECONDS))
    try:
        client.get_waiter("published_version_active").wait(
            FunctionName=function, Qualifier=version, WaiterConfig={"Delay": _POLL_SECONDS, "MaxAttempts": tries}
        )
    except WaiterError as error:
        state = error.last_response.get("StateReason") or error
        raise InfrastructureError(f"version {version} of {function} cannot be invoked: {state}") from None
    except (BotoCoreError, ClientError) as error:
        raise InfrastructureError(f"version {version} of {function} cannot be seen: {error}") from None
    return version


def delete_old_versions(access: AwsAccess, function: str, kept: int) -> list[str]:
    """Delete all versions but the latest `kept`, which is at least one, and those that an alias points to, if only by a
    weight. Return the numbers of those that are gone. Raises InfrastructureError.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it takes long to import

    try:
        client = _client(access)
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        numbers = sorted(
            int(each["Version"]) for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"
        )
        used = _used_versions(client, function)
        old = [str(number) for number in numbers[:-kept] if str(number) not in used]
        for version in old:
            client.delete_function(FunctionName=function, Qualifier=version)
    except (BotoCoreError, ClientError) as error:
        raise InfrastructureError(f"old versions of {function} are not deleted: {error}") from None
    return old


def _used_versions(client: Any, function: str) -> set[str]:
    """The versions that aliases point to. Raises botocore's errors."""
    used: set[str] = set()
    for page in client.get_paginator("list_aliases").paginate(FunctionName=function):
        for alias in page["Aliases"]:
            weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
            used |= {alias["FunctionVersion"], *weights}
    return used - {"$LATEST"}


def _live_version(client: Any, function: str) -> str | None:
    """A version that an alias points to and that can be invoked, with the code and the configuration that the function
    has now. Raises botocore's errors.
    """
    used = _used_versions(client, function)
    if not used:
        return None
    wanted = _configuration(client.get_function_configuration(FunctionName=function))
    for version in sorted(used, key=int, reverse=True):
        found = client.get_function_configuration(FunctionName=function, Qualifier=version)
        if found.get("State") == "Active" and _configuration(found) == wanted:
            return version
    return None


def _configuration(response: Mapping[str, Any]) -> dict[str, Any]:
    configuration = {name: value for name, value in response.items() if name not in _OF_ONE_VERSION}
    # The rest of it is the state of a version's snapshot.
    configuration["SnapStart"] = response.get("SnapStart", {}).get("ApplyOn")
    return configuration


def _client(access: AwsAccess) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - it takes long to import

    return access.client("lambda", Config(connect_timeout=3, read_timeout=20))
