"""Encrypts ("seals") the secrets of plugins with a key outside the database. Each opens only for its plugin and name.

A sealed value consists of a version (1 byte), the id of the key (4), a random nonce (12), and the value with its tag by
AES-256-GCM. The version, the id of the key, the id of the plugin and the name are authenticated with it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import msgspec

from guildhook.aws.secrets import Rotating
from guildhook.errors import UnsealableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x01"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES
# Separates this key from any other key that is derived from the same text.
_PURPOSE: Final = b"guildhook settings"

_KeyText = Annotated[str, msgspec.Meta(min_length=32)]


@dataclass(frozen=True, slots=True)
class SettingsKeys:
    """The content of the secret in Secrets Manager. To rotate, the key becomes the first of the earlier keys."""

    settings_key: _KeyText = field(repr=False)
    """Seals new values. Any text that nobody can guess, of at least 32 characters."""
    earlier_settings_keys: tuple[_KeyText, ...] = field(default=(), repr=False)
    """Earlier keys, which still open the values that they sealed."""


class Sealer:
    """Seals and opens secrets. Its errors name the plugin and the secret, never the value."""

    def __init__(self, keys: Rotating[SettingsKeys]) -> None:
        self._keys = keys

    def seal(self, plugin_id: UUID, name: str, value: str) -> bytes:
        """Seal a value. Raises InfrastructureError if the key cannot be read."""
        header, key = _derived(self._keys.current().settings_key)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + _aes(key).encrypt(nonce, value.encode(), _context(header, plugin_id, name))

    def unseal(self, plugin_id: UUID, sealed: Mapping[str, bytes]) -> dict[str, str]:
        """Open values by name.

        Raises UnsealableError for the first value that does not open, and InfrastructureError if the keys cannot be
        read.
        """
        if not sealed:
            return {}
        keys = self._keys.current()
        ring = _ring(keys)
        if any(value[:_HEADER_BYTES] not in ring for value in sealed.values()):
            # Another process may have sealed it with a newer key already.
            newer = self._keys.instead_of(keys)
            ring = ring if newer is None else _ring(newer)
        return {name: _open(ring, plugin_id, name, value) for name, value in sealed.items()}


def _open(ring: Mapping[bytes, bytes], plugin_id: UUID, name: str, sealed: bytes) -> str:
    """Raises UnsealableError."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
    key = ring.get(header)
    if key is None or len(nonce) < _NONCE_BYTES:
        raise UnsealableError(
            f"secret {name!r} of plugin {plugin_id} was sealed with a key that is gone; set it again, or let the "
            "operator add that key to earlier_settings_keys (docs/restore.md)"
        )
    try:
        value = _aes(key).decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], _context(header, plugin_id, name))
    except InvalidTag:
        raise UnsealableError(
            f"secret {name!r} of plugin {plugin_id} does not open under that name; set it again"
        ) from None
    return value.decode()


def _ring(keys: SettingsKeys) -> dict[bytes, bytes]:
    """The keys by the header of the values that they sealed."""
    return dict(map(_derived, (*reversed(keys.earlier_settings_keys), keys.settings_key)))


def _derived(text: str) -> tuple[bytes, bytes]:
    """The header of values that the key sealed, and the key, both derived from the text."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    material = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, salt=None, info=_PURPOSE).derive(text.encode())
    return _VERSION + material[_KEY_BYTES:], material[:_KEY_BYTES]


def _context(header: bytes, plugin_id: UUID, name: str) -> bytes:
    # The parts need no separator, since only the name varies in length.
    return header + plugin_id.bytes + name.encode()


def _aes(key: bytes) -> "AESGCM":
    # Imported here, since most guilds have no secrets, and a function that opens none need not wait for the import.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(key)
