"""Tests the rules that template.yaml must keep."""

import json
import re
import subprocess
from dataclasses import fields
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from guildhook.admin.api import ENDPOINTS
from guildhook.admin.endpoints import OF_PEOPLE, Access
from guildhook.aws.functions import ANSWER_SECONDS, BODY_SECONDS, CONNECT_SECONDS
from guildhook.configuration import MOST_COMPILE_TRIES, SweepConfiguration, WorkerConfiguration
from guildhook.events.backoff import Backoff
from guildhook.events.budgets import GuildBudget
from guildhook.events.queue_events import UnmarkedAuthors
from guildhook.model import QuarantineRules, TokenAlgorithm
from guildhook.sandbox.compiling.child_process import CompileLimits
from infra.templates import (
    BY_PASSWORD,
    BY_TOKEN,
    CHAT,
    DEPLOYMENTS,
    OWNER_APART,
    REGION,
    TAKEN_UP,
    broken_rules,
    deployment,
    read_template,
    referred,
    resolve,
    transformed,
)
from infra.test_permissions import USERS
from project import ROOT

PREFLIGHTS = {"AccountPreflight", "NetworkPreflight"}
"""Two functions of one folder."""
OF_THE_API = {"AdminApi", "AdminPage", "OperatorApi"}
"""Three functions of one folder."""
FUNCTIONS = {"OnMessage", "CompilePlugin", "Migrate", "Sweep", "TestRun", "Erase", *OF_THE_API, *PREFLIGHTS}
WITH_DATABASE = FUNCTIONS - {"TestRun", *PREFLIGHTS}
IN_THE_NETWORK = WITH_DATABASE | {"NetworkPreflight"}
NOTHING_TO_DELETE = {
    "SigningPublicKeys",
    "DatabaseProtected",
    "DatabaseLogsLimited",
    "AccountPreflightPassed",
    "NetworkPreflightPassed",
}
"""Custom resources that only read or set something."""
QUEUES = {"Events", "DeadLetters", "Compiles", "DeadCompiles"}
TEMPLATES = ["template.yaml", *(f"infra/{path.name}" for path in sorted((ROOT / "infra").glob("*.yaml")))]

SOURCES = [
    ("MessageCreated", "OnMessage", "Events", "DeadLetters", 10),
    ("CompilePluginAsked", "CompilePlugin", "Compiles", "DeadCompiles", 1),
]
"""Event source mapping, function, queue, dead-letter queue, batch size."""


@pytest.fixture(params=DEPLOYMENTS)
def stack(request):
    return deployment(request.param)


@pytest.fixture(params=[name for name in DEPLOYMENTS if name != "taken up"])
def maker(request):
    """A stack that makes a bucket."""
    return deployment(request.param)


def words(value: object) -> set[str]:
    """The names in a resolved value that may be those of resources."""
    return set(re.findall(r"\w+", str(value)))


@pytest.mark.parametrize(("source", "function", "queue", "dead_letters", "batch_size"), SOURCES)
def test_a_failed_record_comes_back_alone_and_ends_as_a_dead_letter(
    stack, source, function, queue, dead_letters, batch_size
):
    assert stack[source]["EventSourceArn"] == f"{queue}.Arn"
    assert stack[source]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert stack[source]["BatchSize"] == batch_size
    # A batch that is still being handled must not be handed out again.
    assert stack[queue]["VisibilityTimeout"] >= 6 * stack[function]["Timeout"]
    assert stack[queue]["RedrivePolicy"]["deadLetterTargetArn"] == f"{dead_letters}.Arn"
    assert stack[dead_letters]["MessageRetentionPeriod"] >= stack[queue]["MessageRetentionPeriod"]


def test_as_much_concurrency_is_reserved_as_the_queue_and_others_may_use(stack):
    events, asked = (stack[source]["ScalingConfig"]["MaximumConcurrency"] for source, *_ in SOURCES)
    assert stack["OnMessage"]["ReservedConcurrentExecutions"] == events
    # CloudFormation and the schedule invoke this function too.
    assert stack["CompilePlugin"]["ReservedConcurrentExecutions"] == int(asked) + 2


def test_every_number_of_compiles_has_its_reserve():
    template = read_template()
    reserved = template["Mappings"]["ReservedForCompiles"]["Concurrency"]
    allowed = template["Parameters"]["MaximumCompiles"]["AllowedValues"]
    assert reserved == {number: int(number) + 2 for number in allowed}


def test_the_functions_are_those_of_the_folder(stack):
    assert set(stack.of_type("AWS::Lambda::Function")) - {"DeploySteps"} == FUNCTIONS
    assert {path.parent.name for path in (ROOT / "functions").glob("*/app.py")} == {
        "preflight" if name in PREFLIGHTS else re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        for name in {*FUNCTIONS, "DeploySteps"} - {"AdminPage", "OperatorApi"}
    }


def test_the_functions_of_the_api_have_one_code():
    declared = read_template()["Resources"]
    assert {declared[name]["Properties"]["CodeUri"] for name in OF_THE_API} == {"functions/admin_api"}


def test_every_function_keeps_its_log_for_a_time_and_in_a_place_of_its_own(stack):
    for name in stack.of_type("AWS::Lambda::Function"):
        assert stack[name]["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"{name}Logs"}
    for name, properties in stack.of_type("AWS::Logs::LogGroup").items():
        assert properties["RetentionInDays"] == 30, name


def test_everything_runs_on_the_same_python_and_architecture(stack):
    architecture = stack["OnMessage"]["Architectures"]
    for name in stack.of_type("AWS::Lambda::Function"):
        assert (stack[name]["Runtime"], stack[name]["Architectures"]) == ("python3.13", architecture)
        for layer in stack[name]["Layers"]:
            assert set(architecture) <= set(stack[layer]["CompatibleArchitectures"])
            assert stack[layer]["CompatibleRuntimes"] == ["python3.13"]


def test_the_database_is_up_to_date_before_anything_that_needs_it_changes(stack):
    def waits_for(name):
        """The resources that CloudFormation creates or updates before the resource `name`."""
        after = stack.resources[name].get("DependsOn", [])
        after = [after] if isinstance(after, str) else after
        return set(after).union(*(waits_for(each) for each in after))

    for name in WITH_DATABASE - {"Migrate"}:
        assert "Migrated" in waits_for(name)
    assert "Recompiled" in waits_for("OnMessage")
    assert stack["Migrated"]["ServiceToken"] == "Migrate.Arn"
    assert stack["Recompiled"]["ServiceToken"] == "CompilePlugin.Arn"
    assert stack["SigningPublicKeys"]["ServiceToken"] == "CompilePlugin.Arn"
    # Functions get the public keys before they change, and all artifacts are signed before messages need it.
    for name in ("OnMessage", "TestRun"):
        keys = stack[name]["Environment"]["Variables"]["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"]
        assert keys == stack["Recompiled"]["PublicKeys"] == "SigningPublicKeys.PublicKeys"
    # Another library or another wasmtime makes CloudFormation send the request again.
    assert stack["Migrated"]["Layers"] == stack["Recompiled"]["Layers"] == stack["OnMessage"]["Layers"]
    # Another database, or another role in it, does so too.
    variables = stack["Migrate"]["Environment"]["Variables"]
    assert variables["GUILDHOOK_DATABASE_URL"] in stack["Migrated"]["Database"]
    assert int(stack["Migrated"]["ServiceTimeout"]) > stack["Migrate"]["Timeout"]
    assert int(stack["Recompiled"]["ServiceTimeout"]) > stack["CompilePlugin"]["Timeout"]


def test_the_sweep_requeues_a_message_only_after_it_has_left_queue_and_function(stack):
    """A message that failed waits for the longest time, and a function that was killed for the queue's own timeout."""
    waits = Backoff().longest_seconds + stack["Events"]["VisibilityTimeout"] + stack["OnMessage"]["Timeout"]
    (requeue_after,) = (s.default for s in fields(SweepConfiguration) if s.name == "requeue_after_seconds")
    assert waits < requeue_after


def test_the_parameters_defaults_are_the_librarys():
    defaults = {name: parameter.get("Default") for name, parameter in read_template()["Parameters"].items()}
    assert defaults["GuildFuelPerMinute"] == GuildBudget().guild_fuel_per_minute
    assert defaults["GuildSendsPerMinute"] == GuildBudget().guild_sends_per_minute
    assert defaults["QuarantineFailuresInARow"] == QuarantineRules().most_in_a_row
    assert defaults["QuarantineFailuresInAnHour"] == QuarantineRules().most_in_an_hour


def test_a_stack_of_an_earlier_version_keeps_its_treatment_of_unmarked_authors_and_a_new_one_is_deployed_with_another():
    parameter = read_template()["Parameters"]["UnmarkedAuthors"]
    assert parameter["AllowedValues"] == list(UnmarkedAuthors)
    # CloudFormation gives an existing stack the default of a new parameter.
    assert parameter["Default"] == UnmarkedAuthors.PERSON
    for page in ("README.md", "docs/deployment.md"):
        first_deploy = (ROOT / page).read_text().partition("sam deploy --parameter-overrides ChatApiUrl=")[2]
        assert f"UnmarkedAuthors={UnmarkedAuthors.REFUSE}" in first_deploy.partition("```")[0]


def test_the_compiler_has_the_time_and_memory_that_it_may_use(stack):
    limits = CompileLimits()
    assert stack["CompilePlugin"]["Timeout"] > limits.timeout_seconds + 60
    assert limits.timeout_seconds > 2 * limits.cpu_seconds
    assert stack["Compiles"]["RedrivePolicy"]["maxReceiveCount"] == MOST_COMPILE_TRIES
    assert stack["CompilePlugin"]["MemorySize"] * 1024**2 > 2 * limits.memory_bytes


def test_an_upload_asks_for_its_compiling(maker):
    (notice,) = maker["Artifacts"]["NotificationConfiguration"]["QueueConfigurations"]
    assert notice["Queue"] == "Compiles.Arn"
    assert notice["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    assert maker.resources["Artifacts"]["DependsOn"] == "QueuePolicy"


def test_the_bucket_is_closed_and_encrypted_and_keeps_no_uploads(maker):
    assert set(maker["Artifacts"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert maker["Artifacts"]["BucketEncryption"]
    rules = maker["Artifacts"]["LifecycleConfiguration"]["Rules"]
    assert {"Id": "uploads", "Status": "Enabled", "Prefix": "uploads/", "ExpirationInDays": 1} in rules
    assert {"Id": "exports", "Status": "Enabled", "Prefix": "exports/", "ExpirationInDays": 7} in rules


@pytest.mark.parametrize(("policy", "resources"), [("ArtifactsPolicy", {"Artifacts"}), ("QueuePolicy", QUEUES)])
def test_buckets_and_queues_deny_requests_without_tls(stack, policy, resources):
    (denied,) = [s for s in stack[policy]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert (denied["Principal"], denied["Condition"]) == ("*", {"Bool": {"aws:SecureTransport": False}})
    bucket = f"arn:aws:s3:::{TAKEN_UP['ExistingBucket']}"
    made = {resource.replace(bucket, "Artifacts.Arn").split(".")[0] for resource in denied["Resource"]}
    assert made == resources


def senders(name):
    """The allowing statements of the queues' policy but S3's, by their Sid."""
    statements = deployment(name)["QueuePolicy"]["PolicyDocument"]["Statement"]
    allowed = [each for each in statements if each["Effect"] == "Allow" and each["Sid"] != "NoticesOfUploads"]
    assert {(each["Action"], each["Resource"]) for each in allowed} <= {("sqs:SendMessage", "Events.Arn")}
    return {each["Sid"]: (each["Principal"], each.get("Condition")) for each in allowed}


def test_nobody_else_may_send_events_unless_a_parameter_names_them():
    for name in DEPLOYMENTS:
        if name != "sent to by others":
            assert senders(name) == {}
    given = DEPLOYMENTS["sent to by others"]
    assert senders("sent to by others") == {
        "EventsOfTopics": (
            {"Service": "sns.amazonaws.com"},
            {"ArnEquals": {"aws:SourceArn": given["SenderTopicArns"].split(",")}},
        ),
        "EventsOfRules": (
            {"Service": "events.amazonaws.com"},
            {"ArnEquals": {"aws:SourceArn": given["SenderRuleArns"].split(",")}},
        ),
        "EventsOfOtherAccounts": ({"AWS": given["SenderPrincipalArns"].split(",")}, None),
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_is_described_and_constrained(name):
    for parameter, declared in read_template(name).get("Parameters", {}).items():
        assert declared["Description"], parameter
        of_aws = declared["Type"].startswith(("AWS::", "List<AWS::"))
        assert of_aws or {"AllowedPattern", "AllowedValues", "MinValue"} & set(declared), parameter
        assert "AllowedPattern" not in declared or declared["ConstraintDescription"], parameter


def test_every_variable_of_the_functions_is_documented(stack):
    pages = ("configuration.md", "reference/configuration.md")
    documented = "".join((ROOT / "docs" / page).read_text() for page in pages)
    for name in stack.of_type("AWS::Lambda::Function"):
        for variable in stack[name]["Environment"]["Variables"]:
            assert f"| `{variable}` |" in documented, variable


def test_every_parameter_is_documented_with_its_default():
    text = (ROOT / "docs" / "deployment.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", text, re.MULTILINE))
    declared = read_template()["Parameters"]
    assert documented == {name: str(each.get("Default", "needed")) or "empty" for name, each in declared.items()}


def test_the_concurrency_that_an_account_needs_is_documented(stack):
    """Lambda keeps 100 units of concurrency unreserved."""
    reserved = sum(stack[name].get("ReservedConcurrentExecutions", 0) for name in FUNCTIONS)
    text = " ".join((ROOT / "docs" / "deployment.md").read_text().split())
    (documented,) = re.findall(
        r"ConcurrentExecutions` prints less than (\d+)\. With `JwtAlgorithm=ES256` or `EdDSA` it is (\d+)\.", text
    )
    assert documented[0 if gateway_verifies(stack) else 1] == str(100 + reserved)


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "ChatApiUrl",
            ["https://chat.example.org", "http://10.0.0.1:8080/chat"],
            ["chat.example.org", "https://user:secret@chat.example.org", "https://", ""],
        ),
        ("ChatSecretArn", ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat/token-AbCdEf"], ["chat", ""]),
        (
            "JwtIssuer",
            ["https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCd", "https://login.example.org/"],
            ["http://login.example.org", "https://", "https://me@login.example.org", "https://login.example.org?x", ""],
        ),
        ("JwtAudience", ["guildhook", "https://guildhook.example.org"], ["", "a b", "a" * 256]),
        ("OperatorAudience", ["", "guildhook-operators"], ["a b", "a" * 256]),
        ("OperatorClaim", ["groups", "https://example.org/roles"], ["", "a b"]),
        ("OperatorGroup", ["", "operators"], ["a b"]),
        ("JwtClientId", ["1h57kf5cpq17m0eml12EXAMPLE"], ["", "a b"]),
        (
            "OriginSecretArn",
            ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:guildhook/origin-AbCdEf"],
            ["origin", "s3cret-0123456789012345678901234567", "arn:aws:secretsmanager:eu-west-1:1:secret:origin"],
        ),
        (
            "DatabaseUrl",
            ["", "postgresql://hook@db:5432/chat?connect_timeout=3&sslmode=verify-full"],
            [
                "postgresql://hook@db/chat",
                "postgresql://hook@db/chat?sslmode=disable",
                "postgresql://hook:secret@db/chat?sslmode=require",
                "mysql://hook@db/chat?sslmode=require",
                "postgresql://db/chat?sslmode=require",
            ],
        ),
        (
            "DatabaseConnectArn",
            ["", "arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-0a/hook"],
            ["arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-0a/*", "*"],
        ),
        ("GuildLimits", ["{}", '{"6a1d": {"fuel": 1}}'], ["", "[]", "fuel"]),
        ("VpcCidr", ["10.42.0.0/16"], ["10.42.0.0", "10.0.0.0/8", "10.42.0.0/28"]),
        ("AvailabilityZones", ["", "us-east-1a", "us-gov-west-1b"], ["use1-az3", "us-east-1", "us-east-1-bos-1a"]),
        ("SubnetIds", ["", "subnet-0a1b"], ["vpc-0a1b"]),
        ("ExistingNetwork", ["", "guildhook-Network-1ABC"], ["arn:aws:cloudformation:eu-west-1:1:stack/a/b", "-a"]),
        ("ExistingDatabase", ["", "guildhook-Database-1ABC"], ["guildhook.Database"]),
        ("ExistingBucket", ["", "guildhook-artifacts-1abc"], ["s3://guildhook", "Guildhook"]),
        (
            "ExistingSettingsKey",
            ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:SettingsKey-1a-AbCdEf"],
            ["SettingsKey"],
        ),
        (
            "SenderTopicArns",
            ["", "arn:aws:sns:eu-west-1:123456789012:chat", "arn:aws:sns:eu-west-1:123456789012:chat.fifo"],
            ["*", "arn:aws:sns:eu-west-1:123456789012:*", "chat"],
        ),
        (
            "SenderRuleArns",
            [
                "",
                "arn:aws:events:eu-west-1:123456789012:rule/chat",
                "arn:aws:events:eu-west-1:123456789012:rule/bus/a.b",
            ],
            [
                "*",
                "arn:aws:events:eu-west-1:123456789012:event-bus/chat",
                "arn:aws:events:eu-west-1:123456789012:rule/*",
            ],
        ),
        (
            "SenderPrincipalArns",
            ["", "arn:aws:iam::123456789012:role/chat/server", "arn:aws:iam::123456789012:root"],
            ["*", "arn:aws:iam::123456789012:role/*", "123456789012", "arn:aws:sts::123456789012:assumed-role/chat/i"],
        ),
        (
            "PermissionsBoundaryArn",
            ["", "arn:aws:iam::123456789012:policy/team/boundary", "arn:aws:iam::aws:policy/PowerUserAccess"],
            ["boundary", "arn:aws:iam::123456789012:role/boundary", "*"],
        ),
        ("AlarmTopicArn", ["", "arn:aws:sns:eu-west-1:123456789012:alarms"], ["alarms"]),
        ("Release", ["1", "2026-11-25.a"], ["", "a b"]),
    ],
)
def test_a_malformed_parameter_is_refused_before_anything_is_made(parameter, good, bad):
    pattern = read_template()["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_rule_forbids_a_supported_deployment(name):
    assert broken_rules(DEPLOYMENTS[name]) == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({**BY_PASSWORD, "DatabaseConnectArn": BY_TOKEN["DatabaseConnectArn"]}, "either"),
        ({**CHAT, "DatabaseUrl": BY_TOKEN["DatabaseUrl"]}, "either"),
        ({**BY_TOKEN, "MigrationDatabaseUrl": OWNER_APART["MigrationDatabaseUrl"]}, "MigrationSecretArn"),
        ({**BY_TOKEN, "SubnetIds": "subnet-1,subnet-2"}, "SecurityGroupIds"),
        ({**BY_TOKEN, "SecurityGroupIds": "sg-1"}, "SubnetIds"),
        ({**CHAT, "OperatorAudience": "operators"}, "OperatorGroup"),
        ({**CHAT, "OperatorGroup": "staff"}, "OperatorAudience"),
        ({**CHAT, "OperatorAudience": CHAT["JwtAudience"], "OperatorGroup": "staff"}, "must differ from JwtAudience"),
        ({**CHAT, "SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, "Without DatabaseUrl"),
        ({**BY_TOKEN, "JwtAlgorithm": "ES256"}, "OriginSecretArn"),
        ({**CHAT, "JwtAlgorithm": "EdDSA", "OriginSecretArn": ""}, "OriginSecretArn"),
        ({**BY_TOKEN, "ExistingNetwork": "guildhook-Network-1"}, "take the place of DatabaseUrl"),
        ({**TAKEN_UP, "ExistingNetwork": ""}, "needs ExistingNetwork"),
        ({**TAKEN_UP, "ExistingSettingsKey": ""}, "needs ExistingSettingsKey"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(parameters, said):
    (description,) = broken_rules(parameters)
    assert said in description


@pytest.mark.parametrize("given", ["", "arn:aws:iam::123456789012:policy/boundary"])
@pytest.mark.parametrize("name", ["a database of its own", "owner apart, in a VPC"])
def test_every_role_has_the_boundary_if_there_is_one(name, given):
    parameters = {**DEPLOYMENTS[name], "PermissionsBoundaryArn": given, "CanaryPercent": "10", "DatabaseProxy": "true"}
    stack = resolve(transformed(parameters), parameters)  # with all that SAM makes
    roles = stack.of_type("AWS::IAM::Role")
    assert {"CanaryRole", "DeployStepsRole", "AccountPreflightRole", "NetworkPreflightRole"} <= set(roles)
    assert {role.get("PermissionsBoundary", "") for role in roles.values()} == {given}
    nested = stack.of_type("AWS::CloudFormation::Stack").values()
    with_roles = [each for each in nested if "AWS::IAM::" in (ROOT / each["TemplateURL"]).read_text()]
    assert bool(with_roles) is ("Database" in stack.resources)
    for each in with_roles:
        made = resolve(read_template(each["TemplateURL"]), each["Parameters"]).of_type("AWS::IAM::Role")
        assert {role.get("PermissionsBoundary", "") for role in made.values()} == {given}


def granted(value: Any) -> set[str]:
    """The actions of the allowing statements in a policy, under any parameters."""
    match value:
        case {"Effect": "Allow", "Action": actions, "Resource": _}:
            return {actions} if isinstance(actions, str) else set(actions)
        case dict() | list():
            parts = value.values() if isinstance(value, dict) else value
            return set().union(*(granted(part) for part in parts))
    return set()


def test_the_boundary_that_is_shipped_has_the_actions_of_all_roles_and_no_others():
    used: set[str] = set()
    for template in TEMPLATES:
        for resource in read_template(template)["Resources"].values():
            if resource["Type"].startswith("AWS::IAM::"):
                assert not str(resource["Properties"].get("ManagedPolicyArns", "")).count("iam::aws")
                used |= granted(resource["Properties"])
    (statement,) = json.loads((ROOT / "infra" / "boundary.json").read_text())["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", "*")
    assert statement["Action"] == sorted(used)


def test_the_types_without_tags_are_documented():
    """cfn-lint has the schemas of CloudFormation, which say what it can tag."""
    kinds = {
        resource["Type"]
        for name in ("a database of its own", "canary")
        for resource in transformed(DEPLOYMENTS[name])["Resources"].values()
    }
    for template in TEMPLATES[1:]:
        kinds |= {resource["Type"] for resource in read_template(template)["Resources"].values()}
    tagging = {
        kind: PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema.get("tagging", {})
        for kind in kinds
        if not kind.startswith("Custom::")
    }
    text = (ROOT / "docs" / "deployment.md").read_text().partition("\n## Tags\n")[2].partition("\n## ")[0]
    row, rest = re.search(r"^\| (`AWS::[^|]*) \|", text, re.MULTILINE), text.rpartition("\n\n")[2]
    assert row
    never = {kind for kind, how in tagging.items() if not how.get("taggable")}
    assert set(re.findall(r"AWS::\w+::\w+", row[1])) == never
    later = {kind for kind, how in tagging.items() if how.get("taggable") and not how.get("tagOnCreate")}
    assert set(re.findall(r"AWS::\w+::\w+", rest)) == later


def test_no_parameter_and_no_variable_is_a_secret(stack):
    assert not any(parameter.get("NoEcho") for parameter in read_template()["Parameters"].values())
    for name in FUNCTIONS:
        for variable, value in stack[name]["Environment"]["Variables"].items():
            assert "{{resolve:" not in str(value), variable


def test_the_function_has_room_for_its_disk_cache(stack):
    size = stack["OnMessage"]["EphemeralStorage"]["Size"] * 1024 * 1024
    # The cache writes the largest module before it deletes the oldest ones.
    limit = int(stack["OnMessage"]["Environment"]["Variables"]["GUILDHOOK_DISK_CACHE_BYTES"])
    assert limit + CompileLimits().artifact_bytes < size


def test_the_default_disk_cache_fits_the_smallest_disk():
    defaults: dict[str, Any] = {variable.name: variable.default for variable in fields(WorkerConfiguration)}
    assert defaults["disk_cache_bytes"] + CompileLimits().artifact_bytes < 512 * 1024 * 1024


def test_snapshots_are_of_published_versions_with_a_small_disk():
    stack = deployment("snapshots")
    assert stack["OnMessage"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert stack["OnMessage"]["EphemeralStorage"] == {"Size": 512}
    assert stack["MessageCreated"]["FunctionName"] == "OnMessageLive"
    assert stack["OnMessageLive"]["FunctionVersion"] == "OnMessagePublished.Version"
    assert stack["OnMessagePublished"]["ServiceToken"] == "DeploySteps.Arn"
    assert int(stack["OnMessagePublished"]["ServiceTimeout"]) > stack["DeploySteps"]["Timeout"]
    assert stack["DeploySteps"]["Environment"]["Variables"]["GUILDHOOK_PUBLISHED_FUNCTION"] == "OnMessage"


def test_every_change_that_a_parameter_or_a_resource_brings_to_the_function_asks_for_a_version():
    template = transformed(DEPLOYMENTS["snapshots"])
    parts = {name: template["Resources"][name]["Properties"] for name in ("OnMessage", "OnMessagePublished")}
    needed = referred(parts["OnMessage"], template["Conditions"])
    assert {
        "ChatApiUrl",
        "LogLevel",
        "DatabaseUrl",
        "UsedDatabase.Outputs.Address",
        "SigningPublicKeys.PublicKeys",
    } <= needed
    assert needed - referred(parts["OnMessagePublished"], template["Conditions"]) == set()


def test_every_change_of_the_code_or_the_template_asks_for_a_version(tmp_path):
    """OnMessageSource has both, and SAM names a layer by its content."""
    assert "OnMessageSource" in referred(read_template()["Resources"]["OnMessagePublished"]["Properties"], {})
    source = read_template()["Resources"]["OnMessageSource"]
    make = ["make", "build-OnMessageSource", f"ARTIFACTS_DIR={tmp_path}"]
    subprocess.run(make, cwd=ROOT / source["Properties"]["ContentUri"], check=True)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code = {name: (ROOT / "functions" / "on_message" / name).read_bytes() for name in ("app.py", "function.py")}
    assert files == {**code, "template.yaml": (ROOT / "template.yaml").read_bytes()}


def test_without_versions_the_queue_calls_the_function_itself():
    """A changed parameter takes effect at once, which it does not behind an alias."""
    stack = deployment("by token")
    assert stack["MessageCreated"]["FunctionName"] == "OnMessage.Arn"
    absent = {"OnMessagePublished", "OnMessageLive", "OnMessageSource", "DeploySteps", "DeployStepsRole"}
    absent |= {"Canary", "CanarySteps", "CanaryGroup", "CanaryRole"}
    assert not absent & set(stack.resources)
    assert stack["OnMessage"]["Environment"]["Variables"]["GUILDHOOK_METRICS_BY_VERSION"] == "false"


def test_a_canary_is_of_published_versions_with_the_large_disk():
    stack, without = deployment("canary"), deployment("by token")
    assert stack["MessageCreated"]["FunctionName"] == "OnMessageLive"
    assert stack["OnMessageLive"]["FunctionVersion"] == "OnMessagePublished.Version"
    assert stack["OnMessage"]["SnapStart"] == {"ApplyOn": "None"}
    assert stack["OnMessage"]["EphemeralStorage"] == without["OnMessage"]["EphemeralStorage"]
    assert stack["OnMessage"]["Environment"]["Variables"]["GUILDHOOK_METRICS_BY_VERSION"] == "true"


def test_a_canary_gets_its_share_for_its_time_and_is_rolled_back_by_every_alarm_of_its_own():
    parameters = {**BY_TOKEN, "CanaryPercent": "25", "CanaryMinutes": "60"}
    stack = resolve(transformed(parameters), parameters)
    assert stack["CanarySteps"]["TrafficRoutingConfig"] == {
        "Type": "TimeBasedCanary",
        "TimeBasedCanary": {"CanaryPercentage": "25", "CanaryInterval": "60"},
    }
    group = stack["CanaryGroup"]
    assert (group["ApplicationName"], group["DeploymentConfigName"]) == ("Canary", "CanarySteps")
    assert group["ServiceRoleArn"] == "CanaryRole.Arn"
    # Without IgnorePollAlarmFailure, CodeDeploy also stops if it cannot read the alarms.
    assert set(group["AlarmConfiguration"]) == {"Enabled", "Alarms"}
    assert group["AutoRollbackConfiguration"]["Enabled"] is group["AlarmConfiguration"]["Enabled"] is True
    events = {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"}
    assert set(group["AutoRollbackConfiguration"]["Events"]) == events
    observed = stack["Observability"]["Parameters"]
    assert observed["CanaryVersion"] == stack["OnMessageLive"]["FunctionVersion"]
    made = resolve(read_template("infra/observability.yaml"), {**observed, "CanaryVersion": "7"})
    named = {alarm["AlarmName"] for alarm in made.of_type("AWS::CloudWatch::Alarm").values()}
    watched = {alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]}
    assert watched == {name for name in named if name.startswith("guildhook-canary-")} != set()


@pytest.mark.parametrize(("name", "policy"), [("snapshots", False), ("canary", True)])
def test_codedeploy_moves_the_alias_of_a_canary_after_the_alarms_know_the_new_version(name, policy):
    live = deployment(name).resources["OnMessageLive"]
    named = {"ApplicationName": "Canary", "DeploymentGroupName": "CanaryGroup"}
    assert live["UpdatePolicy"] == ({"CodeDeployLambdaAliasUpdate": named} if policy else {})
    assert live["DependsOn"] == "Observability"


def test_the_cluster_is_protected_when_nothing_of_the_deploy_is_left_to_fail():
    stack = deployment("a database of its own")
    before: set[str] = set()
    found = {"DatabaseProtected"}
    while found:
        before |= found
        dependencies = (stack.resources[name].get("DependsOn", []) for name in found)
        named = {one for each in dependencies for one in ([each] if isinstance(each, str) else each)}
        texts = set().union(*(words(stack[name]) for name in found))
        found = ((named | texts) & set(stack.resources)) - before
    later = {stack.resources[name]["Type"] for name in set(stack.resources) - before}
    assert later == {"AWS::Lambda::Permission"}
    assert stack["DatabaseProtected"]["ServiceToken"] == "DeploySteps.Arn"
    cluster = stack["DeploySteps"]["Environment"]["Variables"]["GUILDHOOK_PROTECTED_CLUSTER"]
    assert cluster == stack["DatabaseProtected"]["Cluster"] == "UsedDatabase.Outputs.ClusterId"


def test_a_database_of_the_operators_is_not_protected_by_the_stack():
    assert "DatabaseProtected" not in deployment("by token").resources


def test_the_function_of_deploy_steps_is_in_no_network():
    assert "VpcConfig" not in deployment("a database of its own")["DeploySteps"]


def test_resources_that_cannot_be_recreated_outlive_the_stack():
    resources = deployment("a database of its own").resources
    policies = {name: each.get("DeletionPolicy", "") for name, each in resources.items()}
    kept = {name: policy for name, policy in policies.items() if policy.startswith("Retain")}
    # The network of a retained database cannot be deleted. All that costs is deleted if the first deploy fails.
    assert kept == {
        **dict.fromkeys(NOTHING_TO_DELETE, "Retain"),
        **dict.fromkeys(("Network", "Database"), "RetainExceptOnCreate"),
        **dict.fromkeys(("Artifacts", "SettingsKey", "DeadLetters", "DeadCompiles"), "RetainExceptOnCreate"),
    }
    assert {resources[name]["Type"].partition("::")[0] for name in NOTHING_TO_DELETE} == {"Custom"}
    assert {resources[name]["UpdateReplacePolicy"] for name in kept} == {"Retain"}


def test_what_an_earlier_stack_left_takes_the_place_of_what_this_one_would_make():
    stack = deployment("taken up")
    assert not {"Network", "Database", "Artifacts", "SettingsKey"} & set(stack.resources)
    for name in ("OnMessage", "CompilePlugin", "AdminApi", "TestRun"):
        variables = stack[name]["Environment"]["Variables"]
        assert variables["GUILDHOOK_ARTIFACT_BUCKET"] == TAKEN_UP["ExistingBucket"]
        assert variables.get("GUILDHOOK_SETTINGS_SECRET", "") in ("", TAKEN_UP["ExistingSettingsKey"])
    assert stack["ArtifactsPolicy"]["Bucket"] == stack.outputs["ArtifactBucket"]["Value"] == TAKEN_UP["ExistingBucket"]
    # All that does not exist twice is as in a stack that makes everything.
    made = deployment("a database of its own")
    assert set(made.resources) - set(stack.resources) == {"Network", "Database", "Artifacts", "SettingsKey"}
    for name in WITH_DATABASE:
        assert stack[name]["VpcConfig"] == made[name]["VpcConfig"]
        url = "GUILDHOOK_DATABASE_URL"
        assert stack[name]["Environment"]["Variables"][url] == made[name]["Environment"]["Variables"][url]


def test_the_functions_are_in_the_network_of_their_database():
    in_own_network = deployment("a database of its own")
    for name in IN_THE_NETWORK:
        assert in_own_network[name]["VpcConfig"] == {
            "SubnetIds": ["UsedNetwork.Outputs.SubnetIds"],
            "SecurityGroupIds": ["UsedNetwork.Outputs.FunctionsGroup"],
            "Ipv6AllowedForDualStack": True,
        }
        given = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
        assert deployment("owner apart, in a VPC")[name]["VpcConfig"] == given
        assert "VpcConfig" not in deployment("by token")[name]


def test_a_test_run_is_in_a_security_group_of_its_own_or_in_no_network():
    assert deployment("a database of its own")["TestRun"]["VpcConfig"] == {
        "SubnetIds": ["UsedNetwork.Outputs.SubnetIds"],
        "SecurityGroupIds": ["UsedNetwork.Outputs.TestRunGroup"],
    }
    # In the operator's subnets it would have the functions' way to the operator's database.
    assert "VpcConfig" not in deployment("owner apart, in a VPC")["TestRun"]


@pytest.mark.parametrize(
    ("name", "functions", "migrate"),
    [
        (
            "a database of its own",
            {"URL": "postgresql://{user}@UsedDatabase.Outputs.Address", "IAM": "true"},
            {
                "URL": "UsedDatabase.Outputs.OwnerUrl",
                "IAM": "false",
                "SECRET": "UsedDatabase.Outputs.OwnerSecretArn",
                "ROLE": "guildhook_on_message_v2",
                "COMPILE_ROLE": "guildhook_compile_plugin_v2",
                "SWEEP_ROLE": "guildhook_sweep_v2",
                "ADMIN_ROLE": "guildhook_admin_api_v2",
                "ERASE_ROLE": "guildhook_erase_v2",
            },
        ),
        (
            "by token",
            {"URL": "postgresql://hook@db.example.org:5432/chat?sslmode=require", "IAM": "true"},
            {"URL": "postgresql://hook@db.example.org:5432/chat?sslmode=require", "IAM": "true"},
        ),
        (
            "by password",
            {
                "URL": "postgresql://hook@db.example.org:5432/chat?sslmode=require",
                "IAM": "false",
                "SECRET": DEPLOYMENTS["by password"]["DatabaseSecretArn"],
            },
            {
                "URL": "postgresql://hook@db.example.org:5432/chat?sslmode=require",
                "IAM": "false",
                "SECRET": DEPLOYMENTS["by password"]["DatabaseSecretArn"],
            },
        ),
        (
            "owner apart, in a VPC",
            {
                "URL": "postgresql://hook@db.example.org:5432/chat?sslmode=require",
                "IAM": "false",
                "SECRET": DEPLOYMENTS["by password"]["DatabaseSecretArn"],
            },
            {
                "URL": "postgresql://owner@db.example.org:5432/chat?sslmode=require",
                "IAM": "false",
                "SECRET": DEPLOYMENTS["owner apart, in a VPC"]["MigrationSecretArn"],
                "ROLE": "hook",
            },
        ),
    ],
)
def test_the_functions_and_migrate_have_their_own_ways_into_the_database(name, functions, migrate):
    def database(function):
        variables = deployment(name)[function]["Environment"]["Variables"]
        prefix = "GUILDHOOK_DATABASE_"
        return {key.removeprefix(prefix): value for key, value in variables.items() if key.startswith(prefix)}

    as_itself = {function: {**functions, "URL": functions["URL"].format(user=user)} for function, user in USERS.items()}
    found = {function: database(function) for function in FUNCTIONS - PREFLIGHTS}
    assert found == {**as_itself, "Migrate": migrate, "TestRun": {}}


PAGES = {"/", "/assets/{file}", "/guilds/{proxy+}", "/signed-in", "/api.html", "/licenses.md"}
"""The routes of the admin page, whose files are in functions/admin_api."""


def gateway_verifies(stack):
    """True if the stack's issuer signs with RSA, which API Gateway can verify."""
    return stack["AdminApi"]["Environment"]["Variables"]["GUILDHOOK_JWT_ALGORITHM"] == "RS256"


def routes(stack):
    """The authorizers and the function of each route, by method and path."""
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    return {
        (method.upper(), path): (
            operation.get("security", []),
            re.search(r"functions/(\w+)\.Arn/", operation["x-amazon-apigateway-integration"]["uri"])[1],
        )
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }


def test_only_existing_routes_are_routed_each_to_its_function_and_with_the_authorizer_if_there_is_one(stack):
    of_tokens = [{"Tokens": []}] if gateway_verifies(stack) else []
    functions = {Access.ANYBODY: "AdminPage", Access.OPERATORS: "OperatorApi"}
    answered = {
        (endpoint.method, endpoint.path): (
            of_tokens if endpoint.access in OF_PEOPLE else [],
            functions.get(endpoint.access, "AdminApi"),
        )
        for endpoint in ENDPOINTS
    }
    assert routes(stack) == answered | {("GET", path): ([], "AdminPage") for path in PAGES}
    guarded = [route for (_, path), route in routes(stack).items() if path.startswith(("/api/guilds", "/api/operator"))]
    assert all(authorizers == of_tokens for authorizers, _ in guarded)


def test_each_function_may_be_called_by_its_routes_alone(stack):
    called = {
        (permission["FunctionName"], permission["SourceArn"].partition("/*/")[2])
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["Principal"] == "apigateway.amazonaws.com"
    }
    assert called == {
        (function, re.sub(r"\{[\w+]+\}", "*", f"{method}{path}"))
        for (method, path), (_, function) in routes(stack).items()
    }


def test_tokens_are_the_issuers_and_for_this_api(stack):
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    if gateway_verifies(stack):
        scheme = api["Body"]["components"]["securitySchemes"]["Tokens"]["x-amazon-apigateway-authorizer"]
        assert scheme["jwtConfiguration"] == {"issuer": CHAT["JwtIssuer"], "audience": [CHAT["JwtAudience"]]}
        assert (scheme["type"], scheme["identitySource"]) == ("jwt", "$request.header.Authorization")
    else:
        # API Gateway would read the issuer's keys, and could verify nothing with them.
        assert "components" not in api["Body"]
        assert "authorizer" not in str(api["Body"])
    assert not stack.of_type("AWS::ApiGatewayV2::Authorizer")
    for function in OF_THE_API:
        variables = stack[function]["Environment"]["Variables"]
        assert [variables[f"GUILDHOOK_JWT_{name}"] for name in ("ISSUER", "AUDIENCE", "CLIENT_ID")] == [
            CHAT["JwtIssuer"],
            CHAT["JwtAudience"],
            CHAT["JwtClientId"],
        ]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_all_who_verify_tokens_accept_one_algorithm_and_the_deploy_says_which(name):
    stack, algorithm = deployment(name), DEPLOYMENTS[name].get("JwtAlgorithm", "RS256")
    for function in OF_THE_API | PREFLIGHTS:
        assert stack[function]["Environment"]["Variables"]["GUILDHOOK_JWT_ALGORITHM"] == algorithm
    said = stack.outputs["TokensVerifiedBy"]["Value"]
    assert f"({algorithm})" in said
    assert said.startswith("API Gateway and the function") is gateway_verifies(stack)
    has_cache = {"OriginSecretArn", "Cache"} & set(DEPLOYMENTS[name])
    assert ("X-Guildhook-Origin" in said) is bool(has_cache)
    assert read_template()["Parameters"]["JwtAlgorithm"]["AllowedValues"] == list(TokenAlgorithm)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_without_an_authorizer_all_ask_for_the_header_and_sign_in_and_operators_have_concurrency_of_their_own(name):
    stack, secret = deployment(name), DEPLOYMENTS[name].get("OriginSecretArn")
    if secret is None and "Cache" in DEPLOYMENTS[name]:
        secret = "OriginSecret"
    for function in OF_THE_API:
        assert stack[function]["Environment"]["Variables"].get("GUILDHOOK_ORIGIN_SECRET") == secret
    reserved = {
        function: stack[function]["ReservedConcurrentExecutions"]
        for function in OF_THE_API
        if "ReservedConcurrentExecutions" in stack[function]
    }
    if gateway_verifies(stack):
        assert reserved == {"AdminApi": 10}
    else:
        assert secret
        assert reserved == {"AdminApi": 10, "AdminPage": 10, "OperatorApi": 2}


def test_operators_have_an_audience_of_their_own_if_there_are_any(stack):
    names = [f"GUILDHOOK_OPERATOR_{name}" for name in ("AUDIENCE", "CLAIM", "GROUP")]
    without = stack["OperatorApi"]["Environment"]["Variables"]
    assert [without.get(name) for name in names] == [None, "groups", None]
    operators = {"OperatorAudience": "operators", "OperatorClaim": "roles", "OperatorGroup": "staff"}
    parameters = {**CHAT, **operators}
    deployed = resolve(transformed(parameters), parameters)
    (api,) = deployed.of_type("AWS::ApiGatewayV2::Api").values()
    scheme = api["Body"]["components"]["securitySchemes"]["Tokens"]["x-amazon-apigateway-authorizer"]
    assert scheme["jwtConfiguration"]["audience"] == [CHAT["JwtAudience"], "operators"]
    variables = deployed["OperatorApi"]["Environment"]["Variables"]
    assert [variables[name] for name in names] == ["operators", "roles", "staff"]


def test_a_log_of_access_has_neither_paths_nor_queries_nor_tokens(stack):
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    variables = set(re.findall(r"\$context\.([\w.]+)", stage["AccessLogSettings"]["Format"]))
    assert variables == {
        "requestId",
        "requestTime",
        "routeKey",
        "status",
        "responseLatency",
        "integrationErrorMessage",
        "authorizer.error",
    }


def test_an_upload_is_sent_by_a_form_from_any_origin(maker):
    (rule,) = maker["Artifacts"]["CorsConfiguration"]["CorsRules"]
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["POST"], ["*"])


def test_a_test_run_is_over_before_its_caller_gives_up(stack):
    assert stack["TestRun"]["Timeout"] < ANSWER_SECONDS
    longest = 2 * CONNECT_SECONDS + ANSWER_SECONDS + BODY_SECONDS  # connecting is tried twice
    assert longest < min(stack["AdminApi"]["Timeout"], 29)  # API Gateway waits for 29 s
    assert stack["TestRun"]["MemorySize"] == stack["OnMessage"]["MemorySize"]
