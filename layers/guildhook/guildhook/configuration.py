"""The configuration of the functions, read once from an environment.

The name of a variable is GUILDHOOK_ and the field's name in capitals; that of a limit is GUILDHOOK_LIMITS__ and its
name. The annotation of a field has its check and its description, from which errors and the reference are made.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from guildhook.aws.access import AwsAccess
from guildhook.aws.secrets import Secret
from guildhook.errors import ConfigurationError
from guildhook.events.backoff import Backoff, doubled
from guildhook.events.budgets import GuildBudget
from guildhook.events.queue_events import UnmarkedAuthors
from guildhook.model import QuarantineRules, TokenAlgorithm
from guildhook.modules import read_public_keys
from guildhook.sandbox import CompileLimits, Limits
from guildhook.store.database import Credentials, Database, IamTokens, has_password
from guildhook.uuids import read_uuid

_PREFIX: Final = "GUILDHOOK_"
_LIMITS: Final = "LIMITS__"
_MIB: Final = 1024 * 1024
_LARGEST_ARTIFACT_BYTES: Final = 64 * _MIB
"""The compiler's limit."""
_CACHE_DIR: Final = Path("/tmp/guildhook")  # noqa: S108 - the one place a Lambda may write
_MEMORY_CACHE_BYTES: Final = 128 * _MIB
_DISK_CACHE_BYTES: Final = 384 * _MIB

# SQS keeps a message for 14 days, and a dead letter for 14 more. A message may come back that late, and must then find
# the runs that it has had.
_LEAST_KEEP_RUNS_DAYS: Final = 29
_NUMBER_CHARS: Final = 20
"""The digits of a number that an error shows."""


@dataclass(frozen=True, slots=True)
class Variable:
    """The description of a variable for operators. It stands in the annotation of the variable's field.

    Errors quote `value`, which says what to write there; the reference of the configuration has both texts.
    """

    value: str
    more: str = ""


_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Role = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Positive = Annotated[int, msgspec.Meta(gt=0, le=2**53)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]

# These variables are fields of two classes each. A class with slots can have one base alone.
_ArtifactBucket = Annotated[_Text, Variable("S3 bucket of compiled plugins")]
_CacheDir = Annotated[Path, Variable("folder in which compiled plugins are kept, and from which they are mapped")]
_MemoryCacheBytes = Annotated[
    _Positive,
    Variable(
        "compiled plugins kept loaded, in bytes of their artifacts", "This is at most `GUILDHOOK_DISK_CACHE_BYTES`."
    ),
]
_DiskCacheBytes = Annotated[
    int,
    msgspec.Meta(ge=_LARGEST_ARTIFACT_BYTES),
    Variable("compiled plugins kept on disk, in bytes", "This is at least 64 MiB, which one plugin may need."),
]
_RetrySeconds = Annotated[
    _Seconds,
    Variable(
        "seconds until a message or a compile that failed is tried again, the first time",
        "It doubles each time after that. A message waits between half of it and all of it, at random.",
    ),
]
_LongestRetrySeconds = Annotated[
    _Seconds,
    Variable(
        "seconds until a message or a compile that failed is tried again, at the most",
        "The chat API may ask for longer.",
    ),
]
MOST_COMPILE_TRIES: Final = 8
"""The tries of a compile that fails through no fault of the plugin, with 21 minutes of pauses by default. The queue
delivers a request as often.
"""
_CompileQueueUrl = Annotated[
    _Text,
    Variable(
        "queue on which the compile function is asked",
        "`guildhook recompile`, `guildhook prune` and `guildhook public-keys` do not need it.",
    ),
]
_EventQueueUrl = Annotated[
    _Text,
    Variable("queue of message-created events", "Failed messages wait in it, and pending ones are put back on it."),
]
_ArtifactPublicKeys = Annotated[
    frozenset[bytes],
    Variable(
        "public keys of the compile function, each 32 bytes in base64, with commas between them",
        "A compiled plugin is loaded only if one of them has signed it.",
    ),
]
_SettingsSecret = Annotated[
    _Text,
    Variable(
        "name or ARN of a secret in Secrets Manager, JSON with `settings_key`, which seals secrets of plugins",
        "The key is any text of at least 32 characters. `on_message` also runs without it, but then runs no plugin "
        "that has secrets.",
    ),
]


_DatabaseSecret = Annotated[
    _Text | None,
    Variable(
        "name or ARN of a secret in Secrets Manager, JSON with `password` and perhaps `username`",
        "RDS writes such secrets. It is read for every new connection, kept for five minutes, and read again if "
        "the server refuses the password. It excludes `GUILDHOOK_DATABASE_IAM`.",
    ),
]
_ChatApiUrl = Annotated[_Text, Variable("base URL of the chat server's REST API", "It begins with `https://`.")]
_ChatSecret = Annotated[
    _Text,
    Variable(
        "name or ARN of a secret in Secrets Manager, JSON with `chat_api_token`, the service token",
        "The token is printable ASCII. It is kept for five minutes, and read again if the chat server answers 401.",
    ),
]
_OriginSecret = Annotated[
    _Text | None,
    Variable(
        "name or ARN of a secret in Secrets Manager, JSON with `origin_secret`, which the cache in front of the "
        "API sends as the header `X-Guildhook-Origin`",
        "It is 32 to 256 visible ASCII characters. A request without it is refused. `earlier_origin_secret` is "
        "accepted as well, for a rotation. Without the variable no header is needed.",
    ),
]
_JwtIssuer = Annotated[
    _Text,
    Variable(
        "URL of the identity provider, as `iss` of its access tokens has it",
        "It is compared to the letter. With `http://`, which is for one machine, keys are fetched without TLS.",
    ),
]
_JwtAudience = Annotated[
    _Text, Variable("audience: `aud` of the access tokens, or their `client_id` where they have no `aud`")
]
_JwtAlgorithm = Annotated[
    TokenAlgorithm | None,
    Variable(
        "`RS256`, `ES256` or `EdDSA` (with Ed25519): the algorithm that access tokens are signed with",
        "Tokens with another algorithm are refused. Without it all three are accepted.",
    ),
]
_JwtClientId = Annotated[
    _Text, Variable("id of the admin page as a client of the identity provider", "The id is public.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    aws: AwsAccess
    """The variables of AWS in the same environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfiguration(Configuration):
    database_url: Annotated[
        _Text,
        Variable(
            "PostgreSQL 16 or newer, `postgresql://user@host:5432/database`",
            "`?sslmode=verify-full&sslrootcert=…` adds TLS. A password in it is for machines without Secrets Manager.",
        ),
    ] = field(repr=False)
    database_secret: _DatabaseSecret = None
    database_iam: Annotated[
        bool,
        Variable(
            "`true` if every new connection has an IAM token as its password, else `false`",
            "The URL must then have a user, a host and TLS.",
        ),
    ] = False

    def __post_init__(self) -> None:
        if self.database_secret and self.database_iam:
            raise ValueError("GUILDHOOK_DATABASE_IAM: is true, and GUILDHOOK_DATABASE_SECRET is set; only one can be")
        with _naming("DATABASE_URL"):
            database = self.database
            if database.credentials and has_password(database.url):
                raise ValueError("has a password, which is GUILDHOOK_DATABASE_SECRET's or GUILDHOOK_DATABASE_IAM's")

    @property
    def database(self) -> Database:
        """A new Database with its own copy of the secret. A process asks for one."""
        if self.database_secret:
            secret = Secret(self.aws, self.database_secret, "GUILDHOOK_DATABASE_SECRET", Credentials)
            return Database(self.database_url, secret)
        return Database(self.database_url, IamTokens(self.aws, self.database_url) if self.database_iam else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateConfiguration(DatabaseConfiguration):
    database_role: Annotated[
        _Role | None,
        Variable(
            "name of the role that the other functions connect as",
            "`migrate` creates the roles, and grants them the privileges of their functions.",
        ),
    ] = None
    database_compile_role: Annotated[
        _Role | None, Variable("name of the role that compile_plugin connects as, if it has one of its own")
    ] = None
    database_sweep_role: Annotated[
        _Role | None, Variable("name of the role that sweep connects as, if it has one of its own")
    ] = None
    database_admin_role: Annotated[
        _Role | None, Variable("name of the role that admin_api connects as, if it has one of its own")
    ] = None
    database_erase_role: Annotated[
        _Role | None, Variable("name of the role that erase connects as, if it has one of its own")
    ] = None

    @property
    def database_roles(self) -> dict[str, str]:
        """The names of roles, by the function that connects as the role."""
        roles = {
            "on_message": self.database_role,
            "compile_plugin": self.database_compile_role or self.database_role,
            "sweep": self.database_sweep_role or self.database_role,
            "admin_api": self.database_admin_role or self.database_role,
            "erase": self.database_erase_role or self.database_role,
        }
        return {function: role for function, role in roles.items() if role}


_KeepRunsDays = Annotated[
    int,
    msgspec.Meta(ge=_LEAST_KEEP_RUNS_DAYS),
    Variable(
        "days after which runs and the messages that they sent are deleted",
        "This is at least 29, since an event may come back that late. `erase` reports it, and deletes nothing by it.",
    ),
]
_KEEP_RUNS_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfiguration(DatabaseConfiguration):
    event_queue_url: _EventQueueUrl
    compile_queue_url: _CompileQueueUrl
    requeue_after_seconds: Annotated[
        _Positive,
        Variable(
            "seconds after which pending messages are put back on the queue",
            "This is longer than the longest retry and the queue's visibility timeout together.",
        ),
    ] = 1_800
    give_up_after_hours: Annotated[
        _Positive, Variable("hours after which messages that are still pending are refused as `EXPIRED`")
    ] = 24
    keep_runs_days: _KeepRunsDays = _KEEP_RUNS_DAYS
    keep_usage_days: Annotated[_Positive, Variable("days after which counts of runs are deleted")] = 90
    keep_audit_days: Annotated[_Positive, Variable("days after which entries of the audit log are deleted")] = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfiguration(DatabaseConfiguration):
    """The variables of the functions that compile or run plugins of guilds, or show their limits."""

    artifact_bucket: _ArtifactBucket
    limits: Annotated[
        Limits,
        Variable("a whole number from 0 on, under the name of a limit that docs/reference/configuration.md lists"),
    ] = field(default_factory=Limits)
    guild_limits: Annotated[
        Mapping[UUID, Mapping[str, int]],
        Variable(
            "limits and budgets that differ in some guilds: a JSON object of guild ids",
            "Each value is an object of limits by their names.",
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        DatabaseConfiguration.__post_init__(self)  # not super(): a class with slots is made a second time
        for guild_id, overrides in self.guild_limits.items():
            with _naming(f"GUILD_LIMITS: guild {guild_id}"):
                _check_names(overrides, _LIMIT_NAMES | _BUDGET_NAMES)
                self.limits_of(guild_id)

    def limits_of(self, guild_id: UUID) -> Limits:
        return _overridden(self.limits, _LIMIT_NAMES, self.guild_limits.get(guild_id))

    def largest_limits(self) -> Limits:
        """The highest value that each limit has in any guild."""
        everywhere = [self.limits, *map(self.limits_of, self.guild_limits)]
        names = [limit.name for limit in fields(Limits)]
        return Limits(**{name: max(getattr(limits, name) for limits in everywhere) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerConfiguration(LimitsConfiguration):
    signing_secret: Annotated[
        _Text,
        Variable(
            "name or ARN of a secret in Secrets Manager, JSON with `signing_key`, which signs compiled plugins",
            "The key is any text of at least 32 characters. Only the compile function may read it.",
        ),
    ]
    compile_seconds: Annotated[
        _Positive,
        Variable(
            "seconds after which a compile is given up, and tried again later",
            "It is wall time, which is never the plugin's fault, and three quarters of the function's timeout.",
        ),
    ] = int(CompileLimits().timeout_seconds)
    retry_seconds: _RetrySeconds = Backoff().first_seconds
    longest_retry_seconds: _LongestRetrySeconds = Backoff().longest_seconds

    @property
    def compile_limits(self) -> CompileLimits:
        return CompileLimits(timeout_seconds=self.compile_seconds)

    @property
    def compile_pauses(self) -> Sequence[float]:
        """The pauses between the tries of a compile that fails through no fault of the plugin, in seconds."""
        return [
            doubled(self.retry_seconds, tries, self.longest_retry_seconds) for tries in range(MOST_COMPILE_TRIES - 1)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileFunctionConfiguration(CompilerConfiguration):
    compile_queue_url: _CompileQueueUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildConfiguration(LimitsConfiguration):
    """The variables of the functions that act for guilds."""

    compile_queue_url: _CompileQueueUrl
    chat_api_url: _ChatApiUrl
    chat_secret: _ChatSecret
    guild_fuel_per_minute: Annotated[
        _Count,
        Variable("fuel that all plugins of a guild may use in a minute", "The default is about 12 s of a CPU."),
    ] = GuildBudget().guild_fuel_per_minute
    guild_sends_per_minute: Annotated[_Count, Variable("messages that all plugins of a guild may send in a minute")] = (
        GuildBudget().guild_sends_per_minute
    )
    guild_log_bytes_per_minute: Annotated[_Count, Variable("bytes that all plugins of a guild may log in a minute")] = (
        GuildBudget().guild_log_bytes_per_minute
    )
    guild_state_bytes: Annotated[_Count, Variable("bytes of state that all plugins of a guild may have together")] = (
        GuildBudget().guild_state_bytes
    )

    def __post_init__(self) -> None:
        LimitsConfiguration.__post_init__(self)
        with _naming("CHAT_API_URL"):
            _check_url(self.chat_api_url)

    def budget_of(self, guild_id: UUID) -> GuildBudget:
        everywhere = GuildBudget(**{name: getattr(self, name) for name in _BUDGET_NAMES})
        return _overridden(everywhere, _BUDGET_NAMES, self.guild_limits.get(guild_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfiguration(GuildConfiguration):
    event_queue_url: _EventQueueUrl
    artifact_public_keys: _ArtifactPublicKeys
    settings_secret: _SettingsSecret | None = None
    unmarked_authors: Annotated[
        UnmarkedAuthors,
        Variable(
            "`person` or `refuse`: the treatment of a message whose `author.bot` is missing or null",
            "`person` runs plugins on it as on a person's message. `refuse` makes it a dead letter, so that a chat "
            "server that forgets the field cannot let bots answer each other. New deployments use `refuse`.",
        ),
    ] = UnmarkedAuthors.PERSON
    cache_dir: _CacheDir = _CACHE_DIR
    memory_cache_bytes: _MemoryCacheBytes = _MEMORY_CACHE_BYTES
    disk_cache_bytes: _DiskCacheBytes = _DISK_CACHE_BYTES
    retry_seconds: _RetrySeconds = Backoff().first_seconds
    longest_retry_seconds: _LongestRetrySeconds = Backoff().longest_seconds
    quarantine_failures_in_a_row: Annotated[
        _Positive, Variable("failures in a row after which a plugin is quarantined")
    ] = QuarantineRules().most_in_a_row
    quarantine_failures_in_an_hour: Annotated[
        _Positive, Variable("failures within an hour of the clock after which a plugin is quarantined as well")
    ] = QuarantineRules().most_in_an_hour
    quarantine_seconds: Annotated[
        _Seconds,
        Variable(
            "seconds until one run of a quarantined plugin is tried, the first time", "It doubles each time after that."
        ),
    ] = QuarantineRules().pause_seconds
    longest_quarantine_seconds: Annotated[
        _Seconds,
        Variable("seconds until one run of a quarantined plugin is tried, at the most", "The default is a day."),
    ] = QuarantineRules().longest_pause_seconds
    metrics_by_version: Annotated[
        bool,
        Variable(
            "`true` if some metrics have the dimension `version` besides, for a canary, else `false`",
            "`AWS_LAMBDA_FUNCTION_VERSION`, which Lambda sets, is its value.",
        ),
    ] = False

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
    settings_secret: _SettingsSecret
    test_run_function: Annotated[_Text, Variable("name or ARN of the function that does test runs")]
    jwt_issuer: _JwtIssuer
    jwt_audience: _JwtAudience
    jwt_algorithm: _JwtAlgorithm = None
    jwt_client_id: _JwtClientId
    jwt_scope: Annotated[
        _Text, Variable("scopes that the admin page asks the identity provider for, with spaces between them")
    ] = "openid profile"
    origin_secret: _OriginSecret = None
    operator_audience: Annotated[
        _Text | None,
        Variable(
            "audience of the operators' access tokens; it differs from `GUILDHOOK_JWT_AUDIENCE`",
            "Without it there are no operators, and `GUILDHOOK_OPERATOR_GROUP` must not be set either.",
        ),
    ] = None
    operator_claim: Annotated[
        _Text,
        Variable("claim of the operators' tokens, a list or a text of words", "It is a name at the top of the token."),
    ] = "groups"
    operator_group: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^\S+$")] | None,
        Variable("value that the claim contains if the token is an operator's", "It has no spaces."),
    ] = None
    guild_plugins: Annotated[_Positive, Variable("plugins that a guild may have")] = 50
    guild_wasm_bytes: Annotated[
        _Positive, Variable("bytes that all versions of a guild's plugins may have together")
    ] = 1024 * _MIB
    admin_requests_per_minute: Annotated[
        _Positive,
        Variable(
            "requests that an admin may make in a minute; some count as several",
            "A test run, a replay and an upload count as ten.",
        ),
    ] = 600
    subscribers_max_age_seconds: Annotated[
        _Seconds,
        Variable(
            "seconds that the chat server's list of subscribers may be old; 0 if it sends the messages of every guild",
            "The page tells admins how long a guild's first plugin may wait.",
        ),
    ] = 0

    @property
    def jwt_algorithms(self) -> Sequence[TokenAlgorithm]:
        """The algorithms of accepted tokens."""
        return (self.jwt_algorithm,) if self.jwt_algorithm else tuple(TokenAlgorithm)

    def __post_init__(self) -> None:
        GuildConfiguration.__post_init__(self)
        with _naming("JWT_ISSUER"):
            _check_url(self.jwt_issuer)
            url = urlsplit(self.jwt_issuer)
            if url.query or url.fragment or "@" in url.netloc:
                raise ValueError("an issuer has no user, no query and no fragment")
        if (self.operator_audience is None) != (self.operator_group is None):
            raise ValueError("GUILDHOOK_OPERATOR_AUDIENCE and GUILDHOOK_OPERATOR_GROUP: set both, or neither")
        if self.operator_audience == self.jwt_audience:
            raise ValueError("GUILDHOOK_OPERATOR_AUDIENCE: is GUILDHOOK_JWT_AUDIENCE; operators need an audience apart")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfiguration(Configuration):
    """The configuration of the function test_run, which has neither a database nor secrets."""

    artifact_bucket: _ArtifactBucket
    artifact_public_keys: _ArtifactPublicKeys
    cache_dir: _CacheDir = _CACHE_DIR
    memory_cache_bytes: _MemoryCacheBytes = _MEMORY_CACHE_BYTES
    disk_cache_bytes: _DiskCacheBytes = _DISK_CACHE_BYTES

    def __post_init__(self) -> None:
        _check_caches(self.memory_cache_bytes, self.disk_cache_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployStepsConfiguration(Configuration):
    published_function: Annotated[
        _Text | None, Variable("name or ARN of the Lambda function of which a deploy publishes versions")
    ] = None
    protected_cluster: Annotated[
        _Text | None, Variable("identifier of the Aurora cluster that the first deploy protects from deletion")
    ] = None
    log_groups: Annotated[
        _Text | None,
        Variable("names of the log groups of RDS, with commas between them, whose retention a deploy limits"),
    ] = None
    log_retention_days: Annotated[_Positive, Variable("days for which these log groups keep their lines")] = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightConfiguration(Configuration):
    """The configuration of the function preflight, which exists once outside of a network and once in that of the
    other functions.
    """

    jwt_issuer: _JwtIssuer
    jwt_audience: _JwtAudience
    jwt_client_id: _JwtClientId
    jwt_algorithm: _JwtAlgorithm = None
    jwt_keys_host: Annotated[
        _Text | None,
        Variable(
            "host of the issuer's keys, if it is not the issuer's own",
            "Its port follows a colon unless it is 443. The preflight fetches keys from no other host.",
        ),
    ] = None
    chat_api_url: _ChatApiUrl
    chat_secret: _ChatSecret
    database_secret: _DatabaseSecret = None
    origin_secret: _OriginSecret = None
    migration_secret: Annotated[
        _Text | None, Variable("name or ARN of the secret that `migrate` reads, if it has one of its own")
    ] = None
    domain_name: Annotated[_Text | None, Variable("name of the operator's own under which people use the page")] = None
    certificate: Annotated[
        _Text | None, Variable("ARN of the certificate for `GUILDHOOK_DOMAIN_NAME`, in AWS Certificate Manager")
    ] = None
    certificate_region: Annotated[
        _Text | None,
        Variable("region that the certificate must be in", "CloudFront takes certificates of us-east-1 alone."),
    ] = None
    reserved_concurrency: Annotated[
        _Text | None,
        Variable("concurrency that each of the functions reserves, with commas between them"),
    ] = None
    stack: Annotated[
        _Text | None, Variable("ARN of the stack, whose functions may have reserved concurrency already")
    ] = None
    availability_zones: Annotated[
        _Text | None,
        Variable(
            "names of the zones in which the stack creates its network, if it does, with commas between them",
        ),
    ] = None
    ipv6_network: Annotated[
        bool, Variable("`true` if the functions are in a network that reaches the internet by IPv6 alone")
    ] = False

    def __post_init__(self) -> None:
        with _naming("RESERVED_CONCURRENCY"):
            _ = self.reserved_in_all

    @property
    def reserved_in_all(self) -> int:
        """Raises ValueError."""
        numbers = [number for number in (self.reserved_concurrency or "").split(",") if number]
        if not all(number.isdecimal() for number in numbers):
            raise ValueError("not whole numbers with commas between them")
        return sum(map(int, numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureConfiguration(DatabaseConfiguration):
    artifact_bucket: _ArtifactBucket
    keep_runs_days: _KeepRunsDays = _KEEP_RUNS_DAYS
    log_days: Annotated[_Positive, Variable("days after which the functions' logs are deleted, for reports")] = 30
    backup_days: Annotated[
        _Count | None,
        Variable("days after which backups of the database are deleted, for reports", "The default is: not known."),
    ] = None


CONFIGURATIONS: Final[Mapping[str, type[Configuration]]] = {
    "on_message": WorkerConfiguration,
    "compile_plugin": CompileFunctionConfiguration,
    "sweep": SweepConfiguration,
    "migrate": MigrateConfiguration,
    "admin_api": AdminConfiguration,
    "test_run": TrialConfiguration,
    "deploy_steps": DeployStepsConfiguration,
    "preflight": PreflightConfiguration,
    "erase": ErasureConfiguration,
}
"""By function."""

_LIMIT_NAMES: Final = frozenset(limit.name for limit in fields(Limits))
_BUDGET_NAMES: Final = frozenset(part.name for part in fields(GuildBudget))

ConfigurationType = TypeVar("ConfigurationType", bound=Configuration)
Overridden = TypeVar("Overridden", Limits, GuildBudget)


def load_configuration(kind: type[ConfigurationType], environment: Mapping[str, str]) -> ConfigurationType:
    """Raises ConfigurationError that names every variable that is missing or malformed, and shows no secret."""
    # sam local sets a variable to an empty text where the template leaves it out.
    in_sam_local = environment.get("AWS_SAM_LOCAL") == "true"
    given = {
        name[len(_PREFIX) :]: value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and (value or not in_sam_local)
    }
    values: dict[str, Any] = {"aws": AwsAccess(environment)}
    problems: list[str] = []
    for described in variables(kind):
        try:
            with _naming(described.field.name.upper()):
                values |= _read(described, given)
        except ValueError as error:
            problems.append(f"{error}; wants: {described.variable.value}")
    if not problems:
        try:
            return kind(**values)
        except ValueError as error:
            problems.append(str(error))
    raise ConfigurationError(f"wrong environment: {' | '.join(problems)}")


@dataclass(frozen=True, slots=True)
class DescribedField:
    """A field of a configuration that a variable sets."""

    field: Field[Any]
    type: Any
    variable: Variable

    @property
    def name(self) -> str:
        """The variable's whole name; for the limits, the beginning of the names."""
        return f"{_PREFIX}{self.field.name.upper()}"

    @property
    def default(self) -> Any:
        """MISSING if the variable must be set."""
        return self.field.default if self.field.default_factory is MISSING else self.field.default_factory()


def variables(kind: type[Configuration]) -> list[DescribedField]:
    """The fields of a configuration that have a variable, in their order."""
    types = get_type_hints(kind, include_extras=True)
    found = [(field, types[field.name], _description(types[field.name])) for field in fields(kind)]
    return [DescribedField(field, hint, variable) for field, hint, variable in found if variable]


def _description(hint: Any) -> Variable | None:
    """The description that an annotation has, in a part of it or as a whole."""
    if isinstance(hint, Variable):
        return hint
    return next(filter(None, map(_description, get_args(hint))), None)


def _read(described: DescribedField, given: Mapping[str, str]) -> dict[str, Any]:
    """The value by its field's name, if the variable is set. Raises ValueError."""
    name = described.field.name
    if name == "limits":
        return {name: _limits(given)}
    value = given.get(name.upper())
    if value is None:
        if described.default is MISSING:
            raise ValueError("missing")
        return {}
    if name == "guild_limits":
        limits = msgspec.json.decode(value, type=dict[str, dict[str, int]])
        return {name: {read_uuid(guild_id): overrides for guild_id, overrides in limits.items()}}
    if name == "cache_dir":
        return {name: Path(value)}
    if name == "artifact_public_keys":
        return {name: read_public_keys(value)}
    return {name: _converted(value, described.type)}


def _converted(value: str, kind: Any) -> Any:
    """Raises ValueError, which shows a number that is out of range and no other value: it may be a secret."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        is_number = value.removeprefix("-").isdecimal() and len(value) <= _NUMBER_CHARS
        # msgspec quotes a value that is no member of an enum.
        reason = str(error).partition(" '")[0]
        raise ValueError(f"{value}: {reason}" if is_number else reason) from None


def _limits(given: Mapping[str, str]) -> Limits:
    limits = Limits()
    for variable, value in given.items():
        if variable.startswith(_LIMITS):
            with _naming(variable):
                name = variable[len(_LIMITS) :].lower()
                _check_names([name], _LIMIT_NAMES)
                limits = replace(limits, **{name: _converted(value, int)})
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
