"""Stacks in moto that stand in for deployed ones, for the documented commands.

moto's CloudFormation lacks parts of the network and the cluster, and secrets: stacks with the outputs of the real ones,
and a queue, stand in for them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.templates import read_template, transformed
from infra.test_deployment import without_unknown

NESTED = {
    "Network": "network",
    "Database": "database",
    "UsedNetwork": "used_network",
    "UsedDatabase": "used_database",
}


def stand_in(name: str) -> dict[str, Any]:
    """The nested template with its parameters, outputs and exports. The values of what is made are texts."""
    template = read_template(f"infra/{NESTED[name]}.yaml")
    outputs = template["Outputs"]
    if not name.startswith("Used"):
        outputs = {output: {**each, "Value": f"{name.lower()}-{output}"} for output, each in outputs.items()}
    named = template["Parameters"] if name.startswith("Used") else {}
    parameters = {parameter: {"Type": "String"} for parameter in named}
    return {"Parameters": parameters, "Resources": {"Held": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}


def deploy(aws: Any, packages: str, stack: str, parameters: Mapping[str, str], nested: Sequence[str]) -> None:
    """Create the stack as `sam deploy` does, with some of its nested stacks."""
    whole = transformed(parameters, packages)
    known = without_unknown(whole)
    added: dict[str, Any] = {}
    for name in nested:
        resource = whole["Resources"][name]
        # moto has no attributes of nested stacks. Those that stand in for others need no parameters.
        given = resource["Properties"]["Parameters"] if name.startswith("Used") else {}
        properties = {"TemplateURL": f"https://{packages}.s3.amazonaws.com/{name}.json", "Parameters": given}
        added[name] = {**resource, "Properties": properties, "DependsOn": []}
    if "ExistingSettingsKey" not in parameters:
        added["SettingsKey"] = {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain"}
    # moto finds resources of a deleted stack only before the first one that is gone.
    # moto would start the functions in Docker if their queues called them.
    sources = {n for n, each in known["Resources"].items() if each["Type"] == "AWS::Lambda::EventSourceMapping"}
    known["Resources"] = {n: each for n, each in known["Resources"].items() if n not in sources}
    kept = {n: each for n, each in known["Resources"].items() if "Retain" in each.get("DeletionPolicy", "")}
    template = {**known, "Resources": added | kept | known["Resources"]}
    for resource in template["Resources"].values():
        # moto knows neither policy, and would delete these resources.
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"
    aws.client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )


def resources(aws: Any, stack: str) -> dict[str, str]:
    made = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made if "PhysicalResourceId" in each}
