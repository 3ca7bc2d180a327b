"""The cluster of the database, as RDS has it."""

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError


def protect_cluster(access: AwsAccess, cluster: str) -> None:
    """Have RDS refuse to delete the cluster. Raises InfrastructureError."""
    from botocore.config import Config  # noqa: PLC0415 - it takes long to import
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        client = access.client("rds", Config(connect_timeout=3, read_timeout=20))
        client.modify_db_cluster(DBClusterIdentifier=cluster, DeletionProtection=True)
    except (BotoCoreError, ClientError) as error:
        raise InfrastructureError(f"cluster {cluster} is not protected from deletion: {error}") from None
