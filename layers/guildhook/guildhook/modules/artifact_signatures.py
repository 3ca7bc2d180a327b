"""Signatures of artifacts. The compile function alone can sign, and a function that loads native code verifies.

A signature is the Ed25519 public key of its signer (32 bytes) and the signature by RFC 8032 (64 bytes). It covers every
other field of the artifact.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from guildhook.aws.secrets import Rotating
from guildhook.model import Artifact

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# cryptography is imported where it is first used, since a process that finds all modules in memory needs no signature.

_PUBLIC_KEY_BYTES: Final = 32
_SEED_BYTES: Final = 32
# Begins the signed bytes, so that no signature for another purpose is one of an artifact. A new format has a new
# number.
_FORMAT: Final = b"guildhook artifact 1"
# Separates this key from any other key that is derived from the same text.
_PURPOSE: Final = b"guildhook artifact signing"
_LENGTH_BYTES: Final = 8

_SigningKeyText = Annotated[str, msgspec.Meta(min_length=32)]


@dataclass(frozen=True, slots=True)
class ArtifactSigningKeys:
    """The content of the secret in Secrets Manager. Each private key is derived from a text."""

    signing_key: _SigningKeyText = field(repr=False)
    """Signs. Any text that nobody can guess, of at least 32 characters."""
    other_signing_keys: tuple[_SigningKeyText, ...] = field(default=(), repr=False)
    """Keys whose signatures are valid as well: the next key before a rotation, and the earlier one after it."""

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The public keys whose signatures are valid, that of the signing key first."""
        return tuple(map(_public_key, (self.signing_key, *self.other_signing_keys)))


class ArtifactSigner:
    """Signs artifacts. All methods raise InfrastructureError if the keys cannot be read."""

    def __init__(self, keys: Rotating[ArtifactSigningKeys]) -> None:
        self._keys = keys

    def sign(self, artifact: Artifact) -> Artifact:
        """Return the artifact with a signature of its other fields. Sign nothing that this process cannot vouch for."""
        key = _private_key(self._keys.current().signing_key)
        signature = key.public_key().public_bytes_raw() + key.sign(_signed_bytes(artifact))
        return replace(artifact, signature=signature)

    def public_keys(self) -> tuple[bytes, ...]:
        """The public keys whose signatures are valid, that of the signing key first. The secret is read anew, since a
        deploy follows its change within seconds.
        """
        known = self._keys.current()
        return (self._keys.instead_of(known) or known).public_keys


def is_signed(artifact: Artifact, public_keys: Collection[bytes]) -> bool:
    """Return True if one of these keys signed the artifact as it is. Any field may be the choice of an attacker."""
    public_key, signature = artifact.signature[:_PUBLIC_KEY_BYTES], artifact.signature[_PUBLIC_KEY_BYTES:]
    if public_key not in public_keys:
        return False

    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _signed_bytes(artifact))
    except InvalidSignature:
        return False
    return True


def write_public_keys(public_keys: Collection[bytes]) -> str:
    """Return the keys in base64, with commas between them."""
    return ",".join(b64encode(key).decode() for key in public_keys)


def read_public_keys(text: str) -> frozenset[bytes]:
    """The opposite. Raises ValueError, which shows the text: it is public."""
    return frozenset(map(_read_public_key, text.split(",")))


def _read_public_key(text: str) -> bytes:
    try:
        key = b64decode(text.strip(), validate=True)
    except ValueError:
        raise ValueError(f"{text!r} is not base64") from None
    if len(key) != _PUBLIC_KEY_BYTES:
        raise ValueError(f"{text!r} has {len(key)} bytes; a public key has {_PUBLIC_KEY_BYTES}")
    return key


def _signed_bytes(artifact: Artifact) -> bytes:
    """The format, and the fields in a fixed order. Each is preceded by its length, so that bytes cannot move from one
    field to the next.
    """
    fields = (
        artifact.wasm_sha256,
        artifact.engine.encode(errors="surrogatepass"),
        artifact.sha256,
        msgspec.json.encode(artifact.size),
        artifact.object_sha256,
        msgspec.json.encode(artifact.object_size),
        msgspec.json.encode([[memory.minimum, memory.maximum] for memory in artifact.memories]),
    )
    return b"".join(len(each).to_bytes(_LENGTH_BYTES) + each for each in (_FORMAT, *fields))


def _private_key(text: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    seed = HKDF(SHA256(), _SEED_BYTES, salt=None, info=_PURPOSE).derive(text.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _public_key(text: str) -> bytes:
    return _private_key(text).public_key().public_bytes_raw()
