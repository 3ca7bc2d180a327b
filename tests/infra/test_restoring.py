"""The commands of docs/restore.md, run against moto, and the properties of a cluster that begins with data.

moto's CloudFormation has no clusters, so that the restore itself is Aurora's and is run nowhere.
"""

import json
import re
import shutil
from uuid import uuid4

import pytest

from docs.blocks import blocks
from infra.stand_ins import deploy, resources, stand_in
from infra.templates import CHAT, REGION, broken_rules, read_template, resolve
from infra.test_nested import DATABASE
from project import ROOT

FIND, COPY, PROTECT, DEPLOY, UNDELETE, REPLICATE, ELSEWHERE = (
    block.text for block in blocks(ROOT / "docs" / "restore.md") if block.markers == ("aws", "restored")
)
SOURCES = {
    "nothing": {},
    "the latest moment of a cluster": {"SourceCluster": "guildhook-1"},
    "a moment of a cluster": {"SourceCluster": "guildhook-1", "SourceTime": "2026-11-25T10:00:00Z"},
    "a snapshot": {"SourceSnapshot": f"arn:aws:rds:{REGION}:123456789012:cluster-snapshot:guildhook-1"},
}
OF_A_SOURCE = {"SourceDBClusterIdentifier", "RestoreToTime", "UseLatestRestorableTime", "SnapshotIdentifier"}
INHERITED = {"MasterUsername", "DatabaseName", "StorageEncrypted"}
with_aws = pytest.mark.skipif(not shutil.which("aws"), reason="the documented commands need the AWS CLI")


def cluster_from(source):
    return resolve(read_template("infra/database.yaml"), {**DATABASE, **source})["Cluster"]


@pytest.mark.parametrize(
    ("source", "properties"),
    [
        ("nothing", {}),
        (
            "the latest moment of a cluster",
            {"SourceDBClusterIdentifier": "guildhook-1", "UseLatestRestorableTime": True},
        ),
        (
            "a moment of a cluster",
            {"SourceDBClusterIdentifier": "guildhook-1", "RestoreToTime": "2026-11-25T10:00:00Z"},
        ),
        ("a snapshot", {"SnapshotIdentifier": SOURCES["a snapshot"].get("SourceSnapshot")}),
    ],
)
def test_a_cluster_begins_with_the_data_of_one_source(source, properties):
    cluster = cluster_from(SOURCES[source])
    assert {name: cluster[name] for name in OF_A_SOURCE & set(cluster)} == properties
    # RDS refuses them beside a source, and inherits them.
    assert INHERITED & set(cluster) == (INHERITED if source == "nothing" else set())


def test_a_copy_differs_from_an_empty_cluster_in_nothing_else():
    empty = cluster_from({})
    for source in ("a moment of a cluster", "a snapshot"):
        copy = cluster_from(SOURCES[source])
        assert {name: each for name, each in copy.items() if name not in OF_A_SOURCE} == {
            name: each for name, each in empty.items() if name not in INHERITED
        }


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"SourceCluster": "guildhook-1", "SourceSnapshot": "guildhook-2"}, "leave the other one empty"),
        ({"SourceTime": "2026-11-25T10:00:00Z"}, "SourceTime is a moment of SourceCluster"),
        ({"SourceSnapshot": "guildhook-1", "SourceTime": "2026-11-25T10:00:00Z"}, "is a moment of SourceCluster"),
    ],
)
def test_sources_that_contradict_each_other_are_refused(source, said):
    (description,) = broken_rules({**DATABASE, **source}, "infra/database.yaml")
    assert said in description


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_is_well_formed(source):
    assert broken_rules({**DATABASE, **SOURCES[source]}, "infra/database.yaml") == []
    declared = read_template("infra/database.yaml")["Parameters"]
    for name, value in SOURCES[source].items():
        assert re.fullmatch(declared[name]["AllowedPattern"], value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("SourceCluster", "guildhook_1"),
        ("SourceTime", "2026-11-25 10:00"),
        ("SourceTime", "2026-11-25T10:00:00+01:00"),
        ("SourceSnapshot", "rds:guildhook"),
    ],
)
def test_malformed_sources_are_refused(parameter, value):
    assert not re.fullmatch(read_template("infra/database.yaml")["Parameters"][parameter]["AllowedPattern"], value)


def test_a_running_stack_gives_its_database_no_source():
    """A nested database is never replaced because a parameter of the root was left out."""
    given = read_template()["Resources"]["Database"]["Properties"]["Parameters"]
    assert not {"SourceCluster", "SourceTime", "SourceSnapshot"} & set(given)


@pytest.fixture
def checkout(tmp_path):
    """The templates that the commands name, as moto can create them."""
    (tmp_path / "infra").mkdir()
    for name in ("Network", "Database"):
        template = stand_in(name) | {"Parameters": read_template(f"infra/{name.lower()}.yaml")["Parameters"]}
        for parameter in template["Parameters"].values():
            parameter["Type"] = "String"  # moto looks for resources of EC2
        (tmp_path / "infra" / f"{name.lower()}.yaml").write_text(json.dumps(template))


def parameters_of(aws, stack):
    (described,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]}


@with_aws
def test_a_copy_of_a_running_stack_is_taken_up_by_another(aws, packages, run, checkout):
    stack, copy = f"guildhook-{uuid4().hex[:8]}", f"copy-{uuid4().hex[:8]}"
    deploy(aws, packages, stack, CHAT, ["Network", "Database"])
    before = resources(aws, stack)
    aws.client("rds").create_db_cluster(
        DBClusterIdentifier="database-ClusterId",
        Engine="aurora-postgresql",
        MasterUsername="guildhook_owner",
        MasterUserPassword="a password of moto",
    )
    find = FIND.replace("stack=guildhook\n", f"stack={stack}\n").replace("copy=guildhook-copy\n", f"copy={copy}\n")
    names = ("network", "database", "cluster", "settings_key")
    found = run(find, {}, *names)
    assert found == {
        "network": before["Network"],
        "database": before["Database"],
        "cluster": "database-ClusterId",
        "settings_key": before["SettingsKey"],
    }

    run(f"{find}\n{COPY}\n{PROTECT}", {}, "moment")
    given = parameters_of(aws, f"{copy}-database")
    assert given.pop("SourceTime") == "2026-11-25T10:00:00Z"
    assert given.pop("SourceCluster") == "database-ClusterId"
    assert {name: given[name] for name in ("VpcId", "SubnetIds", "FunctionsGroup")} == {
        name: f"network-{name}" for name in ("VpcId", "SubnetIds", "FunctionsGroup")
    }
    policy = aws.client("cloudformation").get_stack_policy(StackName=f"{copy}-database")["StackPolicyBody"]
    (denied,) = (each for each in json.loads(policy)["Statement"] if each["Effect"] == "Deny")
    assert denied["Resource"].removeprefix("LogicalResourceId/") in read_template("infra/database.yaml")["Resources"]
    assert set(denied["Action"]) == {"Update:Replace", "Update:Delete"}

    # moto has no exports of a stack that a change set made.
    cloudformation = aws.client("cloudformation")
    template = cloudformation.get_template(StackName=f"{copy}-database")["TemplateBody"]
    parameters = cloudformation.describe_stacks(StackName=f"{copy}-database")["Stacks"][0]["Parameters"]
    cloudformation.delete_stack(StackName=f"{copy}-database")
    cloudformation.create_stack(
        StackName=f"{copy}-database",
        TemplateBody=template if isinstance(template, str) else json.dumps(template),
        Parameters=[{key: each[key] for key in ("ParameterKey", "ParameterValue")} for each in parameters],
    )

    secret = aws.client("secretsmanager").create_secret(Name=uuid4().hex, SecretString='{"settings_key": "k"}')
    values = {"$copy-database": f"{copy}-database", "$network": before["Network"], "$settings_key": secret["ARN"]}
    taken = {key: values[text] for key, text in re.findall(r'(Existing\w+)="([^"]+)"', DEPLOY)}
    assert set(taken) == {"ExistingNetwork", "ExistingDatabase", "ExistingSettingsKey"}
    assert set(re.findall(r"(\w+)=", DEPLOY)) - set(taken) == {*CHAT, "UnmarkedAuthors"}
    assert broken_rules({**CHAT, **taken}) == []
    deploy(aws, packages, copy, {**CHAT, **taken}, ["UsedNetwork", "UsedDatabase"])
    after = resources(aws, copy)
    assert after["Artifacts"] != before["Artifacts"]
    variables = aws.client("lambda").get_function_configuration(FunctionName=after["OnMessage"])["Environment"]
    assert variables["Variables"]["GUILDHOOK_SETTINGS_SECRET"] == secret["ARN"]


@with_aws
def test_a_deleted_key_comes_back_and_opens_in_another_region(aws, run, checkout):
    secrets = aws.client("secretsmanager")
    key = secrets.create_secret(Name=uuid4().hex, SecretString='{"settings_key": "k"}')["ARN"]
    secrets.delete_secret(SecretId=key)
    run(UNDELETE, {"settings_key": key})
    found = run(REPLICATE, {"settings_key": key}, "region", "replica")
    assert found["region"] in found["replica"]
    elsewhere = run(
        'value=$(aws secretsmanager get-secret-value --region "$region" --secret-id "$replica" --query SecretString '
        "--output text)",
        found,
        "value",
    )
    assert json.loads(elsewhere["value"]) == {"settings_key": "k"}

    stacks = run(f"{ELSEWHERE}", {**found, "name": "guildhook-2026-11-25-10-00"}, "copy", "AWS_REGION")
    assert stacks == {"copy": "guildhook-copy", "AWS_REGION": found["region"]}
    given = run(
        "source=$(aws cloudformation describe-stacks --stack-name guildhook-copy-database --query "
        "\"Stacks[0].Parameters[?ParameterKey=='SourceSnapshot'].ParameterValue\" --output text)",
        {"AWS_REGION": found["region"], "AWS_DEFAULT_REGION": found["region"]},
        "source",
    )
    assert given == {"source": "guildhook-2026-11-25-10-00"}
