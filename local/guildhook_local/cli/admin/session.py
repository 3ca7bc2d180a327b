"""The URL and the token with which the commands of operators reach the admin API."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guildhook_local.cli.ending import CommandError, ExitStatus

if TYPE_CHECKING:
    from guildhook_local.cli.admin.admin_client import AdminClient

_URL: Final = "GUILDHOOK_ADMIN_URL"
_TOKEN: Final = "GUILDHOOK_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
_MAX_TOKEN_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class OperatorSession:
    environment: Mapping[str, str]
    url: str | None
    """The URL that the command line gives."""
    token_file: str | None
    """A file, or `-` for standard input."""

    @property
    def can_ask(self) -> bool:
        """Tell whether URL and token are given."""
        return bool((self.url or self.environment.get(_URL)) and (self.token_file or self.environment.get(_TOKEN)))

    def client(self) -> "AdminClient":
        """Raises CommandError if the URL or the token is missing or malformed."""
        # Only here: other commands do without HTTP.
        from guildhook_local.cli.admin.admin_client import AdminClient  # noqa: PLC0415

        url = self.url or self.environment.get(_URL)
        if not url:
            reason = f"the admin API's URL is missing: give `guildhook admin --url`, or set {_URL}"
            raise CommandError(ExitStatus.USAGE, reason)
        return AdminClient(url, self._token())

    def _token(self) -> str:
        if self.token_file is None:
            token = self.environment.get(_TOKEN, "")
            if not token:
                reason = f"an operator's access token is missing: set {_TOKEN}, or give `guildhook admin --token-file`"
                raise CommandError(ExitStatus.USAGE, reason)
        elif self.token_file == "-":  # noqa: S105 - standard input
            stdin = sys.stdin
            token = stdin.buffer.read(_MAX_TOKEN_BYTES + 1).decode("ascii", "replace") if stdin else ""
        else:
            with open(self.token_file, "rb") as file:  # noqa: PTH123 - the error names the file as it was given
                token = file.read(_MAX_TOKEN_BYTES + 1).decode("ascii", "replace")
        token = token.strip()
        if not token or len(token) > _MAX_TOKEN_BYTES or not token.isascii() or not token.isprintable() or " " in token:
            reason = f"the access token is empty, has more than {_MAX_TOKEN_BYTES} bytes, or is no token"
            raise CommandError(ExitStatus.USAGE, reason)
        return token
