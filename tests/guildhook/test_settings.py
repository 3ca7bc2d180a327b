import json
from uuid import uuid4

import pytest

from guildhook.errors import ConfigurationError
from guildhook.sandbox import Limits
from guildhook.settings import load_settings

REQUIRED = {
    "GUILDHOOK_DATABASE_URL": "postgresql://someone:s3cret@db:5432/chat",
    "GUILDHOOK_CHAT_API_URL": "https://chat.example",
    "GUILDHOOK_CHAT_API_TOKEN": "t0ken",
    "GUILDHOOK_ARTIFACT_BUCKET": "artifacts",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_environment_becomes_typed_settings(environment):
    environment.setenv("GUILDHOOK_LIMITS__FUEL", "5000")
    environment.setenv("GUILDHOOK_MEMORY_CACHE_BYTES", "1000")
    settings = load_settings()
    assert settings.limits == Limits(fuel=5000)
    assert settings.memory_cache_bytes == 1000
    assert settings.database_url.get_secret_value() == REQUIRED["GUILDHOOK_DATABASE_URL"]
    assert "s3cret" not in repr(settings)
    assert "t0ken" not in repr(settings)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_named_in_one_line(environment, name):
    environment.delenv(name)
    with pytest.raises(ConfigurationError, match=f"{name}: Field required") as raised:
        load_settings()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUILDHOOK_DATABASE_URL", "postgresql://someone:s3cret@[db/chat"),
        ("GUILDHOOK_DATABASE_URL", "s3cret"),
        ("GUILDHOOK_CHAT_API_URL", "ftp://s3cret@chat"),
        ("GUILDHOOK_LIMITS__FUEL", "much"),
        ("GUILDHOOK_LIMITS__FUEL", "-1"),
        ("GUILDHOOK_LIMITS__FULE", "1"),
        ("GUILDHOOK_DISK_CACHE_BYTES", "0"),
        ("GUILDHOOK_GUILD_LIMITS", "{s3cret"),
        ("GUILDHOOK_GUILD_LIMITS", '{"everyone": {}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fuel": "s3cret"}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fule": 1}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fuel": -1}}'),
    ],
)
def test_a_malformed_variable_is_named_and_its_value_is_not_shown(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert name.split("__")[0] in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_guild_can_have_limits_of_its_own(environment):
    guild, other = uuid4(), uuid4()
    environment.setenv("GUILDHOOK_LIMITS__SENDS", "7")
    environment.setenv("GUILDHOOK_GUILD_LIMITS", json.dumps({str(guild): {"fuel": 5, "deadline_ms": 900}}))
    settings = load_settings()
    assert settings.limits_of(guild) == Limits(sends=7, fuel=5, deadline_ms=900)
    assert settings.limits_of(other) == Limits(sends=7)
