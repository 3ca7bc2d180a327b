"""Versions of a Lambda function, which an alias or a snapshot needs."""

import time
from typing import Any, Final

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

_POLL_SECONDS: Final = 5


def publish_version(access: AwsAccess, function: str, deadline: float) -> str:
    """Publish the code and the configuration that the function has now; return the number of the version.

    Lambda publishes nothing if the latest version has the same, and the number is that one's. The version can be
    invoked when this returns: with SnapStart that takes minutes. Raises InfrastructureError, also if that is not so at
    the `deadline`, a time of time.monotonic().
    """
    from botocore.exceptions import BotoCoreError, ClientError, WaiterError  # noqa: PLC0415 - it takes long to import

    try:
        client = _client(access)
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
    """Delete all versions but the latest `kept`, which is at least one; return the numbers of those that are gone.

    Lambda refuses to delete a version that an alias points to. Raises InfrastructureError.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it takes long to import

    try:
        client = _client(access)
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        numbers = sorted(
            int(each["Version"]) for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"
        )
        old = [str(number) for number in numbers[:-kept]]
        for version in old:
            client.delete_function(FunctionName=function, Qualifier=version)
    except (BotoCoreError, ClientError) as error:
        raise InfrastructureError(f"old versions of {function} are not deleted: {error}") from None
    return old


def _client(access: AwsAccess) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - it takes long to import

    return access.client("lambda", Config(connect_timeout=3, read_timeout=20))
