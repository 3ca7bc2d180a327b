"""The check of a request that claims to come from the chat server."""

from hmac import compare_digest

from guildhook.aws.secrets import Rotating
from guildhook.chat.protocol import ServiceToken


class ServiceTokenCheck:
    """Compares tokens with the one that guildhook and the chat server share. Safe for use from several threads."""

    def __init__(self, token: Rotating[ServiceToken]) -> None:
        self._token = token

    def accepts(self, sent: str) -> bool:
        """True if it is the service token. The secret is read again if it differs, since it may have been rotated.

        Raises InfrastructureError.
        """
        expected = self._token.current()
        if _is_equal(sent, expected):
            return True
        rotated = self._token.instead_of(expected)
        return rotated is not None and _is_equal(sent, rotated)


def _is_equal(sent: str, expected: ServiceToken) -> bool:
    """In a time that does not depend on the characters that are right."""
    return compare_digest(sent.encode(errors="surrogatepass"), expected.chat_api_token.encode())
