"""The configuration of the functions, read once from their environment.

Every variable is GUILDHOOK_ and the field's name in capitals; a limit is GUILDHOOK_LIMITS__ and its name.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from guildhook.errors import ConfigurationError
from guildhook.sandbox import Limits
from guildhook.store.connection import address

_PREFIX = "GUILDHOOK_"
_LIMITS = "LIMITS__"
_MIB = 1024 * 1024
_LARGEST_ARTIFACT_BYTES = 64 * _MIB
"""What the compiler allows."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Bytes = Annotated[int, msgspec.Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerSettings:
    database_url: _Text = field(repr=False)
    artifact_bucket: _Text
    limits: Limits = field(default_factory=Limits)
    guild_limits: Mapping[UUID, Mapping[str, int]] = field(default_factory=dict)
    """What differs from `limits` in some guilds, by the guild's id: JSON."""

    def __post_init__(self) -> None:
        with _naming("DATABASE_URL"):
            address(self.database_url)
        for guild_id in self.guild_limits:
            with _naming(f"GUILD_LIMITS: guild {guild_id}"):
                self.limits_of(guild_id)

    def limits_of(self, guild_id: UUID) -> Limits:
        overrides = self.guild_limits.get(guild_id)
        return _overridden(self.limits, overrides) if overrides else self.limits

    def largest_limits(self) -> Limits:
        """Each as high as in the guild that has it highest."""
        everywhere = [self.limits, *map(self.limits_of, self.guild_limits)]
        names = [limit.name for limit in fields(Limits)]
        return Limits(**{name: max(getattr(limits, name) for limits in everywhere) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileFunctionSettings(CompilerSettings):
    compile_queue_url: _Text


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CompilerSettings):
    compile_queue_url: _Text
    chat_api_url: _Text
    chat_api_token: _Text = field(repr=False)
    """The chat server's service token."""
    cache_dir: Path = Path("/tmp/guildhook")  # noqa: S108 - the one place a Lambda may write
    memory_cache_bytes: _Bytes = 128 * _MIB
    disk_cache_bytes: Annotated[int, msgspec.Meta(ge=_LARGEST_ARTIFACT_BYTES)] = 384 * _MIB

    def __post_init__(self) -> None:
        CompilerSettings.__post_init__(self)  # not super(): a class with slots is made a second time
        with _naming("CHAT_API_URL"):
            url = urlsplit(self.chat_api_url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError("not a URL that starts with https:// or http://")
        if self.disk_cache_bytes < self.memory_cache_bytes:
            raise ValueError(
                f"GUILDHOOK_DISK_CACHE_BYTES: {self.disk_cache_bytes} is less than GUILDHOOK_MEMORY_CACHE_BYTES, "
                f"{self.memory_cache_bytes}; modules in memory are mapped from the disk"
            )


SettingsType = TypeVar("SettingsType", bound=CompilerSettings)


def load_settings(kind: type[SettingsType]) -> SettingsType:
    """Raises ConfigurationError that names every variable that is missing or malformed, and shows no secret."""
    given = {name[len(_PREFIX) :]: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    types = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in fields(kind):
        try:
            with _naming(setting.name.upper()):
                values |= _read(setting, types[setting.name], given)
        except ValueError as error:
            problems.append(str(error))
    if not problems:
        try:
            return kind(**values)
        except ValueError as error:
            problems.append(str(error))
    raise ConfigurationError(f"wrong environment: {'; '.join(problems)}")


def _read(setting: Field[Any], kind: Any, given: Mapping[str, str]) -> dict[str, Any]:
    """The setting by its name, if it is given. Raises ValueError."""
    name = setting.name
    if name == "limits":
        return {name: _limits(given)}
    value = given.get(name.upper())
    if value is None:
        if setting.default is MISSING and setting.default_factory is MISSING:
            raise ValueError("Field required")
        return {}
    if name == "guild_limits":
        return {name: msgspec.json.decode(value, type=dict[UUID, dict[str, int]])}
    return {name: Path(value) if kind is Path else msgspec.convert(value, kind, strict=False)}


def _limits(given: Mapping[str, str]) -> Limits:
    limits = Limits()
    for name, value in given.items():
        if name.startswith(_LIMITS):
            with _naming(name):
                limits = _overridden(limits, {name[len(_LIMITS) :].lower(): msgspec.convert(value, int, strict=False)})
    return limits


def _overridden(limits: Limits, overrides: Mapping[str, int]) -> Limits:
    unknown = sorted(overrides.keys() - {limit.name for limit in fields(Limits)})
    if unknown:
        raise ValueError(f"there is no limit {', '.join(unknown)}")
    return replace(limits, **overrides)


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        reason = str(error)
        raise ValueError(reason if reason.startswith(_PREFIX) else f"{_PREFIX}{variable}: {reason}") from None
