"""How a process reaches AWS: the region, the endpoints and the credentials that its environment gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """The variables of AWS in an environment.

    They are read when they are needed. A function needs none of them to start, and Lambda replaces the credentials of
    a process that starts from a snapshot.
    """

    environment: Mapping[str, str] = field(repr=False)

    @property
    def region(self) -> str | None:
        return self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION")

    def endpoint(self, service: str) -> str | None:
        """The URL that the environment gives a service, such as S3, without a slash at the end; None without one."""
        given = self.environment.get(f"AWS_ENDPOINT_URL_{service}") or self.environment.get("AWS_ENDPOINT_URL")
        return given.rstrip("/") if given else None

    def credentials(self) -> Any:
        """botocore's credentials; None without any.

        Lambda gives them as variables, or as an endpoint to a function that starts from a snapshot.
        """
        return self._credential_resolver().load_credentials()

    def client(self, service: str, config: Any) -> Any:
        """A client of boto3, configured by botocore's `config`. Raises BotoCoreError where the region is missing."""
        import boto3  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        session = Session()
        session.register_component("credential_provider", self._credential_resolver())
        return boto3.Session(botocore_session=session).client(
            service, region_name=self.region, endpoint_url=self.endpoint(service.upper()), config=config
        )

    def _credential_resolver(self) -> Any:
        # botocore takes longer to import than a batch takes to handle.
        from botocore.credentials import ContainerProvider, CredentialResolver, EnvProvider  # noqa: PLC0415

        return CredentialResolver([EnvProvider(self.environment), ContainerProvider(self.environment)])
