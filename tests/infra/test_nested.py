"""Tests the parameters and outputs of the nested stacks, and the rules of the network and the database."""

import re
from graphlib import TopologicalSorter

import pytest

from infra.templates import CHAT, DEPLOYMENTS, deployment, needs, read_template, referred, resolve, transformed
from infra.test_permissions import USERS
from project import ROOT

NETWORK = {"VpcCidr": "10.42.0.0/16", "ChatApiPort": 443}
DATABASE = {
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
    "FunctionsGroup": "sg-functions",
    "MinimumCapacity": 0.5,
    "MaximumCapacity": 4,
    "Standby": "true",
    "WithProxy": "true",
}


@pytest.fixture
def network():
    return resolve(read_template("infra/network.yaml"), NETWORK)


@pytest.fixture
def database():
    return resolve(read_template("infra/database.yaml"), DATABASE)


def nested(root):
    return root.of_type("AWS::CloudFormation::Stack").items()


def test_every_template_of_infra_is_a_nested_stack():
    deployments = map(deployment, ("a database of its own", "CloudFront"))
    used = {properties["TemplateURL"] for each in deployments for _, properties in nested(each)}
    assert used == {f"infra/{path.name}" for path in (ROOT / "infra").glob("*.yaml")}


@pytest.mark.parametrize("name", ["a database of its own", "taken up", "by token", "CloudFront"])
def test_a_nested_stack_is_given_its_declared_parameters(name):
    for stack, properties in nested(deployment(name)):
        declared = read_template(properties["TemplateURL"])["Parameters"]
        given = set(properties["Parameters"])
        assert given <= set(declared), stack
        assert {parameter for parameter, each in declared.items() if "Default" not in each} <= given, stack


def test_the_root_reads_only_existing_outputs_of_nested_stacks():
    text = (ROOT / "template.yaml").read_text()
    deployments = map(deployment, ("a database of its own", "CloudFront"))
    templates = {stack: properties["TemplateURL"] for each in deployments for stack, properties in nested(each)}
    asked = re.findall(r"(?:!GetAtt |\$\{)(\w+)\.Outputs\.(\w+)", text)
    assert asked
    for stack, output in asked:
        assert output in read_template(templates[stack])["Outputs"], f"{stack}.{output}"


def test_the_stack_reads_what_it_makes_or_takes_up_in_one_place():
    """`UsedNetwork` and `UsedDatabase` have each output, and the others read it there."""
    template = read_template()
    read = [
        f"{name}.{path}"
        for name, resource in template["Resources"].items()
        for path in referred(resource, {})
        if path.startswith(("Network.Outputs.", "Database.Outputs.")) and name not in ("UsedNetwork", "UsedDatabase")
    ]
    assert read == []
    made, taken = (deployment(name) for name in ("a database of its own", "taken up"))
    for kind in ("Network", "Database"):
        outputs = read_template(f"infra/{kind.lower()}.yaml")["Outputs"]
        assert made[f"Used{kind}"]["Parameters"] == {output: f"{kind}.Outputs.{output}" for output in outputs}
        exports = {output: each["Export"]["Name"] for output, each in outputs.items()}
        assert exports == {output: {"Fn::Sub": "${AWS::StackName}-" + output} for output in outputs}
        given = {output: f"export guildhook-{kind}-1-{output}" for output in outputs}
        assert taken[f"Used{kind}"]["Parameters"] == given
        used = read_template(f"infra/used_{kind.lower()}.yaml")["Outputs"]
        assert {output: each["Value"] for output, each in used.items()} == {
            output: {"Ref": output} for output in outputs
        }


def test_a_new_database_may_be_in_a_network_that_is_taken_up():
    parameters = {**CHAT, "ExistingNetwork": "guildhook-Network-1"}
    stack = resolve(transformed(parameters), parameters)
    assert "Network" not in stack.resources
    assert stack["UsedNetwork"]["Parameters"]["VpcId"] == "export guildhook-Network-1-VpcId"
    assert stack["Database"]["Parameters"]["VpcId"] == "UsedNetwork.Outputs.VpcId"
    assert stack["UsedDatabase"]["Parameters"]["Address"] == "Database.Outputs.Address"


def test_the_preflight_checks_the_zones_of_a_network_that_the_stack_makes():
    for name, made in (("a database of its own", True), ("taken up", False)):
        stack = deployment(name)
        assert ("Zones" in stack["AccountPreflightPassed"]) is made
        assert ("GUILDHOOK_AVAILABILITY_ZONES" in stack["AccountPreflight"]["Environment"]["Variables"]) is made


@pytest.mark.parametrize("preflight", ["required", "off"])
@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_resource_needs_itself_or_an_absent_one(name, preflight):
    parameters = {**DEPLOYMENTS[name], "Preflight": preflight}
    template = transformed(parameters)
    needed = needs(template, parameters)
    assert {each: names - set(needed) for each, (names, _) in needed.items() if names - set(needed)} == {}
    # CloudFormation ignores a DependsOn of a declared resource whose condition does not hold.
    waits = {each: names | (after & set(needed)) for each, (names, after) in needed.items()}
    assert set().union(*(after for _, after in needed.values())) <= set(template["Resources"])
    TopologicalSorter(waits).prepare()  # or it raises CycleError


def test_nobody_comes_in_from_outside_and_there_is_no_nat(network):
    kinds = {resource["Type"] for resource in network.resources.values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::SecurityGroupIngress"}
    (route,) = network.of_type("AWS::EC2::Route").values()
    assert (route["DestinationIpv6CidrBlock"], route["EgressOnlyInternetGatewayId"]) == ("::/0", "WayOut")
    assert "SecurityGroupIngress" not in network["FunctionsGroup"]


def functions_in_a_network(name):
    """All but the one that reaches S3 alone."""
    functions = deployment(name).of_type("AWS::Lambda::Function")
    return [each for logical_id, each in functions.items() if "VpcConfig" in each and logical_id != "TestRun"]


def test_the_functions_reach_s3_by_an_endpoint_and_all_else_of_aws_by_ipv6(network):
    """Both cost nothing. An interface endpoint costs 7 USD a month and zone, and three services need one."""
    endpoints = {
        properties["ServiceName"].rpartition(".")[2]: properties["VpcEndpointType"]
        for properties in network.of_type("AWS::EC2::VPCEndpoint").values()
    }
    assert endpoints == {"s3": "Gateway"}
    for name, uses_ipv6 in (("a database of its own", True), ("owner apart, in a VPC", None)):
        assert functions_in_a_network(name)
        for function in functions_in_a_network(name):
            variables = function["Environment"]["Variables"]
            assert variables.get("AWS_USE_DUALSTACK_ENDPOINT") == (uses_ipv6 and "true"), name
            assert function["VpcConfig"].get("Ipv6AllowedForDualStack") == uses_ipv6, name
    ports = {
        (rule["FromPort"], rule.get("CidrIp"), rule.get("CidrIpv6"))
        for rule in network["FunctionsGroup"]["SecurityGroupEgress"]
    }
    assert ports == {(443, "0.0.0.0/0", None), (5432, "10.42.0.0/16", None), (443, None, "::/0")}


def test_test_runs_reach_s3_and_neither_the_database_nor_ipv6(network, database):
    (rule,) = network["TestRunGroup"]["SecurityGroupEgress"]
    assert (rule["CidrIp"], rule["FromPort"], rule["ToPort"]) == ("0.0.0.0/0", 443, 443)
    assert "SecurityGroupIngress" not in network["TestRunGroup"]
    admitted = {
        rule["SourceSecurityGroupId"]
        for stack in (network, database)
        for group in stack.of_type("AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupIngress", ())
    }
    assert admitted == {"sg-functions", "ProxyGroup"}
    assert network.outputs["TestRunGroup"]["Value"] == "TestRunGroup"


def test_an_endpoint_serves_this_account_alone(network):
    for name, properties in network.of_type("AWS::EC2::VPCEndpoint").items():
        for statement in properties["PolicyDocument"]["Statement"]:
            answers = statement["Sid"] == "AnswersToCloudFormation"
            assert answers or statement["Condition"]["StringEquals"] == {"aws:PrincipalAccount": "123456789012"}, name


def test_the_chat_servers_port_is_let_out():
    network = resolve(read_template("infra/network.yaml"), {**NETWORK, "ChatApiPort": 8443})
    assert 8443 in {rule["FromPort"] for rule in network["FunctionsGroup"]["SecurityGroupEgress"]}


def test_a_chat_server_in_a_peered_network_is_reached_at_its_port_too(network):
    # EC2 would refuse two equal rules.
    assert "ToPeeredChatServer" not in network.resources
    elsewhere = resolve(read_template("infra/network.yaml"), {**NETWORK, "ChatApiPort": 8443})
    rule = elsewhere["ToPeeredChatServer"]
    assert (rule["GroupId"], rule["CidrIp"], rule["FromPort"]) == ("FunctionsGroup", "0.0.0.0/0", 8443)


def test_the_identity_provider_is_reachable_with_any_port_of_the_chat_server(network):
    assert "ToIdentityProvider" not in network.resources
    elsewhere = resolve(read_template("infra/network.yaml"), {**NETWORK, "ChatApiPort": 8443})
    rule = elsewhere["ToIdentityProvider"]
    assert (rule["GroupId"], rule["CidrIpv6"], rule["FromPort"]) == ("FunctionsGroup", "::/0", 443)


def test_the_zones_are_the_regions_first_unless_they_are_given(network):
    subnets = ("FirstSubnet", "SecondSubnet")
    assert [network[each]["AvailabilityZone"] for each in subnets] == ["eu-central-1a", "eu-central-1b"]
    given = {**NETWORK, "AvailabilityZones": "us-east-1c,us-east-1d"}
    chosen = resolve(read_template("infra/network.yaml"), given)
    assert [chosen[each]["AvailabilityZone"] for each in subnets] == ["us-east-1c", "us-east-1d"]


def test_the_engine_is_one_that_can_still_be_had_in_three_years(database):
    """AWS keeps one minor version of each major one. New clusters of others fail after about a year."""
    long_term = {"16.8", "17.7"}
    assert database["Cluster"]["EngineVersion"] in long_term


def test_the_minor_version_changes_with_a_release_and_never_by_itself(database):
    """AWS: a cluster leaves its long-term version if this is on for it or for one of its instances."""
    assert database["Cluster"]["AutoMinorVersionUpgrade"] is False
    for name in ("Instance", "StandbyInstance"):
        # The cluster's setting holds for its instances, unless they have another.
        assert "AutoMinorVersionUpgrade" not in database[name]


def test_only_the_functions_and_the_proxy_reach_the_database(database):
    sources = {rule["SourceSecurityGroupId"] for rule in database["DatabaseGroup"]["SecurityGroupIngress"]}
    assert sources == {"sg-functions", "ProxyGroup"}
    assert [rule["SourceSecurityGroupId"] for rule in database["ProxyGroup"]["SecurityGroupIngress"]] == [
        "sg-functions"
    ]
    for name in ("Instance", "StandbyInstance"):
        assert database[name]["PubliclyAccessible"] is False


def test_the_database_is_encrypted_and_kept_and_does_not_log_statements(database):
    cluster = database["Cluster"]
    assert cluster["StorageEncrypted"] is True
    # The last step of a deploy turns it on. Here it would keep the cluster of a first deploy that fails.
    assert "DeletionProtection" not in cluster
    assert database.resources["Cluster"]["DeletionPolicy"] == "Snapshot"
    assert cluster["BackupRetentionPeriod"] >= 7
    erase = deployment("a database of its own")["Erase"]["Environment"]["Variables"]
    assert erase["GUILDHOOK_BACKUP_DAYS"] == str(cluster["BackupRetentionPeriod"])
    parameters = database[cluster["DBClusterParameterGroupName"]]["Parameters"]
    assert parameters == {"rds.force_ssl": "1", "log_error_verbosity": "terse"}
    assert database["Parameters"]["Family"] == f"aurora-postgresql{cluster['EngineVersion'].split('.')[0]}"


def test_a_token_takes_the_place_of_every_password_but_the_owners(database):
    assert database["Cluster"]["EnableIAMDatabaseAuthentication"] is True
    assert database["Cluster"]["ManageMasterUserPassword"] is True
    assert database["Proxy"]["DefaultAuthScheme"] == "IAM_AUTH"
    assert database["Proxy"]["RequireTLS"] is True
    (statement,) = database["ProxyRole"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "rds-db:connect"
    users = {resource.rpartition(":dbuser:Cluster.DBClusterResourceId/")[2] for resource in statement["Resource"]}
    # The others are those of functions of earlier releases, which run until the deploy replaces them.
    earlier = {user.removesuffix("_v2") for name, user in USERS.items() if name != "Erase"} | {"guildhook"}
    assert users == {*USERS.values(), *earlier}
    assert not database.of_type("AWS::SecretsManager::Secret")


def test_the_proxy_has_a_name_that_rds_takes(database):
    assert re.fullmatch(r"[a-zA-Z](-?[a-zA-Z0-9]+){0,62}", database["Proxy"]["DBProxyName"])


def test_a_standby_is_there_if_it_is_asked_for(database):
    assert "StandbyInstance" in database.resources
    alone = resolve(read_template("infra/database.yaml"), {**DATABASE, "Standby": "false"})
    assert "StandbyInstance" not in alone.resources


def test_without_a_proxy_the_functions_connect_to_the_cluster():
    alone = resolve(read_template("infra/database.yaml"), {**DATABASE, "WithProxy": "false"})
    assert not alone.of_type("AWS::RDS::DBProxy")
    assert not [name for name in alone.resources if name.startswith("Proxy")]
    sources = {rule["SourceSecurityGroupId"] for rule in alone["DatabaseGroup"]["SecurityGroupIngress"]}
    assert sources == {"sg-functions"}
    assert alone.outputs["Address"]["Value"] == "Cluster.Endpoint.Address:5432/guildhook?sslmode=require"
    assert alone.outputs["UsersArn"]["Value"].endswith(":dbuser:Cluster.DBClusterResourceId")
    assert alone.outputs["ProxyName"]["Value"] == "none"


@pytest.mark.parametrize(
    ("asked", "batches", "with_proxy"),
    [("auto", 2, "false"), ("auto", 10, "false"), ("auto", 11, "true"), ("true", 2, "true"), ("false", 1000, "false")],
)
def test_a_proxy_is_there_if_more_than_ten_batches_are_handled_at_once(asked, batches, with_proxy):
    parameters = {**CHAT, "DatabaseProxy": asked, "MaximumConcurrency": batches}
    assert resolve(read_template(), parameters)["Database"]["Parameters"]["WithProxy"] == with_proxy


def test_the_functions_check_the_proxys_certificate(database):
    address = database.outputs["Address"]["Value"]
    assert address.startswith("Proxy.Endpoint:5432/guildhook?sslmode=verify-full&sslrootcert=/opt/python/")
    assert database.outputs["OwnerUrl"]["Value"].endswith("?sslmode=require")
