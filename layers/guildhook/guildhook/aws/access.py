"""How a process reaches AWS: the region, the endpoints and the credentials that its environment gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

_DOMAINS: Final[Mapping[str, tuple[str, str]]] = {
    "cn-": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": ("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": ("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": ("sc2s.sgov.gov", "api.aws.scloud"),
    "eu-isoe-": ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "us-isof-": ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "": ("amazonaws.com", "api.aws"),
}
"""The domains of the partitions by the beginning of a region's name: by IPv4, and by both versions of IP."""
_VARIABLES: Final = {"secretsmanager": "SECRETS_MANAGER"}
"""The ends of the AWS SDKs' AWS_ENDPOINT_URL_…, where they differ from the name of the service."""


class AwsError(Exception):
    """AWS cannot be asked, or does not answer. The text is the reason, on one line, without a URL or a secret."""


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """The variables of AWS in an environment.

    They are read when they are needed: a function needs none of them to start, and Lambda gives the credentials of a
    process that starts from a snapshot at an endpoint instead.
    """

    environment: Mapping[str, str] = field(repr=False)

    @property
    def region(self) -> str:
        """Raises AwsError."""
        region = self._region
        if not region:
            raise AwsError("the environment names no region (AWS_REGION)")
        return region

    def domain(self, *, dual_stack: bool = False) -> str:
        """The domain of the region's services, or of those that IPv6 reaches too. Raises AwsError without a region."""
        by_ipv4, by_both = next(
            (domains for prefix, domains in _DOMAINS.items() if self.region.startswith(prefix)), _DOMAINS[""]
        )
        return by_both if dual_stack else by_ipv4

    def url(self, service: str) -> str:
        """The URL of a service other than S3, without a slash at the end: the one that the environment gives, or else
        the regional one. With AWS_USE_DUALSTACK_ENDPOINT, IPv6 reaches it too. Raises AwsError without a region.
        """
        dual_stack = self.environment.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true"
        regional = f"https://{service}.{self.region}.{self.domain(dual_stack=dual_stack)}"
        return self.endpoint(_VARIABLES.get(service, service.upper())) or regional

    def endpoint(self, service: str) -> str | None:
        """The URL that the environment gives a service, such as S3, without a slash at the end; None without one."""
        given = self.environment.get(f"AWS_ENDPOINT_URL_{service}") or self.environment.get("AWS_ENDPOINT_URL")
        return given.rstrip("/") if given else None

    def credentials(self) -> Any:
        """botocore's credentials; None without any. Raises BotoCoreError if an endpoint does not give them."""
        return self._credential_resolver().load_credentials()

    def client(self, service: str, config: Any, region: str | None = None) -> Any:
        """A client of boto3 with botocore's `config`, of the environment's region unless another one is given. Raises
        BotoCoreError without a region.

        Without credentials in the environment it uses those of a profile or of the machine, as the AWS CLI does.
        """
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        # botocore would take proxies and certificates from the environment of the process.
        return boto3.Session(botocore_session=self._session()).client(
            service,
            region_name=region or self._region,
            endpoint_url=self.endpoint(service.upper()),
            verify=self.environment.get("AWS_CA_BUNDLE") or True,
            config=config.merge(Config(proxies={})),
        )

    def _session(self) -> Any:
        """A session of botocore that has its settings from the environment. By itself it reads that of the process."""
        from botocore.configprovider import (  # noqa: PLC0415
            BOTOCORE_DEFAUT_SESSION_VARIABLES,
            ConfigChainFactory,
        )
        from botocore.session import Session  # noqa: PLC0415

        session = Session()
        chains = ConfigChainFactory(session, self.environment)
        settings = session.get_component("config_store")
        for name, (in_file, variables, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
            settings.set_config_provider(name, chains.create_config_chain(name, variables, in_file, default, convert))
        session.register_component("data_loader", _service_models())
        resolver = session.get_component("credential_provider")
        for provider in self._credential_resolver().providers:
            resolver.insert_after(provider.METHOD, provider)
            resolver.remove(provider.METHOD)  # this is botocore's own, which reads the environment of the process
        return session

    @property
    def _region(self) -> str | None:
        return self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION")

    def _credential_resolver(self) -> Any:
        # botocore takes longer to import than a batch takes to handle.
        from botocore.credentials import ContainerProvider, CredentialResolver, EnvProvider  # noqa: PLC0415

        return CredentialResolver([EnvProvider(self.environment), ContainerProvider(self.environment)])


@cache
def _service_models() -> Any:
    """botocore's descriptions of services, which never change: each session would read and parse its own."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()
