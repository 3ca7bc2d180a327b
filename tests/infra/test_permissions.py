"""Tests the permissions of the functions' roles, which are exactly these."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.templates import (
    ACCOUNT,
    BY_PASSWORD,
    CHAT,
    DEPLOYMENTS,
    ORIGIN,
    OWNER_APART,
    REGION,
    TAKEN_UP,
    Resolved,
    deployment,
)

FUNCTIONS = (
    "OnMessage",
    "CompilePlugin",
    "Migrate",
    "AdminApi",
    "AdminPage",
    "OperatorApi",
    "Sweep",
    "TestRun",
    "Erase",
    "AccountPreflight",
    "NetworkPreflight",
)
ASKING_FOR_THE_HEADER = ("AdminApi", "AdminPage", "OperatorApi")
TOKEN = ("rds-db:connect", DEPLOYMENTS["by token"]["DatabaseConnectArn"])
PASSWORD = ("secretsmanager:GetSecretValue", BY_PASSWORD["DatabaseSecretArn"])

NETWORK = {
    (f"ec2:{action}", "*")
    for action in (
        "CreateNetworkInterface",
        "DescribeNetworkInterfaces",
        "DescribeSubnets",
        "DeleteNetworkInterface",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
    )
}
TRACES = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}

ACCOUNT_WIDE = {("lambda:GetAccountSettings", "*"), ("ec2:DescribeAvailabilityZones", "*")}
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/guildhook/7f0d5c9c-0000-4000-8000-000000000001"

OWN = {
    "OnMessage": {
        ("sqs:ReceiveMessage", "Events.Arn"),
        ("sqs:DeleteMessage", "Events.Arn"),
        ("sqs:GetQueueAttributes", "Events.Arn"),
        ("sqs:ChangeMessageVisibility", "Events.Arn"),
        ("sqs:SendMessage", "Compiles.Arn"),
        ("s3:GetObject", "Artifacts.Arn/artifacts/*"),
        ("s3:ListBucket", "Artifacts.Arn"),
        ("secretsmanager:GetSecretValue", CHAT["ChatSecretArn"]),
        ("secretsmanager:GetSecretValue", "SettingsKey"),
    },
    "CompilePlugin": {
        ("sqs:ReceiveMessage", "Compiles.Arn"),
        ("sqs:ChangeMessageVisibility", "Compiles.Arn"),
        ("sqs:DeleteMessage", "Compiles.Arn"),
        ("sqs:GetQueueAttributes", "Compiles.Arn"),
        ("sqs:SendMessage", "Compiles.Arn"),
        ("s3:GetObject", "Artifacts.Arn/artifacts/*"),
        ("s3:PutObject", "Artifacts.Arn/artifacts/*"),
        ("s3:DeleteObject", "Artifacts.Arn/artifacts/*"),
        ("s3:GetObject", "Artifacts.Arn/uploads/*"),
        ("s3:ListBucket", "Artifacts.Arn"),
        ("secretsmanager:GetSecretValue", "SigningKey"),
    },
    "Migrate": set(),
    "AdminApi": {
        ("s3:PutObject", "Artifacts.Arn/uploads/*"),
        ("sqs:SendMessage", "Compiles.Arn"),
        ("lambda:InvokeFunction", "TestRun.Arn"),
        ("secretsmanager:GetSecretValue", CHAT["ChatSecretArn"]),
        ("secretsmanager:GetSecretValue", "SettingsKey"),
    },
    "AdminPage": set(),
    "OperatorApi": {("sqs:SendMessage", "Compiles.Arn")},
    "Sweep": {("sqs:SendMessage", "Events.Arn"), ("sqs:SendMessage", "Compiles.Arn")},
    "TestRun": {("s3:GetObject", "Artifacts.Arn/artifacts/*"), ("s3:ListBucket", "Artifacts.Arn")},
    "AccountPreflight": {
        ("secretsmanager:GetSecretValue", CHAT["ChatSecretArn"]),
        ("cloudformation:ListStackResources", STACK),
        ("lambda:GetFunctionConcurrency", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:guildhook-*"),
        *ACCOUNT_WIDE,
    },
    "NetworkPreflight": {("secretsmanager:GetSecretValue", CHAT["ChatSecretArn"])},
    "Erase": {("s3:PutObject", "Artifacts.Arn/exports/*")},
}
"""The permissions of each function beside those for its log, the database, the VPC and traces."""

BUCKET = f"arn:aws:s3:::{TAKEN_UP['ExistingBucket']}"
TAKEN_UP_ARNS = {
    "SettingsKey": TAKEN_UP["ExistingSettingsKey"],
    "Artifacts.Arn": BUCKET,
    "Artifacts.Arn/artifacts/*": f"{BUCKET}/artifacts/*",
    "Artifacts.Arn/uploads/*": f"{BUCKET}/uploads/*",
    "Artifacts.Arn/exports/*": f"{BUCKET}/exports/*",
}
"""The resources of OWN that a stack may take up."""

USERS = {
    "OnMessage": "guildhook_on_message_v2",
    "CompilePlugin": "guildhook_compile_plugin_v2",
    "Sweep": "guildhook_sweep_v2",
    "AdminApi": "guildhook_admin_api_v2",
    "AdminPage": "guildhook_admin_api_v2",
    "OperatorApi": "guildhook_admin_api_v2",
    "Erase": "guildhook_erase_v2",
}
"""The permissions for the database that the stack creates."""


def statements(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(effect, action, resource)"""
    for statement in document["Statement"]:
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield statement["Effect"], action, resource


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(stack: Resolved, function: str) -> set[tuple[str, str]]:
    role = stack[f"{function}Role"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    documents += [stack[policy]["PolicyDocument"] for policy in role["ManagedPolicyArns"]]
    return {
        (action, resource) for each in documents for effect, action, resource in statements(each) if effect == "Allow"
    }


def log(function: str) -> set[tuple[str, str]]:
    return {("logs:CreateLogStream", f"{function}Logs.Arn"), ("logs:PutLogEvents", f"{function}Logs.Arn")}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_function_has_a_role_of_its_own_that_nothing_else_may_take(name, function):
    stack = deployment(name)
    assert stack[function]["Role"] == f"{function}Role.Arn"
    (trusted,) = stack[f"{function}Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}
    others = {"DeployStepsRole", "CanaryRole"}
    assert set(stack.of_type("AWS::IAM::Role")) - others == {f"{each}Role" for each in FUNCTIONS}


VERSIONS = {
    ("lambda:PublishVersion", "OnMessage.Arn"),
    ("lambda:ListVersionsByFunction", "OnMessage.Arn"),
    ("lambda:ListAliases", "OnMessage.Arn"),
    # The function itself is OnMessage.Arn, and cannot be deleted.
    ("lambda:DeleteFunction", "OnMessage.Arn:*"),
    ("lambda:GetFunctionConfiguration", "OnMessage.Arn"),
    ("lambda:GetFunctionConfiguration", "OnMessage.Arn:*"),
}
LOG_GROUP = "arn:aws:logs:eu-central-1:123456789012:log-group:"
CLUSTER = "arn:aws:rds:eu-central-1:123456789012:cluster:UsedDatabase.Outputs.ClusterId"


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (
            "a database of its own",
            {("rds:ModifyDBCluster", CLUSTER)}
            | {
                (action, f"{LOG_GROUP}{name}")
                for action in ("logs:CreateLogGroup", "logs:PutRetentionPolicy")
                for name in ("/aws/rds/cluster/UsedDatabase.Outputs.ClusterId/*", "/aws/rds/proxy/guildhook-*")
            },
        ),
        (
            "taken up",
            {("rds:ModifyDBCluster", CLUSTER)}
            | {
                (action, f"{LOG_GROUP}{name}")
                for action in ("logs:CreateLogGroup", "logs:PutRetentionPolicy")
                for name in ("/aws/rds/cluster/UsedDatabase.Outputs.ClusterId/*", "/aws/rds/proxy/guildhook-*")
            },
        ),
        ("snapshots", VERSIONS),
        ("canary", VERSIONS),
    ],
)
def test_deploy_steps_has_the_permissions_of_its_steps_and_no_others(name, steps):
    stack = deployment(name)
    assert stack["DeploySteps"]["Role"] == "DeployStepsRole.Arn"
    assert allowed(stack, "DeploySteps") == log("DeploySteps") | steps


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("name", "database", "more"),
    [
        ("a database of its own", None, NETWORK),
        ("by token", TOKEN, set()),
        ("by password", PASSWORD, set()),
        ("owner apart, in a VPC", PASSWORD, NETWORK),
        ("arm, traced", TOKEN, TRACES),
        ("snapshots", TOKEN, set()),
        ("canary", TOKEN, set()),
        ("sent to by others", TOKEN, set()),
        ("RS256, behind a cache", TOKEN, set()),
        ("ES256", TOKEN, set()),
        ("EdDSA", PASSWORD, NETWORK),
        ("taken up", None, NETWORK),
        ("a domain", TOKEN, set()),
        ("CloudFront", TOKEN, set()),
        ("CloudFront, a given secret", TOKEN, set()),
    ],
)
def test_a_function_has_the_permissions_of_its_task_and_no_others(name, function, database, more):
    owners = {
        "a database of its own": "UsedDatabase.Outputs.OwnerSecretArn",
        "taken up": "UsedDatabase.Outputs.OwnerSecretArn",
        "owner apart, in a VPC": OWNER_APART["MigrationSecretArn"],
        "EdDSA": OWNER_APART["MigrationSecretArn"],
    }
    in_subnets = name in ("owner apart, in a VPC", "EdDSA")
    if function == "AccountPreflight":
        # It runs before the network exists, and reads the secrets that the other functions will read.
        given = [owners[name]] if in_subnets else []
        ways = {PASSWORD} & {database} | {("secretsmanager:GetSecretValue", secret) for secret in given}
        more = more - NETWORK
    elif function == "NetworkPreflight":
        ways = set()
    elif function == "TestRun":
        ways = set()
        more = set() if in_subnets and function == "TestRun" else more
    elif function == "Migrate" and name in owners:
        ways = {("secretsmanager:GetSecretValue", owners[name])}
    else:
        ways = {database or ("rds-db:connect", f"UsedDatabase.Outputs.UsersArn/{USERS[function]}")}
    if function in (*ASKING_FOR_THE_HEADER, "AccountPreflight") and "OriginSecretArn" in DEPLOYMENTS[name]:
        ways = ways | {("secretsmanager:GetSecretValue", ORIGIN["OriginSecretArn"])}
    elif function in ASKING_FOR_THE_HEADER and "Cache" in DEPLOYMENTS[name]:
        ways = ways | {("secretsmanager:GetSecretValue", "OriginSecret")}
    if function == "AccountPreflight" and "CertificateArn" in DEPLOYMENTS[name]:
        ways = ways | {("acm:DescribeCertificate", DEPLOYMENTS[name]["CertificateArn"])}
    own = {(action, TAKEN_UP_ARNS.get(resource, resource)) for action, resource in OWN[function]}
    wanted = own if name == "taken up" else OWN[function]
    assert allowed(deployment(name), function) == wanted | log(function) | ways | more


def test_codedeploy_may_shift_messages_between_versions_and_nothing_else():
    stack = deployment("canary")
    (trusted,) = stack["CanaryRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    (policy,) = stack["CanaryRole"]["Policies"]
    assert {(action, resource) for _, action, resource in statements(policy["PolicyDocument"])} == {
        *(
            (f"lambda:{action}", resource)
            for action in ("GetAlias", "UpdateAlias", "GetProvisionedConcurrencyConfig")
            for resource in ("OnMessage.Arn", "OnMessage.Arn:*")
        ),
        ("cloudwatch:DescribeAlarms", "*"),
    }


def test_only_compile_plugin_writes_artifacts_and_only_admin_api_lets_anybody_upload():
    stack = deployment("by token")
    writers = {
        (function, resource)
        for function in FUNCTIONS
        for action, resource in allowed(stack, function)
        if action in ("s3:PutObject", "s3:DeleteObject")
    }
    assert writers == {
        ("CompilePlugin", "Artifacts.Arn/artifacts/*"),
        ("AdminApi", "Artifacts.Arn/uploads/*"),
        ("Erase", "Artifacts.Arn/exports/*"),
    }


def test_nobody_but_a_person_invokes_the_function_that_erases():
    for name in DEPLOYMENTS:
        stack = deployment(name)
        assert not any(
            action == "lambda:InvokeFunction" and resource in ("Erase.Arn", "*")
            for function in FUNCTIONS
            for action, resource in allowed(stack, function)
        )
        invoking = [
            *stack.of_type("AWS::Lambda::Permission").values(),
            *stack.of_type("AWS::Lambda::EventSourceMapping").values(),
        ]
        assert "Erase" not in {str(each["FunctionName"]).partition(".")[0] for each in invoking}


def test_a_test_run_has_no_way_to_the_database_and_to_no_secret():
    for name in DEPLOYMENTS:
        stack = deployment(name)
        assert not {action for action, _ in allowed(stack, "TestRun") if action.startswith(("rds", "secrets", "sqs"))}
        variables = stack["TestRun"]["Environment"]["Variables"]
        own = {variable for variable in variables if variable.startswith("GUILDHOOK_")}
        assert own == {"GUILDHOOK_ARTIFACT_BUCKET", "GUILDHOOK_ARTIFACT_PUBLIC_KEYS"}


def test_only_the_compile_function_reads_the_key_that_signs():
    for name in DEPLOYMENTS:
        stack = deployment(name)
        readers = {
            function
            for function in FUNCTIONS
            if {"SigningKey", "*"} & {resource for action, resource in allowed(stack, function) if "secrets" in action}
        }
        assert readers == {"CompilePlugin"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_wildcard_stands_only_where_there_is_no_name(name):
    stack = deployment(name)
    everywhere = {action for function in FUNCTIONS for action, resource in allowed(stack, function) if resource == "*"}
    assert everywhere <= {action for action, _ in NETWORK | TRACES | ACCOUNT_WIDE}
    assert not any("*" in action for function in FUNCTIONS for action, _ in allowed(stack, function))


def test_functions_may_not_use_lambdas_permissions_for_network_interfaces():
    policy = deployment("a database of its own")["NetworkPolicy"]["PolicyDocument"]
    (denied,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Deny"]
    assert (denied["Action"], denied["Resource"]) == ("ec2:*", "*")
    assert list(denied["Condition"]) == ["ArnLike"]
