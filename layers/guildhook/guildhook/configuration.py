"""The configuration of the functions, read once from an environment.

Every variable is GUILDHOOK_ and the field's name in capitals; a limit is GUILDHOOK_LIMITS__ and its name.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_type_hints
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from guildhook.aws.access import AwsAccess
from guildhook.aws.secrets import Secret
from guildhook.errors import ConfigurationError
from guildhook.events.backoff import Backoff
from guildhook.events.budgets import GuildBudget
from guildhook.model import QuarantineRules
from guildhook.sandbox import Limits
from guildhook.store.database import Credentials, Database, IamTokens, has_password

_PREFIX = "GUILDHOOK_"
_LIMITS = "LIMITS__"
_MIB = 1024 * 1024
_LARGEST_ARTIFACT_BYTES = 64 * _MIB
"""What the compiler allows."""
_CACHE_DIR = Path("/tmp/guildhook")  # noqa: S108 - the one place a Lambda may write
_MEMORY_CACHE_BYTES = 128 * _MIB
_DISK_CACHE_BYTES = 384 * _MIB

# SQS keeps a message for 14 days, and a dead letter for 14 more: as long as it may come back, its runs must be known.
_LEAST_KEEP_RUNS_DAYS = 29

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Role = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Positive = Annotated[int, msgspec.Meta(gt=0, le=2**53)]
_DiskCacheBytes = Annotated[int, msgspec.Meta(ge=_LARGEST_ARTIFACT_BYTES)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    aws: AwsAccess
    """The variables of AWS in the same environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfiguration(Configuration):
    database_url: _Text = field(repr=False)
    database_secret: _Text | None = None
    database_iam: bool = False

    def __post_init__(self) -> None:
        if self.database_secret and self.database_iam:
            raise ValueError("GUILDHOOK_DATABASE_IAM: is true, and GUILDHOOK_DATABASE_SECRET is set; only one can be")
        with _naming("DATABASE_URL"):
            database = self.database
            if database.credentials and has_password(database.url):
                raise ValueError("has a password, which is GUILDHOOK_DATABASE_SECRET's or GUILDHOOK_DATABASE_IAM's")

    @property
    def database(self) -> Database:
        """Asked for once in a process: each has its own copy of what is in the secret."""
        if self.database_secret:
            secret = Secret(self.aws, self.database_secret, "GUILDHOOK_DATABASE_SECRET", Credentials)
            return Database(self.database_url, secret)
        return Database(self.database_url, IamTokens(self.aws, self.database_url) if self.database_iam else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateConfiguration(DatabaseConfiguration):
    database_role: _Role | None = None
    """The other functions connect as this role: it is created, and granted what they need."""
    database_compile_role: _Role | None = None
    database_sweep_role: _Role | None = None
    database_admin_role: _Role | None = None

    @property
    def database_roles(self) -> dict[str, str]:
        """By the functions that connect as them."""
        roles = {
            "on_message": self.database_role,
            "compile_plugin": self.database_compile_role or self.database_role,
            "sweep": self.database_sweep_role or self.database_role,
            "admin_api": self.database_admin_role or self.database_role,
        }
        return {function: role for function, role in roles.items() if role}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfiguration(DatabaseConfiguration):
    event_queue_url: _Text
    compile_queue_url: _Text
    requeue_after_seconds: _Positive = 1_800
    """What has been pending for so long is put back on the queue: longer than any delivery that is under way."""
    give_up_after_hours: _Positive = 24
    """What is still pending then is refused: nobody waits for an answer of yesterday."""
    keep_runs_days: Annotated[int, msgspec.Meta(ge=_LEAST_KEEP_RUNS_DAYS)] = 30
    keep_usage_days: _Positive = 90
    keep_audit_days: _Positive = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerConfiguration(DatabaseConfiguration):
    artifact_bucket: _Text
    limits: Limits = field(default_factory=Limits)
    guild_limits: Mapping[UUID, Mapping[str, int]] = field(default_factory=dict)
    """What differs in some guilds from `limits`, and from the budget, by the guild's id: JSON."""

    def __post_init__(self) -> None:
        DatabaseConfiguration.__post_init__(self)  # not super(): a class with slots is made a second time
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
class CompileFunctionConfiguration(CompilerConfiguration):
    compile_queue_url: _Text


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildConfiguration(CompilerConfiguration):
    """What the functions share that run plugins of guilds, or show what they may use."""

    compile_queue_url: _Text
    chat_api_url: _Text
    chat_secret: _Text
    guild_fuel_per_minute: _Count = GuildBudget().guild_fuel_per_minute
    guild_sends_per_minute: _Count = GuildBudget().guild_sends_per_minute
    guild_log_bytes_per_minute: _Count = GuildBudget().guild_log_bytes_per_minute
    guild_state_bytes: _Count = GuildBudget().guild_state_bytes

    def __post_init__(self) -> None:
        CompilerConfiguration.__post_init__(self)
        with _naming("CHAT_API_URL"):
            _check_url(self.chat_api_url)

    def budget_of(self, guild_id: UUID) -> GuildBudget:
        everywhere = GuildBudget(**{name: getattr(self, name) for name in _BUDGET_NAMES})
        return _overridden(everywhere, _BUDGET_NAMES, self.guild_limits.get(guild_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfiguration(GuildConfiguration):
    event_queue_url: _Text
    settings_secret: _Text | None = None
    """None: a plugin that has secrets is not run."""
    cache_dir: Path = _CACHE_DIR
    memory_cache_bytes: _Positive = _MEMORY_CACHE_BYTES
    disk_cache_bytes: _DiskCacheBytes = _DISK_CACHE_BYTES
    retry_seconds: _Seconds = Backoff().first_seconds
    """How long a message that failed waits at the most, the first time; then twice as long, and so on."""
    longest_retry_seconds: _Seconds = Backoff().longest_seconds
    quarantine_failures_in_a_row: _Positive = QuarantineRules().most_in_a_row
    quarantine_failures_in_an_hour: _Positive = QuarantineRules().most_in_an_hour
    quarantine_seconds: _Seconds = QuarantineRules().pause_seconds
    """The first time; then twice as long, and so on."""
    longest_quarantine_seconds: _Seconds = QuarantineRules().longest_pause_seconds

    def __post_init__(self) -> None:
        GuildConfiguration.__post_init__(self)
        _check_caches(self.memory_cache_bytes, self.disk_cache_bytes)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminConfiguration(GuildConfiguration):
    settings_secret: _Text
    test_run_function: _Text
    jwt_issuer: _Text
    jwt_audience: _Text
    jwt_client_id: _Text
    """Of the page, at the issuer."""
    jwt_scope: _Text = "openid profile"
    """What the page asks the issuer for."""
    guild_plugins: _Positive = 50
    guild_wasm_bytes: _Positive = 1024 * 1024 * 1024
    admin_requests_per_minute: _Positive = 600

    def __post_init__(self) -> None:
        GuildConfiguration.__post_init__(self)
        with _naming("JWT_ISSUER"):
            _check_url(self.jwt_issuer)
            url = urlsplit(self.jwt_issuer)
            if url.query or url.fragment or "@" in url.netloc:
                raise ValueError("an issuer has no user, no query and no fragment")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfiguration(Configuration):
    """Of the function test_run, which has neither database nor secrets."""

    artifact_bucket: _Text
    cache_dir: Path = _CACHE_DIR
    memory_cache_bytes: _Positive = _MEMORY_CACHE_BYTES
    disk_cache_bytes: _DiskCacheBytes = _DISK_CACHE_BYTES

    def __post_init__(self) -> None:
        _check_caches(self.memory_cache_bytes, self.disk_cache_bytes)


WANTS: Final = {
    "database_url": "PostgreSQL 16 or newer, `postgresql://user@host:5432/database`",
    "database_secret": "name or ARN of a secret in Secrets Manager, JSON with `password` and perhaps `username`",
    "database_iam": "`true` if every new connection has an IAM token as its password, else `false`",
    "database_role": "name of the role that the other functions connect as",
    "database_compile_role": "name of the role that compile_plugin connects as, if it has one of its own",
    "database_sweep_role": "name of the role that sweep connects as, if it has one of its own",
    "database_admin_role": "name of the role that admin_api connects as, if it has one of its own",
    "artifact_bucket": "S3 bucket of compiled plugins",
    "limits": "a whole number from 0 on, under the name of a limit that docs/configuration.md lists",
    "compile_queue_url": "queue on which the compile function is asked",
    "guild_limits": "limits and budgets that differ in some guilds: a JSON object of guild ids",
    "event_queue_url": "queue of message-created events",
    "chat_api_url": "base URL of the chat server's REST API",
    "chat_secret": "name or ARN of a secret in Secrets Manager, JSON with `chat_api_token`, the service token",
    "settings_secret": "name or ARN of a secret in Secrets Manager, JSON with `settings_key`, which seals secrets of "
    "plugins",
    "test_run_function": "name or ARN of the function that does test runs",
    "jwt_issuer": "URL of the identity provider, as `iss` of its access tokens has it",
    "jwt_audience": "what `aud` of the access tokens must have, or `client_id` where they have no `aud`",
    "jwt_client_id": "id of the admin page as a client of the identity provider",
    "jwt_scope": "scopes that the admin page asks the identity provider for, with spaces between them",
    "guild_plugins": "plugins that a guild may have",
    "guild_wasm_bytes": "bytes that all versions of a guild's plugins may have together",
    "admin_requests_per_minute": "requests that an admin may make in a minute; some count as several",
    "cache_dir": "folder in which compiled plugins are kept, and from which they are mapped",
    "memory_cache_bytes": "compiled plugins kept loaded, in bytes of their artifacts",
    "disk_cache_bytes": "compiled plugins kept on disk, in bytes",
    "guild_fuel_per_minute": "fuel that all plugins of a guild may use in a minute",
    "guild_sends_per_minute": "messages that all plugins of a guild may send in a minute",
    "guild_log_bytes_per_minute": "bytes that all plugins of a guild may log in a minute",
    "guild_state_bytes": "what all plugins of a guild may remember together, in bytes",
    "retry_seconds": "seconds that a message that failed stays invisible in the queue, the first time",
    "longest_retry_seconds": "seconds that it stays invisible at the most",
    "quarantine_failures_in_a_row": "failures in a row after which a plugin is quarantined",
    "quarantine_failures_in_an_hour": "failures within an hour of the clock after which it is quarantined as well",
    "quarantine_seconds": "seconds until one run of a quarantined plugin is tried, the first time",
    "longest_quarantine_seconds": "seconds until one run of it is tried, at the most",
    "requeue_after_seconds": "seconds after which what is still pending is put back on the queue",
    "give_up_after_hours": "hours after which what is still pending is refused as `EXPIRED`",
    "keep_runs_days": "days after which runs and what they sent are deleted",
    "keep_usage_days": "days after which counts of runs are deleted",
    "keep_audit_days": "days after which it is forgotten who has changed what",
}
"""What an operator is told of a variable that is missing or malformed, and what docs/configuration.md begins with."""

_LIMIT_NAMES = frozenset(limit.name for limit in fields(Limits))
_BUDGET_NAMES = frozenset(part.name for part in fields(GuildBudget))

ConfigurationType = TypeVar("ConfigurationType", bound=Configuration)
Overridden = TypeVar("Overridden", Limits, GuildBudget)


def load_configuration(kind: type[ConfigurationType], environment: Mapping[str, str]) -> ConfigurationType:
    """Raises ConfigurationError that names every variable that is missing or malformed, and shows no secret."""
    given = {name[len(_PREFIX) :]: value for name, value in environment.items() if name.startswith(_PREFIX)}
    types = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {"aws": AwsAccess(environment)}
    problems: list[str] = []
    for setting in fields(kind):
        if setting.name == "aws":
            continue
        try:
            with _naming(setting.name.upper()):
                values |= _read(setting, types[setting.name], given)
        except ValueError as error:
            problems.append(f"{error}; wants: {WANTS[setting.name]}" if setting.name in WANTS else str(error))
    if not problems:
        try:
            return kind(**values)
        except ValueError as error:
            problems.append(str(error))
    raise ConfigurationError(f"wrong environment: {' | '.join(problems)}")


def _read(setting: Field[Any], kind: Any, given: Mapping[str, str]) -> dict[str, Any]:
    """The setting by its name, if it is given. Raises ValueError."""
    name = setting.name
    if name == "limits":
        return {name: _limits(given)}
    value = given.get(name.upper())
    if value is None:
        if setting.default is MISSING and setting.default_factory is MISSING:
            raise ValueError("missing")
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


def _check_url(text: str) -> None:
    """Raises ValueError, which does not show it."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("not a URL that starts with https:// or http://")


def _check_caches(memory_bytes: int, disk_bytes: int) -> None:
    """Raises ValueError."""
    if disk_bytes < memory_bytes:
        raise ValueError(
            f"GUILDHOOK_DISK_CACHE_BYTES: {disk_bytes} is less than GUILDHOOK_MEMORY_CACHE_BYTES, "
            f"{memory_bytes}; modules in memory are mapped from the disk"
        )


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
