import json
import re
from dataclasses import fields
from uuid import uuid4

import pytest

from guildhook.aws.secrets import Secret
from guildhook.configuration import (
    CONFIGURATIONS,
    AdminConfiguration,
    CompileFunctionConfiguration,
    CompilerConfiguration,
    DeployStepsConfiguration,
    PreflightConfiguration,
    SweepConfiguration,
    TrialConfiguration,
    WorkerConfiguration,
    load_configuration,
    variables,
)
from guildhook.errors import ConfigurationError
from guildhook.events.backoff import Backoff
from guildhook.events.budgets import GuildBudget
from guildhook.events.queue_events import UnmarkedAuthors
from guildhook.model import QuarantineRules, TokenAlgorithm
from guildhook.modules import write_public_keys
from guildhook.sandbox import Limits
from guildhook.store.database import Database, IamTokens
from project import ROOT

REQUIRED = {
    "GUILDHOOK_DATABASE_URL": "postgresql://someone:s3cret@db:5432/chat",
    "GUILDHOOK_CHAT_API_URL": "https://chat.example",
    "GUILDHOOK_CHAT_SECRET": "chat",
    "GUILDHOOK_ARTIFACT_BUCKET": "artifacts",
    "GUILDHOOK_COMPILE_QUEUE_URL": "https://sqs.example/compile",
    "GUILDHOOK_EVENT_QUEUE_URL": "https://sqs.example/events",
    "GUILDHOOK_ARTIFACT_PUBLIC_KEYS": write_public_keys([b"k" * 32, b"l" * 32]),
}
REQUIRED_BY_TRIALS = {"GUILDHOOK_ARTIFACT_BUCKET", "GUILDHOOK_ARTIFACT_PUBLIC_KEYS"}
REQUIRED_BY_COMPILERS = {"GUILDHOOK_SIGNING_SECRET": "signing"}
REQUIRED_BY_ADMIN = {
    "GUILDHOOK_SETTINGS_SECRET": "settings",
    "GUILDHOOK_TEST_RUN_FUNCTION": "test-run",
    "GUILDHOOK_JWT_ISSUER": "https://login.example/pool",
    "GUILDHOOK_JWT_AUDIENCE": "guildhook",
    "GUILDHOOK_JWT_CLIENT_ID": "page",
}


@pytest.fixture
def environment():
    return REQUIRED | REQUIRED_BY_ADMIN | REQUIRED_BY_COMPILERS


def test_the_environment_becomes_a_typed_configuration(environment):
    environment["GUILDHOOK_LIMITS__FUEL"] = "5000"
    environment["GUILDHOOK_MEMORY_CACHE_BYTES"] = "1000"
    configuration = load_configuration(WorkerConfiguration, environment)
    assert configuration.limits == Limits(fuel=5000)
    assert configuration.memory_cache_bytes == 1000
    assert configuration.database_url == REQUIRED["GUILDHOOK_DATABASE_URL"]
    assert "s3cret" not in repr(configuration)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_named_in_one_line(environment, name):
    environment.pop(name)
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(WorkerConfiguration, environment)
    (wants,) = {each.variable.value for each in variables(WorkerConfiguration) if each.name == name}
    assert str(raised.value) == f"wrong environment: {name}: missing; wants: {wants}"
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("function", CONFIGURATIONS)
def test_every_field_describes_its_variable(function):
    kind = CONFIGURATIONS[function]
    assert [each.field.name for each in variables(kind)] == [
        field.name for field in fields(kind) if field.name != "aws"
    ]


def test_a_variable_has_one_description():
    described = {(each.name, each.variable) for kind in CONFIGURATIONS.values() for each in variables(kind)}
    assert len(described) == len({name for name, _ in described})


def test_there_is_a_configuration_for_each_function():
    assert set(CONFIGURATIONS) == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUILDHOOK_DATABASE_URL", "postgresql://someone:s3cret@[db/chat"),
        ("GUILDHOOK_DATABASE_URL", "s3cret"),
        ("GUILDHOOK_DATABASE_URL", "postgresql://someone:s3cret@db..example/chat"),
        ("GUILDHOOK_CHAT_API_URL", "ftp://s3cret@chat"),
        ("GUILDHOOK_LIMITS__FUEL", "much"),
        ("GUILDHOOK_LIMITS__FUEL", "-1"),
        ("GUILDHOOK_LIMITS__FULE", "1"),
        ("GUILDHOOK_ARTIFACT_BUCKET", ""),
        ("GUILDHOOK_MEMORY_CACHE_BYTES", "0"),
        ("GUILDHOOK_DISK_CACHE_BYTES", "67108863"),
        ("GUILDHOOK_RETRY_SECONDS", "-1"),
        ("GUILDHOOK_DATABASE_SECRET", ""),
        ("GUILDHOOK_DATABASE_IAM", "s3cret"),
        ("GUILDHOOK_CHAT_SECRET", ""),
        ("GUILDHOOK_QUARANTINE_FAILURES_IN_A_ROW", "0"),
        ("GUILDHOOK_UNMARKED_AUTHORS", "s3cret"),
        ("GUILDHOOK_UNMARKED_AUTHORS", ""),
        ("GUILDHOOK_GUILD_LIMITS", "{s3cret"),
        ("GUILDHOOK_GUILD_LIMITS", '{"everyone": {}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fuel": "s3cret"}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fule": 1}}'),
        ("GUILDHOOK_GUILD_LIMITS", '{"6a1d0000-0000-4000-8000-000000000001": {"fuel": -1}}'),
    ],
)
def test_a_malformed_variable_is_named_and_its_value_is_not_shown(environment, name, value):
    environment[name] = value
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(WorkerConfiguration, environment)
    assert str(raised.value).startswith(f"wrong environment: {name}: ")
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    sorted((REQUIRED | REQUIRED_BY_ADMIN).keys() - {"GUILDHOOK_EVENT_QUEUE_URL", "GUILDHOOK_ARTIFACT_PUBLIC_KEYS"}),
)
def test_the_admin_api_does_not_start_without_a_needed_variable(environment, name):
    environment.pop(name)
    with pytest.raises(ConfigurationError, match=f"wrong environment: {name}: missing; wants: "):
        load_configuration(AdminConfiguration, environment)


def test_without_a_variable_tokens_may_have_any_algorithm_and_with_it_exactly_that_one(environment):
    assert load_configuration(AdminConfiguration, environment).jwt_algorithms == ("RS256", "ES256", "EdDSA")
    for algorithm in TokenAlgorithm:
        environment["GUILDHOOK_JWT_ALGORITHM"] = algorithm.value
        assert load_configuration(AdminConfiguration, environment).jwt_algorithms == (algorithm,)
    for other in ("", "none", "RS512", "eddsa", "RS256,EdDSA"):
        environment["GUILDHOOK_JWT_ALGORITHM"] = other
        with pytest.raises(ConfigurationError, match="GUILDHOOK_JWT_ALGORITHM"):
            load_configuration(AdminConfiguration, environment)


@pytest.mark.parametrize(
    "issuer", ["login.example", "ftp://login.example", "https://", "https://[", "https://me:s3cret@login.example",
               "https://login.example?s3cret", "https://login.example/#s3cret"]
)  # fmt: skip
def test_an_issuer_is_a_plain_url(environment, issuer):
    environment["GUILDHOOK_JWT_ISSUER"] = issuer
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(AdminConfiguration, environment)
    assert str(raised.value).startswith("wrong environment: GUILDHOOK_JWT_ISSUER: ")
    assert "s3cret" not in str(raised.value)


def test_a_test_run_has_neither_database_nor_secrets(environment):
    for name in REQUIRED_BY_ADMIN.keys() | REQUIRED.keys() - REQUIRED_BY_TRIALS:
        environment.pop(name)
    assert load_configuration(TrialConfiguration, environment).artifact_bucket == "artifacts"
    environment["GUILDHOOK_DISK_CACHE_BYTES"] = "67108864"
    with pytest.raises(ConfigurationError, match="GUILDHOOK_DISK_CACHE_BYTES: 67108864 is less than"):
        load_configuration(TrialConfiguration, environment)


def test_a_preflight_adds_up_the_reserved_concurrency(environment):
    assert load_configuration(PreflightConfiguration, environment).reserved_in_all == 0
    environment["GUILDHOOK_RESERVED_CONCURRENCY"] = "10,7,2,1,5,10"
    assert load_configuration(PreflightConfiguration, environment).reserved_in_all == 35
    environment["GUILDHOOK_RESERVED_CONCURRENCY"] = "10,s3cret"
    with pytest.raises(ConfigurationError, match="wrong environment: GUILDHOOK_RESERVED_CONCURRENCY: ") as raised:
        load_configuration(PreflightConfiguration, environment)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("kind", [WorkerConfiguration, TrialConfiguration])
def test_public_keys_are_read_from_base64(environment, kind):
    keys = frozenset({b"k" * 32, b"l" * 32})
    assert load_configuration(kind, environment).artifact_public_keys == keys


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "'' has 0 bytes; a public key has 32"),
        ("no base64!", "'no base64!' is not base64"),
        (write_public_keys([b"k" * 31]), "has 31 bytes; a public key has 32"),
        (write_public_keys([b"k" * 32]) + ",", "'' has 0 bytes; a public key has 32"),
    ],
)
def test_a_malformed_public_key_is_shown(environment, text, fault):
    environment["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"] = text
    with pytest.raises(ConfigurationError, match=re.escape(fault)) as raised:
        load_configuration(WorkerConfiguration, environment)
    assert str(raised.value).startswith("wrong environment: GUILDHOOK_ARTIFACT_PUBLIC_KEYS: ")


def test_only_the_compile_function_is_told_of_the_signing_key():
    readers = [
        function
        for function, kind in CONFIGURATIONS.items()
        if "GUILDHOOK_SIGNING_SECRET" in {variable.name for variable in variables(kind)}
    ]
    assert readers == ["compile_plugin"]


def test_messages_are_handled_without_a_key_of_settings(environment):
    environment.pop("GUILDHOOK_SETTINGS_SECRET")
    assert load_configuration(WorkerConfiguration, environment).settings_secret is None


def test_a_guild_can_have_limits_of_its_own(environment):
    guild, other = uuid4(), uuid4()
    environment["GUILDHOOK_LIMITS__SENDS"] = "7"
    environment["GUILDHOOK_GUILD_LIMITS"] = json.dumps({str(guild): {"fuel": 5, "deadline_ms": 900}})
    configuration = load_configuration(WorkerConfiguration, environment)
    assert configuration.limits_of(guild) == Limits(sends=7, fuel=5, deadline_ms=900)
    assert configuration.limits_of(other) == Limits(sends=7)


@pytest.mark.parametrize("spelling", ["{{{}}}", "urn:uuid:{}"])
def test_a_guild_with_limits_of_its_own_is_named_in_every_spelling(environment, spelling):
    guild = uuid4()
    environment["GUILDHOOK_GUILD_LIMITS"] = json.dumps({spelling.format(str(guild).upper()): {"fuel": 5}})
    assert load_configuration(WorkerConfiguration, environment).limits_of(guild) == Limits(fuel=5)


def test_unmarked_authors_are_persons_unless_the_operator_refuses_their_messages(environment):
    assert load_configuration(WorkerConfiguration, environment).unmarked_authors is UnmarkedAuthors.PERSON
    environment["GUILDHOOK_UNMARKED_AUTHORS"] = "refuse"
    assert load_configuration(WorkerConfiguration, environment).unmarked_authors is UnmarkedAuthors.REFUSE
    environment["GUILDHOOK_UNMARKED_AUTHORS"] = "ignore"
    with pytest.raises(ConfigurationError, match="Invalid enum value; wants: `person` or `refuse`"):
        load_configuration(WorkerConfiguration, environment)


def test_a_guild_can_have_a_budget_of_its_own(environment):
    guild, other = uuid4(), uuid4()
    environment["GUILDHOOK_GUILD_SENDS_PER_MINUTE"] = "7"
    environment["GUILDHOOK_GUILD_LIMITS"] = json.dumps({str(guild): {"fuel": 5, "guild_fuel_per_minute": 9}})
    configuration = load_configuration(WorkerConfiguration, environment)
    assert configuration.budget_of(guild) == GuildBudget(guild_fuel_per_minute=9, guild_sends_per_minute=7)
    assert configuration.budget_of(other) == GuildBudget(guild_sends_per_minute=7)
    assert configuration.limits_of(guild) == Limits(fuel=5)


def test_waits_and_quarantine_are_configured(environment):
    for name, value in [("RETRY_SECONDS", 1), ("LONGEST_RETRY_SECONDS", 2), ("QUARANTINE_FAILURES_IN_A_ROW", 3),
                        ("QUARANTINE_FAILURES_IN_AN_HOUR", 4), ("QUARANTINE_SECONDS", 5),
                        ("LONGEST_QUARANTINE_SECONDS", 6)]:  # fmt: skip
        environment[f"GUILDHOOK_{name}"] = str(value)
    configuration = load_configuration(WorkerConfiguration, environment)
    assert configuration.backoff == Backoff(first_seconds=1, longest_seconds=2)
    assert configuration.quarantine == QuarantineRules(
        most_in_a_row=3, most_in_an_hour=4, pause_seconds=5, longest_pause_seconds=6
    )


def test_runs_are_kept_for_as_long_as_their_event_can_come_back(environment):
    assert load_configuration(SweepConfiguration, environment).keep_runs_days == 30
    environment["GUILDHOOK_KEEP_RUNS_DAYS"] = "28"
    with pytest.raises(ConfigurationError, match="GUILDHOOK_KEEP_RUNS_DAYS: 28: Expected `int` >= 29; wants: days "):
        load_configuration(SweepConfiguration, environment)


def test_every_wrong_variable_is_named_at_once(environment):
    environment.pop("GUILDHOOK_CHAT_SECRET")
    environment["GUILDHOOK_LIMITS__FUEL"] = "much"
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(WorkerConfiguration, environment)
    assert str(raised.value) == (
        "wrong environment: GUILDHOOK_LIMITS__FUEL: Expected `int`, got `str`; wants: a whole number from 0 on, under "
        "the name of a limit that docs/reference/configuration.md lists | GUILDHOOK_CHAT_SECRET: missing; wants: name "
        "or ARN of a secret in Secrets Manager, JSON with `chat_api_token`, the service token"
    )


def test_the_databases_password_is_of_one_kind(environment):
    url = "postgresql://ada@db/chat?sslmode=require"
    environment["GUILDHOOK_DATABASE_URL"] = url
    assert load_configuration(SweepConfiguration, environment).database == Database(url)
    environment["GUILDHOOK_DATABASE_IAM"] = "true"
    assert isinstance(load_configuration(SweepConfiguration, environment).database.credentials, IamTokens)
    environment["GUILDHOOK_DATABASE_SECRET"] = "database"
    with pytest.raises(ConfigurationError, match="DATABASE_IAM: is true, and GUILDHOOK_DATABASE_SECRET is set"):
        load_configuration(SweepConfiguration, environment)
    environment["GUILDHOOK_DATABASE_IAM"] = "false"
    assert isinstance(load_configuration(SweepConfiguration, environment).database.credentials, Secret)


@pytest.mark.parametrize(("name", "value"), [("SECRET", "database"), ("IAM", "true")])
def test_a_password_in_the_url_beside_another_is_refused(environment, name, value):
    environment[f"GUILDHOOK_DATABASE_{name}"] = value
    environment["GUILDHOOK_DATABASE_URL"] = f"{REQUIRED['GUILDHOOK_DATABASE_URL']}?sslmode=require"
    with pytest.raises(ConfigurationError, match="GUILDHOOK_DATABASE_URL: has a password, which is") as raised:
        load_configuration(SweepConfiguration, environment)
    assert "s3cret" not in str(raised.value)


def test_an_iam_token_goes_over_tls_alone(environment):
    environment["GUILDHOOK_DATABASE_URL"] = "postgresql://ada@db/chat"
    environment["GUILDHOOK_DATABASE_IAM"] = "true"
    with pytest.raises(ConfigurationError, match="GUILDHOOK_DATABASE_URL: an IAM token needs TLS: sslmode=require or"):
        load_configuration(SweepConfiguration, environment)


def test_more_memory_than_disk_is_refused(environment):
    environment["GUILDHOOK_MEMORY_CACHE_BYTES"] = "500000000"
    with pytest.raises(ConfigurationError, match=r"_DISK_CACHE_BYTES: 402653184 is less than .*, 500000000"):
        load_configuration(WorkerConfiguration, environment)
    with pytest.raises(ConfigurationError, match=r"_DISK_CACHE_BYTES: 402653184 is less than .*, 500000000"):
        load_configuration(TrialConfiguration, environment)


def test_trials_need_neither_a_database_nor_a_secret(environment):
    for name in REQUIRED:
        if name not in REQUIRED_BY_TRIALS:
            environment.pop(name)
    assert load_configuration(TrialConfiguration, environment).artifact_bucket == "artifacts"


@pytest.mark.parametrize("kind", [CompilerConfiguration, CompileFunctionConfiguration])
def test_configurations_of_compilers_need_no_chat_server(environment, kind):
    environment.pop("GUILDHOOK_CHAT_API_URL")
    environment.pop("GUILDHOOK_CHAT_SECRET")
    assert load_configuration(kind, environment).artifact_bucket == "artifacts"


def test_the_largest_limits_combine_those_of_all_guilds(environment):
    guilds = {str(uuid4()): {"fuel": 5, "deadline_ms": 900}, str(uuid4()): {"fuel": 10**9}}
    environment["GUILDHOOK_GUILD_LIMITS"] = json.dumps(guilds)
    assert load_configuration(CompilerConfiguration, environment).largest_limits() == Limits(
        fuel=10**9, deadline_ms=900
    )


def test_operators_have_an_audience_of_their_own(environment):
    operators = {"GUILDHOOK_OPERATOR_AUDIENCE": "operators", "GUILDHOOK_OPERATOR_GROUP": "staff"}
    configuration = load_configuration(AdminConfiguration, environment | operators)
    assert (configuration.operator_audience, configuration.operator_claim) == ("operators", "groups")
    for wrong in (
        {**operators, "GUILDHOOK_OPERATOR_AUDIENCE": environment["GUILDHOOK_JWT_AUDIENCE"]},
        {"GUILDHOOK_OPERATOR_AUDIENCE": "operators"},
        {"GUILDHOOK_OPERATOR_GROUP": "staff"},
        {**operators, "GUILDHOOK_OPERATOR_GROUP": "two words"},
    ):
        with pytest.raises(ConfigurationError, match="GUILDHOOK_OPERATOR_"):
            load_configuration(AdminConfiguration, environment | wrong)


def test_sam_local_leaves_a_variable_out_by_an_empty_text():
    environment = {"GUILDHOOK_PROTECTED_CLUSTER": "", "GUILDHOOK_LOG_RETENTION_DAYS": ""}
    configuration = load_configuration(DeployStepsConfiguration, {**environment, "AWS_SAM_LOCAL": "true"})
    assert (configuration.protected_cluster, configuration.log_retention_days) == (None, 30)
    with pytest.raises(ConfigurationError, match=r"PROTECTED_CLUSTER.*LOG_RETENTION_DAYS"):
        load_configuration(DeployStepsConfiguration, environment)
