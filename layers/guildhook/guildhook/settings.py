"""The configuration of the functions, read once from their environment.

Every variable is GUILDHOOK_ and the field's name in capitals; a limit is GUILDHOOK_LIMITS__ and its name.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from guildhook.backoff import Backoff
from guildhook.budget import Budget
from guildhook.errors import ConfigurationError
from guildhook.model import QuarantineRules
from guildhook.sandbox import Limits
from guildhook.store.connection import address

_PREFIX = "GUILDHOOK_"
_LIMITS = "LIMITS__"
_MIB = 1024 * 1024
_LARGEST_ARTIFACT_BYTES = 64 * _MIB
"""What the compiler allows."""

# SQS keeps a message for 14 days, and a dead letter for 14 more: as long as it may come back, its runs must be known.
_LEAST_KEEP_RUNS_DAYS = 29

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Positive = Annotated[int, msgspec.Meta(gt=0, le=2**53)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    database_url: _Text = field(repr=False)

    def __post_init__(self) -> None:
        with _naming("DATABASE_URL"):
            address(self.database_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings(DatabaseSettings):
    event_queue_url: _Text
    requeue_after_seconds: _Positive = 1_800
    """What has been pending for so long is put back on the queue: longer than any delivery that is under way."""
    give_up_after_hours: _Positive = 24
    """What is still pending then is refused: nobody waits for an answer of yesterday."""
    keep_runs_days: Annotated[int, msgspec.Meta(ge=_LEAST_KEEP_RUNS_DAYS)] = 30
    keep_usage_days: _Positive = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerSettings(DatabaseSettings):
    artifact_bucket: _Text
    limits: Limits = field(default_factory=Limits)
    guild_limits: Mapping[UUID, Mapping[str, int]] = field(default_factory=dict)
    """What differs in some guilds from `limits`, and from the budget, by the guild's id: JSON."""

    def __post_init__(self) -> None:
        DatabaseSettings.__post_init__(self)  # not super(): a class with slots is made a second time
        for guild_id, overrides in self.guild_limits.items():
            with _naming(f"GUILD_LIMITS: guild {guild_id}"):
                _check_names(overrides, _LIMIT_NAMES | _BUDGET_NAMES)
                self.limits_of(guild_id)

    def limits_of(self, guild_id: UUID) -> Limits:
        return _overridden(self.limits, _LIMIT_NAMES, self.guild_limits.get(guild_id))

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
    event_queue_url: _Text
    chat_api_url: _Text
    chat_api_token: _Text = field(repr=False)
    """The chat server's service token."""
    cache_dir: Path = Path("/tmp/guildhook")  # noqa: S108 - the one place a Lambda may write
    memory_cache_bytes: _Positive = 128 * _MIB
    disk_cache_bytes: Annotated[int, msgspec.Meta(ge=_LARGEST_ARTIFACT_BYTES)] = 384 * _MIB
    guild_fuel_per_minute: _Count = Budget().guild_fuel_per_minute
    guild_sends_per_minute: _Count = Budget().guild_sends_per_minute
    guild_log_bytes_per_minute: _Count = Budget().guild_log_bytes_per_minute
    guild_state_bytes: _Count = Budget().guild_state_bytes
    retry_seconds: _Seconds = Backoff().first_seconds
    """How long a message that failed waits at the most, the first time; then twice as long, and so on."""
    longest_retry_seconds: _Seconds = Backoff().longest_seconds
    quarantine_failures_in_a_row: _Positive = QuarantineRules().most_in_a_row
    quarantine_failures_in_an_hour: _Positive = QuarantineRules().most_in_an_hour
    quarantine_seconds: _Seconds = QuarantineRules().pause_seconds
    """The first time; then twice as long, and so on."""
    longest_quarantine_seconds: _Seconds = QuarantineRules().longest_pause_seconds

    def __post_init__(self) -> None:
        CompilerSettings.__post_init__(self)
        with _naming("CHAT_API_URL"):
            url = urlsplit(self.chat_api_url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError("not a URL that starts with https:// or http://")
        if self.disk_cache_bytes < self.memory_cache_bytes:
            raise ValueError(
                f"GUILDHOOK_DISK_CACHE_BYTES: {self.disk_cache_bytes} is less than GUILDHOOK_MEMORY_CACHE_BYTES, "
                f"{self.memory_cache_bytes}; modules in memory are mapped from the disk"
            )

    def budget_of(self, guild_id: UUID) -> Budget:
        everywhere = Budget(**{name: getattr(self, name) for name in _BUDGET_NAMES})
        return _overridden(everywhere, _BUDGET_NAMES, self.guild_limits.get(guild_id))

    @property
    def backoff(self) -> Backoff:
        return Backoff(first_seconds=self.retry_seconds, longest_seconds=self.longest_retry_seconds)

    @property
    def quarantine(self) -> QuarantineRules:
        return QuarantineRules(
            most_in_a_row=self.quarantine_failures_in_a_row,
            most_in_an_hour=self.quarantine_failures_in_an_hour,
            pause_seconds=self.quarantine_seconds,
            longest_pause_seconds=self.longest_quarantine_seconds,
        )


_LIMIT_NAMES = frozenset(limit.name for limit in fields(Limits))
_BUDGET_NAMES = frozenset(part.name for part in fields(Budget))

SettingsType = TypeVar("SettingsType", bound=DatabaseSettings)
Overridden = TypeVar("Overridden", Limits, Budget)


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
    for variable, value in given.items():
        if variable.startswith(_LIMITS):
            with _naming(variable):
                name = variable[len(_LIMITS) :].lower()
                _check_names([name], _LIMIT_NAMES)
                limits = replace(limits, **{name: msgspec.convert(value, int, strict=False)})
    return limits


def _check_names(names: Iterable[str], known: frozenset[str]) -> None:
    """Raises ValueError."""
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"there is no limit {', '.join(unknown)}")


def _overridden(everywhere: Overridden, names: frozenset[str], overrides: Mapping[str, int] | None) -> Overridden:
    ours = {name: value for name, value in (overrides or {}).items() if name in names}
    return replace(everywhere, **ours) if ours else everywhere


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        reason = str(error)
        raise ValueError(reason if reason.startswith(_PREFIX) else f"{_PREFIX}{variable}: {reason}") from None
