"""The configuration of a function, read once from its environment."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from guildhook.errors import ConfigurationError
from guildhook.sandbox import Limits
from guildhook.store.connection import address

_PREFIX = "GUILDHOOK_"
_MIB = 1024 * 1024


def _database_url(value: SecretStr) -> SecretStr:
    address(value.get_secret_value())
    return value


def _json(value: Any) -> Any:
    # Not left to pydantic-settings, whose error quotes no reason.
    return from_json(value) if isinstance(value, str) else value


def _known_limits(value: dict[UUID, dict[str, int]]) -> dict[UUID, dict[str, int]]:
    known = {field.name for field in fields(Limits)}
    for guild_id, limits in value.items():
        unknown = sorted(set(limits) - known)
        if unknown:
            raise ValueError(f"guild {guild_id}: there is no limit {', '.join(unknown)}")
        replace(Limits(), **limits)
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
    guild_limits: Annotated[
        dict[UUID, dict[str, int]], NoDecode, BeforeValidator(_json), AfterValidator(_known_limits)
    ] = {}
    """What differs from `limits` in some guilds, by the guild's id: JSON."""

    def limits_of(self, guild_id: UUID) -> Limits:
        overrides = self.guild_limits.get(guild_id)
        return replace(self.limits, **overrides) if overrides else self.limits


def load_settings() -> Settings:
    """Raises ConfigurationError that names every variable that is missing or malformed, and shows no value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{_variable(p['loc'])}: {p['msg']}" for p in problems)
        raise ConfigurationError(f"wrong environment: {text}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    field, *within = map(str, location)
    if field == "guild_limits":
        return ": ".join([f"{_PREFIX}GUILD_LIMITS", *within])
    return _PREFIX + "__".join([field, *within]).upper()
