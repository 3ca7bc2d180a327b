"""Tests that the preflight's checks come before everything that costs, and run again when their parameters change."""

import re

import pytest

from infra.templates import CHAT, DEPLOYMENTS, deployment, read_template, resolve, transformed
from infra.test_template import FUNCTIONS, PREFLIGHTS

FIRST, SECOND = "AccountPreflightPassed", "NetworkPreflightPassed"
COSTLY = ("AWS::CloudFormation::Stack", "AWS::SecretsManager::Secret")
"""The resources that cost while nothing happens: endpoints, database, proxy, alarms, dashboard and secrets."""
ITS_OWN = {"AccountPreflight", "AccountPreflightRole", "AccountPreflightLogs"}


def waits_for(template, name, seen=frozenset()):
    """The resources that CloudFormation completes before it begins with the resource `name`."""
    after = named_in(template["Resources"][name]) & set(template["Resources"]) - seen - {name}
    return after.union(*(waits_for(template, each, seen | after | {name}) for each in after))


def named_in(value):
    match value:
        case {"Ref": name}:
            return {name}
        case {"Fn::GetAtt": [name, *_]}:
            return {name}
        case {"Fn::GetAtt": name}:
            return {name.partition(".")[0]}
        case {"Fn::Sub": text} if isinstance(text, str):
            return set(re.findall(r"\$\{(\w+)", text))
        case {"Fn::Sub": [text, names]}:
            return set(re.findall(r"\$\{(\w+)", text)) | named_in(names)
        case dict():
            dependencies = value.get("DependsOn", [])
            listed = [dependencies] if isinstance(dependencies, str) else dependencies
            return set(listed).union(*map(named_in, value.values()))
        case list():
            return set().union(*map(named_in, value))
    return set()


@pytest.fixture(scope="module")
def template():
    return transformed(CHAT)


def test_everything_that_costs_waits_for_the_first_check(template):
    costly = [name for name, each in template["Resources"].items() if each["Type"] in COSTLY]
    assert {"Network", "Database", "Observability", "SettingsKey", "SigningKey"} <= set(costly)
    assert [name for name in costly if FIRST not in waits_for(template, name)] == []


def test_the_first_check_waits_for_nothing_that_costs_and_for_no_network(template):
    before = {name: template["Resources"][name]["Type"] for name in waits_for(template, FIRST)}
    assert not set(before.values()) & set(COSTLY)
    assert before.keys() >= ITS_OWN
    assert "VpcConfig" not in deployment("a database of its own")["AccountPreflight"]


def test_the_second_check_is_after_the_network_and_before_the_database(template):
    assert {FIRST, "Network"} <= waits_for(template, SECOND)
    assert "Database" not in waits_for(template, SECOND)
    # Each function but those of the preflight waits for Migrate, or for a function that does.
    for name in ("Database", "Migrated", *FUNCTIONS - PREFLIGHTS - {"Migrate"}):
        assert SECOND in waits_for(template, name), name
    stack = deployment("a database of its own")
    assert stack["NetworkPreflight"]["VpcConfig"] == stack["AdminApi"]["VpcConfig"]


def test_the_second_check_answers_through_the_s3_endpoint():
    network = resolve(read_template("infra/network.yaml"), {"VpcCidr": "10.42.0.0/16", "ChatApiPort": 443})
    (statement,) = [
        each for each in network["S3"]["PolicyDocument"]["Statement"] if each["Sid"] == "AnswersToCloudFormation"
    ]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "s3:PutObject")
    assert statement["Resource"] == "arn:aws:s3:::cloudformation-custom-resource-response-*/*"
    assert network["S3"]["VpcEndpointType"] == "Gateway"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_check_is_asked_of_its_own_function_in_time(name):
    stack = deployment(name)
    for function in PREFLIGHTS:
        resource = stack.resources[f"{function}Passed"]
        assert resource["Type"] == f"Custom::{function}"
        assert resource["Properties"]["ServiceToken"] == f"{function}.Arn"
        assert int(resource["Properties"]["ServiceTimeout"]) > stack[function]["Timeout"]
        # The check itself would be what is out of concurrency.
        assert "ReservedConcurrentExecutions" not in stack[function]


@pytest.mark.parametrize("name", DEPLOYMENTS)
@pytest.mark.parametrize("function", sorted(PREFLIGHTS))
def test_a_changed_parameter_brings_about_another_check(name, function):
    stack = deployment(name)
    properties = stack[f"{function}Passed"]
    values = {value for each in properties.values() for value in (each if isinstance(each, list) else [each])}
    variables = stack[function]["Environment"]["Variables"]
    own = {key: value for key, value in variables.items() if key.startswith("GUILDHOOK_")}
    # These two are of the network, which is another one if they differ.
    network = {"GUILDHOOK_STACK", "GUILDHOOK_IPV6_NETWORK"}
    unused = {"GUILDHOOK_JWT_AUDIENCE", "GUILDHOOK_JWT_CLIENT_ID"} if function == "NetworkPreflight" else set()
    unused |= {"GUILDHOOK_CHAT_API_URL"} if function == "AccountPreflight" else set()
    assert {value for key, value in own.items() if key not in network | unused} <= values


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_check_of_concurrency_knows_the_reserved_concurrency_of_all_functions(name):
    stack = deployment(name)
    told = stack["AccountPreflight"]["Environment"]["Variables"]["GUILDHOOK_RESERVED_CONCURRENCY"]
    functions = stack.of_type("AWS::Lambda::Function").values()
    reserved = [function.get("ReservedConcurrentExecutions", 0) for function in functions]
    assert sum(map(int, told.split(","))) == sum(map(int, reserved))


def test_nothing_is_checked_that_is_not_used():
    def variables(**parameters):
        chosen = {**CHAT, **parameters}
        return resolve(transformed(chosen), chosen)["AccountPreflight"]["Environment"]["Variables"]

    assert variables(ReserveConcurrency="false").get("GUILDHOOK_RESERVED_CONCURRENCY") is None
    assert variables()["GUILDHOOK_AVAILABILITY_ZONES"] == "eu-central-1a,eu-central-1b"
    given = variables(AvailabilityZones="us-east-1c,us-east-1d")
    assert given["GUILDHOOK_AVAILABILITY_ZONES"] == "us-east-1c,us-east-1d"
    theirs = deployment("by token")["AccountPreflight"]["Environment"]["Variables"]
    names = ("JWT_KEYS_HOST", "DATABASE_SECRET", "MIGRATION_SECRET", "AVAILABILITY_ZONES")
    assert not {f"GUILDHOOK_{name}" for name in names} & set(theirs)


def test_an_operator_can_deploy_while_a_server_is_down():
    chosen = {**CHAT, "Preflight": "off"}
    without, with_checks = resolve(transformed(chosen), chosen), deployment("a database of its own")
    gone = set(with_checks.resources) - set(without.resources)
    assert gone == {f"{name}{part}" for name in PREFLIGHTS for part in ("", "Role", "Logs", "Passed")}
    assert set(without.resources) < set(with_checks.resources)
