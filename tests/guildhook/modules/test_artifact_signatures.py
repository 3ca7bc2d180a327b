from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guildhook.model import Artifact, MemoryType
from guildhook.modules import (
    ArtifactSigner,
    ArtifactSigningKeys,
    is_signed,
    read_public_keys,
    write_public_keys,
)
from samples import FixedKeys

KEY, NEXT_KEY = "a signing key with 32 characters", "the next signing key of a rotation"
KEYS = ArtifactSigningKeys(KEY)
ARTIFACT = Artifact(
    wasm_sha256=b"w" * 32,
    engine="engine",
    sha256=b"n" * 32,
    size=20,
    object_sha256=b"o" * 32,
    object_size=10,
    memories=(MemoryType(1, None), MemoryType(2, 3)),
)
OTHER_VALUES: dict[str, list[Any]] = {
    "wasm_sha256": [b"x" * 32, b"w" * 31, b""],
    "engine": ["engine2", "", "\ud800"],
    "sha256": [b"x" * 32, b"n" * 33],
    "size": [21, -20, 2**80],
    "object_sha256": [b"x" * 32],
    "object_size": [0, 2**80],
    "memories": [
        (),
        ARTIFACT.memories[:1],
        ARTIFACT.memories[::-1],
        (MemoryType(0, None), MemoryType(2, 3)),
        (MemoryType(1, 2), MemoryType(2, 3)),
        (MemoryType(1, None), MemoryType(2, None)),
        (*ARTIFACT.memories, MemoryType(2, 3)),
    ],
}


class Secret:
    """A secret whose text is replaced while a process runs. It is read again on demand, as the real one is."""

    def __init__(self, keys):
        self.stored = self.read = keys

    def current(self):
        return self.read

    def instead_of(self, refused):
        self.read = self.stored
        return None if self.read == refused else self.read


def signed(keys=KEYS, artifact=ARTIFACT):
    return ArtifactSigner(FixedKeys(keys)).sign(artifact)


def test_a_signed_artifact_is_verified_with_the_public_key_alone():
    artifact = signed()
    assert replace(artifact, signature=b"") == ARTIFACT
    assert len(artifact.signature) == 96
    assert is_signed(artifact, KEYS.public_keys)
    assert not is_signed(artifact, ())
    assert not is_signed(artifact, ArtifactSigningKeys(NEXT_KEY).public_keys)


def test_every_field_is_signed():
    assert OTHER_VALUES.keys() == {field.name for field in fields(Artifact)} - {"signature"}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OTHER_VALUES.items() for value in values]
)
def test_no_field_can_be_changed(name, value):
    assert not is_signed(replace(signed(), **{name: value}), KEYS.public_keys)


def test_bytes_cannot_move_from_one_field_to_the_next():
    artifact = signed(artifact=replace(ARTIFACT, engine="ab", sha256=b"cd"))
    assert not is_signed(replace(artifact, engine="abc", sha256=b"d"), KEYS.public_keys)
    assert not is_signed(replace(artifact, wasm_sha256=b"w" * 32 + b"a", engine="b"), KEYS.public_keys)


def forged_with(key: str) -> Callable[[bytes], bytes]:
    """The valid signature of another key, under the public key of the right one."""
    other = signed(ArtifactSigningKeys(key)).signature
    return lambda signature: signature[:32] + other[32:]


@pytest.mark.parametrize(
    "forge",
    [
        lambda signature: b"",
        lambda signature: signature[:32],
        lambda signature: signature[:-1],
        lambda signature: signature + b"\0",
        lambda signature: signature[32:],
        lambda signature: signature[:32] + bytes(64),
        lambda signature: bytes(96),
        lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]),
        forged_with(NEXT_KEY),
        lambda signature: signed(ArtifactSigningKeys(NEXT_KEY)).signature,
    ],
)
def test_no_other_signature_is_valid(forge):
    artifact = signed()
    assert not is_signed(replace(artifact, signature=forge(artifact.signature)), KEYS.public_keys)


def test_the_format_of_signed_bytes_never_changes():
    """Another format would make the functions of two releases refuse each other's artifacts."""

    def framed(field: bytes) -> bytes:
        return len(field).to_bytes(8, "big") + field

    message = b"".join(
        map(
            framed,
            [b"guildhook artifact 1", b"w" * 32, b"engine", b"n" * 32, b"20", b"o" * 32, b"10", b"[[1,null],[2,3]]"],
        )
    )
    artifact = signed()
    Ed25519PublicKey.from_public_bytes(artifact.signature[:32]).verify(artifact.signature[32:], message)
    assert artifact.signature[:32].hex() == PUBLIC_KEY


PUBLIC_KEY = "8860bfd37175f45c2c962b26b5d195ca22544b3dcf70faa53264a87ebfdbfce8"
"""The public key of KEY, as the first release with signatures derives it."""


def test_in_a_rotation_the_signatures_of_both_keys_are_valid():
    announced = ArtifactSigningKeys(KEY, (NEXT_KEY,))
    swapped = ArtifactSigningKeys(NEXT_KEY, (KEY,))
    assert announced.public_keys == swapped.public_keys[::-1]
    for keys in (announced, swapped):
        assert is_signed(signed(keys), announced.public_keys)
    assert signed(announced) == signed()
    assert signed(swapped) == signed(ArtifactSigningKeys(NEXT_KEY))
    # The earlier key is taken away at the end.
    assert not is_signed(signed(), ArtifactSigningKeys(NEXT_KEY).public_keys)


def test_public_keys_are_those_of_the_secret_as_it_is_now():
    secret = Secret(KEYS)
    signer = ArtifactSigner(secret)
    assert signer.public_keys() == KEYS.public_keys
    secret.stored = ArtifactSigningKeys(NEXT_KEY, (KEY,))
    assert signer.public_keys() == secret.stored.public_keys
    assert is_signed(signer.sign(ARTIFACT), signer.public_keys()[:1])


def test_public_keys_are_written_and_read():
    keys = ArtifactSigningKeys(KEY, (NEXT_KEY,)).public_keys
    assert read_public_keys(write_public_keys(keys)) == frozenset(keys)
    assert read_public_keys(write_public_keys(keys).replace(",", " , ")) == frozenset(keys)


@pytest.mark.parametrize("text", [{"signing_key": "short"}, {}, {"signing_key": KEY, "other_signing_keys": ["short"]}])
def test_a_secret_of_another_form_is_no_key(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, ArtifactSigningKeys)


def test_the_text_of_a_key_is_not_shown():
    assert KEY not in repr(ArtifactSigningKeys(KEY, (KEY,)))
