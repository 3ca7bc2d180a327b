"""Secrets of plugins, sealed by a key that is not in the database. Each opens for its own plugin and name alone.

A sealed value is a version (1 byte), the key's id (4) and a random nonce (12), then the value and its tag by
AES-256-GCM. Authenticated with it are version, key's id, plugin's id and name.
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
# What else the same text might be a key for has another.
_PURPOSE: Final = b"guildhook settings"

_KeyText = Annotated[str, msgspec.Meta(min_length=32)]


@dataclass(frozen=True, slots=True)
class SettingsKeys:
    """What is in the secret in Secrets Manager. To rotate the key, it becomes the first of the earlier ones."""

    settings_key: _KeyText = field(repr=False)
    """Any text that nobody can guess; what is sealed now is sealed with it."""
    earlier_settings_keys: tuple[_KeyText, ...] = field(default=(), repr=False)
    """What was sealed with them opens still."""


class Sealer:
    """Errors name the plugin and the secret, and show nothing of what is in it."""

    def __init__(self, keys: Rotating[SettingsKeys]) -> None:
        self._keys = keys

    def seal(self, plugin_id: UUID, name: str, value: str) -> bytes:
        """Raises InfrastructureError if there is no key at the moment."""
        header, key = _derived(self._keys.current().settings_key)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + _aes(key).encrypt(nonce, value.encode(), _context(header, plugin_id, name))

    def unseal(self, plugin_id: UUID, sealed: Mapping[str, bytes]) -> dict[str, str]:
        """The values by name, of what was sealed by name.

        Raises UnsealableError for the first that does not open, and InfrastructureError if there is no key at the
        moment.
        """
        if not sealed:
            return {}
        keys = self._keys.current()
        ring = _ring(keys)
        if any(value[:_HEADER_BYTES] not in ring for value in sealed.values()):
            # Sealed by one who has a newer key already, perhaps.
            newer = self._keys.instead_of(keys)
            ring = ring if newer is None else _ring(newer)
        return {name: _open(ring, plugin_id, name, value) for name, value in sealed.items()}


def _open(ring: Mapping[bytes, bytes], plugin_id: UUID, name: str, sealed: bytes) -> str:
    """Raises UnsealableError."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
    key = ring.get(header)
    if key is None or len(nonce) < _NONCE_BYTES:
        raise UnsealableError(f"secret {name!r} of plugin {plugin_id} was sealed with a key that is not there any more")
    try:
        value = _aes(key).decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], _context(header, plugin_id, name))
    except InvalidTag:
        raise UnsealableError(f"secret {name!r} of plugin {plugin_id} is not what was sealed under that name") from None
    return value.decode()


def _ring(keys: SettingsKeys) -> dict[bytes, bytes]:
    """Keys by the header of what they have sealed."""
    return dict(map(_derived, (*reversed(keys.earlier_settings_keys), keys.settings_key)))


def _derived(text: str) -> tuple[bytes, bytes]:
    """The header of what a text's key seals, and the key."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    material = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, salt=None, info=_PURPOSE).derive(text.encode())
    return _VERSION + material[_KEY_BYTES:], material[:_KEY_BYTES]


def _context(header: bytes, plugin_id: UUID, name: str) -> bytes:
    # Only the name has any length.
    return header + plugin_id.bytes + name.encode()


def _aes(key: bytes) -> "AESGCM":
    # Only here: most guilds have no secrets, and a function that opens none need not wait for the import.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(key)
