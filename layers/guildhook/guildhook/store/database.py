"""The address of the database, and the credentials of a connection to it."""

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.secrets import Rotating
from guildhook.errors import InfrastructureError

_DEFAULT_PORT = 5432
_TOKEN_SECONDS = 900
_WITH_TLS = ("require", "verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The content of a secret of Secrets Manager, in the form in which RDS writes it."""

    password: str = field(repr=False)
    username: str | None = None
    """It replaces the user name of the URL."""

    def __post_init__(self) -> None:
        if not self.password or "\0" in self.password:
            raise ValueError("password is empty, or has a NUL in it")


@dataclass(frozen=True, slots=True)
class Database:
    url: str = field(repr=False)
    credentials: Rotating[Credentials] | None = None
    """They are read anew for each connection. None if the URL has all that is needed."""

    def __post_init__(self) -> None:
        """Raises ValueError if `url` is no URL of PostgreSQL, or if its host cannot be a host name."""
        for host in (_parts(self.url).get("host") or "").split(","):
            if not host.startswith(("/", "@")):  # the folder of a socket
                host.encode("idna")

    @property
    def hosts(self) -> int:
        """The number of hosts in the URL, which are tried one after the other."""
        parts = _parts(self.url)
        return len((parts.get("hostaddr") or parts.get("host") or "").split(","))

    @property
    def address(self) -> str:
        """Host, port and database of the URL, without user and password."""
        parts = _parts(self.url)
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        return f"{host}:{parts.get('port') or _DEFAULT_PORT}/{parts.get('dbname') or ''}"


class IamTokens:
    """IAM tokens, which are signed requests used as passwords. Each opens one connection, within 15 minutes."""

    def __init__(self, access: AwsAccess, url: str) -> None:
        """Raises ValueError, which names the parts that the URL lacks."""
        self._access = access
        parts = _parts(url)
        lacking = [name for name in ("user", "host") if not parts.get(name)]
        if lacking:
            raise ValueError(f"an IAM token is for one user at one host; the URL has no {' and no '.join(lacking)}")
        if parts.get("sslmode") not in _WITH_TLS:
            # libpq would send the token in clear text to a server without TLS.
            raise ValueError(f"an IAM token needs TLS: sslmode={' or '.join(_WITH_TLS)}")
        self._host, self._user, self._port = parts["host"], parts["user"], parts.get("port") or _DEFAULT_PORT

    def current(self) -> Credentials:
        """A new token. Raises InfrastructureError."""
        # botocore is imported only where tokens are made.
        from guildhook.aws.signing import Signer  # noqa: PLC0415

        try:
            token = Signer(self._access).database_password(self._host, self._port, self._user, _TOKEN_SECONDS)
        except AwsError as error:
            raise InfrastructureError(f"IAM token for the database (GUILDHOOK_DATABASE_IAM): {error}") from None
        return Credentials(token)

    def instead_of(self, refused: object) -> None:  # noqa: ARG002 - a new token would be refused for the same reason
        return None


def has_password(url: str) -> bool:
    """Raises ValueError if `url` is no URL of PostgreSQL."""
    return bool(_parts(url).get("password"))


def _parts(url: str) -> dict[str, Any]:
    """Raises ValueError if `url` is no URL of PostgreSQL."""
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The parser's own message quotes the URL with its password.
        raise ValueError("not a PostgreSQL URL (postgresql://user@host:5432/database)") from None
