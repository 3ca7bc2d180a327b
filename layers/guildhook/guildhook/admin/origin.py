"""The shared header that a cache in front of the admin API adds, so that its direct address is closed to others."""

import hmac
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from guildhook.aws.secrets import Rotating

ORIGIN_HEADER: Final = "x-guildhook-origin"

_HeaderText = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{32,256}$")]


@dataclass(frozen=True, slots=True)
class OriginSecrets:
    """The content of the secret in Secrets Manager. Both texts are accepted, so that a cache can change them later."""

    origin_secret: _HeaderText = field(repr=False)
    earlier_origin_secret: _HeaderText | None = field(default=None, repr=False)


class OriginCheck:
    def __init__(self, secrets: Rotating[OriginSecrets]) -> None:
        self._secrets = secrets

    def admits(self, header: str | None) -> bool:
        """Tell whether the header is the secret, in a time that does not depend on the header's characters.

        Raises InfrastructureError if the secret cannot be read.
        """
        secrets = self._secrets.current()
        found = (header or "").encode(errors="replace")
        # Each one is compared, also after a match.
        matches = [
            hmac.compare_digest(found, accepted.encode())
            for accepted in (secrets.origin_secret, secrets.earlier_origin_secret)
            if accepted is not None
        ]
        return any(matches)
