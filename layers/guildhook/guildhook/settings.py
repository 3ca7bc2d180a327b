"""The configuration of a function, read once from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from guildhook.errors import ConfigurationError
from guildhook.sandbox import Limits
from guildhook.store.connection import address

_PREFIX = "GUILDHOOK_"
_MIB = 1024 * 1024


def _database_url(value: SecretStr) -> SecretStr:
    address(value.get_secret_value())
    return value


class Settings(BaseSettings):
    """Every variable is GUILDHOOK_ and the field's name in capitals; a limit is GUILDHOOK_LIMITS__ and its name."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", frozen=True)

    database_url: Annotated[SecretStr, AfterValidator(_database_url)]
    chat_api_url: AnyHttpUrl
    chat_api_token: SecretStr
    """The chat server's service token."""
    artifact_bucket: str
    cache_dir: Path = Path("/tmp/guildhook")  # noqa: S108 - the one place a Lambda may write
    memory_cache_bytes: int = Field(128 * _MIB, gt=0)
    disk_cache_bytes: int = Field(384 * _MIB, gt=0)
    limits: Limits = Limits()


def load_settings() -> Settings:
    """Raises ConfigurationError that names every variable that is missing or malformed, and shows no value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{_variable(p['loc'])}: {p['msg']}" for p in problems)
        raise ConfigurationError(f"wrong environment: {text}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    return _PREFIX + "__".join(str(part) for part in location).upper()
