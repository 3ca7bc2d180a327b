import io
import json
import time
import zipfile
from uuid import uuid4

import pytest

from guildhook.errors import UnknownEventError
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import DEPLOY_STEPS
from http_server import Answer, http_server
from samples import resource_request

CONTEXT = LambdaContext("deploy_steps", "request", deadline=time.monotonic() + 3_600)


def provide(aws, resource_type, request_type="Create", **environment):
    """The answer to CloudFormation."""
    with http_server(Answer()) as server, loaded_function(DEPLOY_STEPS, {**aws.environment, **environment}) as handler:
        handler(resource_request(server.url, resource_type, request_type), CONTEXT)
    (upload,) = server.uploads
    return json.loads(upload.body)


@pytest.fixture
def role(aws):
    iam, name = aws.client("iam"), f"role-{uuid4().hex}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    yield arn
    iam.delete_role(RoleName=name)


@pytest.fixture
def function(aws, role):
    """The name of a Lambda function."""
    archive, name = io.BytesIO(), f"on-message-{uuid4().hex}"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    client = aws.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"GUILDHOOK_GUILD_SENDS_PER_MINUTE": "300"}},
    )
    yield name
    client.delete_function(FunctionName=name)


@pytest.fixture
def cluster(aws):
    rds, name = aws.client("rds"), f"cluster-{uuid4().hex[:20]}"
    rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="guildhook",
        MasterUserPassword="s3cret-s3cret",
    )
    yield name
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def publish(aws, function, request_type="Update"):
    answer = provide(aws, "Custom::PublishedVersion", request_type, GUILDHOOK_PUBLISHED_FUNCTION=function)
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    return answer["Data"]["Version"]


def sends_per_minute(aws, function, version):
    configuration = aws.client("lambda").get_function_configuration(FunctionName=function, Qualifier=version)
    return configuration["Environment"]["Variables"]["GUILDHOOK_GUILD_SENDS_PER_MINUTE"]


def change(aws, function, sends):
    aws.client("lambda").update_function_configuration(
        FunctionName=function, Environment={"Variables": {"GUILDHOOK_GUILD_SENDS_PER_MINUTE": sends}}
    )


def test_a_changed_variable_is_published_and_an_unchanged_function_is_not(aws, function):
    assert publish(aws, function, "Create") == "1"
    assert publish(aws, function) == "1"
    change(aws, function, "60")
    assert publish(aws, function) == "2"
    assert [sends_per_minute(aws, function, version) for version in "12"] == ["300", "60"]


def test_the_version_before_stays_for_a_roll_back_and_older_ones_cost_nothing_more(aws, function):
    for sends in ("1", "2", "3"):
        aws.client("lambda").publish_version(FunctionName=function)
        change(aws, function, sends)
    assert publish(aws, function) == "4"
    assert versions(aws, function) == {"3", "4"}


def point(aws, function, version, **weights):
    client = aws.client("lambda")
    routing = {"AdditionalVersionWeights": {name.removeprefix("v"): weight for name, weight in weights.items()}}
    known = {alias["Name"] for alias in client.list_aliases(FunctionName=function)["Aliases"]}
    setting = client.update_alias if "live" in known else client.create_alias
    setting(FunctionName=function, Name="live", FunctionVersion=version, RoutingConfig=routing)


def versions(aws, function):
    listed = aws.client("lambda").list_versions_by_function(FunctionName=function)["Versions"]
    return {each["Version"] for each in listed} - {"$LATEST"}


def test_a_deploy_that_is_rolled_back_finds_the_version_that_is_live(aws, function):
    """CloudFormation then need not change the alias, and CodeDeploy shifts nothing."""
    point(aws, function, publish(aws, function, "Create"))
    change(aws, function, "60")
    assert publish(aws, function) == "2"
    change(aws, function, "300")
    assert publish(aws, function) == "1"
    assert versions(aws, function) == {"1", "2"}


@pytest.mark.parametrize(
    ("alias", "weights", "kept"),
    [
        ("1", {}, {"1", "4", "5"}),
        ("2", {"v1": 0.1}, {"1", "2", "4", "5"}),  # while traffic shifts, the alias has a second version by its weight
        ("4", {}, {"4", "5"}),
    ],
)
def test_a_version_that_receives_messages_is_kept_however_old_it_is(aws, function, alias, weights, kept):
    for sends in ("1", "2", "3", "4"):
        aws.client("lambda").publish_version(FunctionName=function)
        change(aws, function, sends)
    point(aws, function, alias, **weights)
    assert publish(aws, function) == "5"
    assert versions(aws, function) == kept


def test_a_function_that_is_not_there_is_named_in_the_reason(aws):
    answer = provide(aws, "Custom::PublishedVersion", GUILDHOOK_PUBLISHED_FUNCTION="nobody")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("a version of nobody is not published: ")


def test_the_cluster_is_protected(aws, cluster):
    rds = aws.client("rds")
    answer = provide(aws, "Custom::DeletionProtection", GUILDHOOK_PROTECTED_CLUSTER=cluster)
    assert answer["Status"] == "SUCCESS"
    (described,) = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    assert described["DeletionProtection"] is True


def test_deleting_the_stack_does_not_end_the_protection(aws, cluster):
    provide(aws, "Custom::DeletionProtection", GUILDHOOK_PROTECTED_CLUSTER=cluster)
    assert provide(aws, "Custom::DeletionProtection", "Delete")["Status"] == "SUCCESS"
    (described,) = aws.client("rds").describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    assert described["DeletionProtection"] is True


def test_log_groups_keep_their_lines_for_the_days_of_the_parameter(aws):
    logs, service = aws.client("logs"), uuid4().hex
    groups = {f"/aws/rds/cluster/{service}/postgresql", f"/aws/rds/proxy/{service}"}
    logs.create_log_group(logGroupName=f"/aws/rds/proxy/{service}")  # as RDS does
    for days in ("30", "7"):
        answer = provide(
            aws, "Custom::LogRetention", GUILDHOOK_LOG_GROUPS=",".join(groups), GUILDHOOK_LOG_RETENTION_DAYS=days
        )
        assert answer["Status"] == "SUCCESS", answer
        found = logs.describe_log_groups(logGroupNamePrefix="/aws/rds/")["logGroups"]
        kept = {group["logGroupName"]: group["retentionInDays"] for group in found if service in group["logGroupName"]}
        assert kept == dict.fromkeys(groups, int(days))
    for group in groups:
        logs.delete_log_group(logGroupName=group)


@pytest.mark.parametrize(
    ("resource_type", "variable"),
    [
        ("Custom::PublishedVersion", "GUILDHOOK_PUBLISHED_FUNCTION"),
        ("Custom::DeletionProtection", "GUILDHOOK_PROTECTED_CLUSTER"),
        ("Custom::LogRetention", "GUILDHOOK_LOG_GROUPS"),
    ],
)
def test_a_step_without_its_variable_fails_and_names_it(aws, resource_type, variable):
    answer = provide(aws, resource_type)
    assert (answer["Status"], answer["Reason"]) == ("FAILED", f"{variable} is not set")


@pytest.mark.parametrize("event", [None, {}, {"action": "publish"}, {"Records": []}])
def test_other_events_are_refused(aws, event):
    with (
        loaded_function(DEPLOY_STEPS, aws.environment) as handler,
        pytest.raises(UnknownEventError, match="CloudFormation"),
    ):
        handler(event, CONTEXT)
