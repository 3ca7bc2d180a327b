import json
import traceback
from uuid import uuid4

import msgspec
import pytest

from guildhook.aws.secrets import Secret
from guildhook.errors import InfrastructureError, UnsealableError
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys

VALUE = "sk-l1ve-51ße"
KEY, OTHER_KEY = "k" * 31 + "1", "k" * 31 + "2"
PLUGIN = uuid4()
# The parts are version, key id, nonce, value and tag.
HEADER_BYTES, NONCE_END = 5, 17


@pytest.fixture
def name():
    return f"settings/{uuid4()}"


@pytest.fixture
def rotated_to(aws, name):
    """Writes the secret's JSON, and returns a sealer that reads it."""
    secrets_manager = aws.client("secretsmanager")

    def rotate(**keys):
        text = json.dumps(keys)
        try:
            secrets_manager.create_secret(Name=name, SecretString=text)
        except secrets_manager.exceptions.ResourceExistsException:
            secrets_manager.put_secret_value(SecretId=name, SecretString=text)
        return sealer_of(aws, name)

    return rotate


@pytest.fixture
def sealer(rotated_to):
    return rotated_to(settings_key=KEY)


def sealer_of(aws, name):
    return Sealer(Secret(aws.access, name, "GUILDHOOK_SETTINGS_SECRET", SettingsKeys))


def flipped(sealed, position):
    return sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]


def test_a_sealed_secret_opens_for_its_plugin_and_name(sealer):
    secrets = {"api_key": VALUE, "empty": "", "naïve": "\0 and 🦆" * 1_000}
    sealed = {name: sealer.seal(PLUGIN, name, value) for name, value in secrets.items()}
    assert sealer.unseal(PLUGIN, sealed) == secrets


def test_a_sealed_secret_shows_nothing_of_its_value_and_differs_each_time(sealer):
    first, second = sealer.seal(PLUGIN, "api_key", VALUE), sealer.seal(PLUGIN, "api_key", VALUE)
    assert VALUE.encode() not in first
    assert first[HEADER_BYTES:NONCE_END] != second[HEADER_BYTES:NONCE_END]
    assert first[NONCE_END:] != second[NONCE_END:]


def test_a_secret_opens_for_no_other_plugin_and_under_no_other_name(sealer):
    sealed = sealer.seal(PLUGIN, "api_key", VALUE)
    other = uuid4()
    with pytest.raises(UnsealableError, match=f"secret 'api_key' of plugin {other} does not open under that name"):
        sealer.unseal(other, {"api_key": sealed})
    with pytest.raises(UnsealableError, match=f"secret 'token' of plugin {PLUGIN} does not open under that name"):
        sealer.unseal(PLUGIN, {"token": sealed})


@pytest.mark.parametrize("position", [HEADER_BYTES, NONCE_END, -1], ids=["nonce", "value", "tag"])
def test_a_secret_that_was_altered_does_not_open(sealer, position):
    sealed = sealer.seal(PLUGIN, "api_key", VALUE)
    position %= len(sealed)
    with pytest.raises(UnsealableError, match="does not open under that name"):
        sealer.unseal(PLUGIN, {"api_key": flipped(sealed, position)})


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES, NONCE_END - 1, NONCE_END, NONCE_END + 15])
def test_a_secret_that_was_cut_off_does_not_open(sealer, length):
    with pytest.raises(UnsealableError, match="secret 'api_key'"):
        sealer.unseal(PLUGIN, {"api_key": sealer.seal(PLUGIN, "api_key", VALUE)[:length]})


@pytest.mark.parametrize("position", [0, 1], ids=["version", "key"])
def test_a_secret_of_another_version_or_key_is_refused_because_the_key_is_gone(sealer, position):
    sealed = flipped(sealer.seal(PLUGIN, "api_key", VALUE), position)
    with pytest.raises(UnsealableError, match="was sealed with a key that is gone"):
        sealer.unseal(PLUGIN, {"api_key": sealed})


def test_earlier_keys_open_their_secrets_and_seal_no_new_ones(rotated_to):
    earlier = rotated_to(settings_key=KEY).seal(PLUGIN, "earlier", VALUE)
    sealer = rotated_to(settings_key=OTHER_KEY, earlier_settings_keys=[KEY])
    sealed = {"earlier": earlier, "now": sealer.seal(PLUGIN, "now", VALUE)}
    assert sealer.unseal(PLUGIN, sealed) == {"earlier": VALUE, "now": VALUE}
    alone = rotated_to(settings_key=OTHER_KEY)
    assert alone.unseal(PLUGIN, {"now": sealed["now"]}) == {"now": VALUE}
    with pytest.raises(UnsealableError, match=r"secret 'earlier' .* key that is gone; set it again"):
        alone.unseal(PLUGIN, sealed)


def test_a_key_that_is_newer_than_the_cached_keys_is_read(rotated_to):
    behind = rotated_to(settings_key=KEY)
    before = behind.seal(PLUGIN, "before", VALUE)
    sealed = rotated_to(settings_key=OTHER_KEY, earlier_settings_keys=[KEY]).seal(PLUGIN, "after", VALUE)
    assert behind.unseal(PLUGIN, {"before": before, "after": sealed}) == {"before": VALUE, "after": VALUE}


def test_no_secrets_need_no_key(aws, name):
    assert sealer_of(aws, name).unseal(PLUGIN, {}) == {}


def test_without_the_secret_nothing_is_sealed_or_opened(aws, name):
    sealer = sealer_of(aws, name)
    with pytest.raises(InfrastructureError, match=rf"secret {name} \(GUILDHOOK_SETTINGS_SECRET\)"):
        sealer.seal(PLUGIN, "api_key", VALUE)
    with pytest.raises(InfrastructureError, match=rf"secret {name} \(GUILDHOOK_SETTINGS_SECRET\)"):
        sealer.unseal(PLUGIN, {"api_key": b""})


@pytest.mark.parametrize("keys", [{"settings_key": "too-sh0rt"}, {"settings_key": KEY, "earlier_settings_keys": ["0"]}])
def test_a_key_that_can_be_guessed_is_refused(rotated_to, keys):
    with pytest.raises(InfrastructureError, match="length >= 32") as refused:
        rotated_to(**keys).seal(PLUGIN, "api_key", VALUE)
    assert "too-sh0rt" not in str(refused.value)


def test_neither_keys_nor_values_are_shown(sealer):
    keys = SettingsKeys(KEY, (OTHER_KEY,))
    sealed = sealer.seal(PLUGIN, "api_key", VALUE)
    with pytest.raises(UnsealableError) as refused:
        sealer.unseal(uuid4(), {"api_key": sealed})
    shown = "".join([repr(keys), repr(sealer), *traceback.format_exception(refused.value)])
    assert "kkkk" not in shown
    assert VALUE not in shown
    assert sealed.hex() not in shown


def test_keys_are_read_as_the_documentation_writes_them():
    text = json.dumps({"settings_key": KEY, "earlier_settings_keys": [OTHER_KEY], "of somebody else": 1})
    assert msgspec.json.decode(text, type=SettingsKeys) == SettingsKeys(KEY, (OTHER_KEY,))
