"""Log groups of CloudWatch that AWS creates itself, and would keep forever."""

from collections.abc import Iterable
from contextlib import suppress

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError


def limit_retention(access: AwsAccess, groups: Iterable[str], days: int) -> None:
    """Have CloudWatch delete what is older than `days` in each group, which is created if it is missing.

    Raises InfrastructureError.
    """
    from botocore.config import Config  # noqa: PLC0415 - it takes long to import
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    client = access.client("logs", Config(connect_timeout=3, read_timeout=20))
    for group in groups:
        try:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=group)
            client.put_retention_policy(logGroupName=group, retentionInDays=days)
        except (BotoCoreError, ClientError) as error:
            raise InfrastructureError(f"log group {group} has no retention: {error}") from None
