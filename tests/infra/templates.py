"""template.yaml and the nested stacks as CloudFormation sees them: without SAM in them, under some parameters."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from project import ROOT

REGION = "eu-central-1"
ACCOUNT = "123456789012"
NO_VALUE = object()
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/guildhook/7f0d5c9c-0000-4000-8000-000000000001",
    "AWS::StackName": "guildhook",
    "AWS::URLSuffix": "amazonaws.com",
}

CHAT = {
    "ChatApiUrl": "https://chat.example.org",
    "ChatSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:chat-AbCdEf",
    "JwtIssuer": "https://login.example.org/realms/chat",
    "JwtAudience": "guildhook",
    "JwtClientId": "guildhook-page",
}
BY_TOKEN = {
    **CHAT,
    "DatabaseUrl": "postgresql://hook@db.example.org:5432/chat?sslmode=require",
    "DatabaseConnectArn": f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:prx-0a1b/hook",
}
BY_PASSWORD = {
    **CHAT,
    "DatabaseUrl": "postgresql://hook@db.example.org:5432/chat?sslmode=require",
    "DatabaseSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hook-AbCdEf",
}
OWNER_APART = {
    **BY_PASSWORD,
    "MigrationDatabaseUrl": "postgresql://owner@db.example.org:5432/chat?sslmode=require",
    "MigrationSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:owner-AbCdEf",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
}
ORIGIN = {"OriginSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:origin-AbCdEf"}
BY_ES256 = {**BY_TOKEN, **ORIGIN, "JwtAlgorithm": "ES256"}
BY_EDDSA = {**OWNER_APART, **ORIGIN, "JwtAlgorithm": "EdDSA"}
BY_CLOUDFRONT = {**BY_TOKEN, "Cache": "CloudFront"}
DOMAIN = {
    "DomainName": "plugins.example.org",
    "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/7f0d5c9c-0000-4000-8000-000000000001",
    "HostedZoneId": "Z0123456789ABCDEFGHIJ",
}
DOMAIN_OF_CLOUDFRONT = {
    **DOMAIN,
    "CertificateArn": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/7f0d5c9c-0000-4000-8000-000000000001",
}
WEB_ACL = f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/guildhook/7f0d5c9c-0000-4000-8000-000000000001"
TAKEN_UP = {
    **CHAT,
    "ExistingNetwork": "guildhook-Network-1",
    "ExistingDatabase": "guildhook-Database-1",
    "ExistingBucket": "guildhook-artifacts-1",
    "ExistingSettingsKey": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:SettingsKey-1-AbCdEf",
}
DEPLOYMENTS = {
    "a database of its own": CHAT,
    "by token": BY_TOKEN,
    "by password": BY_PASSWORD,
    "owner apart, in a VPC": OWNER_APART,
    "arm, traced": {**BY_TOKEN, "Architecture": "arm64", "Tracing": "Active"},
    "snapshots": {**BY_TOKEN, "SnapStart": "PublishedVersions"},
    "canary": {**BY_TOKEN, "CanaryPercent": "10"},
    "taken up": TAKEN_UP,
    "sent to by others": {
        **BY_TOKEN,
        "SenderTopicArns": f"arn:aws:sns:{REGION}:210987654321:chat,arn:aws:sns:{REGION}:{ACCOUNT}:chat.fifo",
        "SenderRuleArns": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/chat/messages",
        "SenderPrincipalArns": "arn:aws:iam::210987654321:role/chat",
    },
    "RS256, behind a cache": {**BY_TOKEN, **ORIGIN},
    "ES256": BY_ES256,
    "EdDSA": BY_EDDSA,
    "a domain": {**BY_TOKEN, **DOMAIN},
    "CloudFront": BY_CLOUDFRONT,
    "CloudFront, a given secret": {**BY_CLOUDFRONT, **ORIGIN},
    "EdDSA, CloudFront, a domain": {
        **OWNER_APART,
        **DOMAIN_OF_CLOUDFRONT,
        "Cache": "CloudFront",
        "WebAclArn": WEB_ACL,
        "JwtAlgorithm": "EdDSA",
    },
}
"""Parameters of stacks that operators may make."""


def read_template(name: str = "template.yaml") -> dict[str, Any]:
    return yaml_parse((ROOT / name).read_text())


def transformed(parameters: Mapping[str, str], packages: str = "packages") -> dict[str, Any]:
    """The template without SAM in it, as packaged: its code and nested templates lie in the bucket `packages`."""
    template = read_template()
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for name in {"CodeUri", "ContentUri"} & set(properties):
            properties[name] = f"s3://{packages}/code.zip"
    session = boto3.Session(region_name=REGION)
    return dict(Translator({}, Parser(), boto_session=session).translate(template, dict(parameters)))


@dataclass(frozen=True)
class Resolved:
    """Resources and outputs that exist under the parameters. A resource's Ref is its logical id, and an attribute of it
    `Name.Attribute`."""

    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Any]

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """Properties of a resource."""
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] == kind}


@cache
def deployment(name: str) -> Resolved:
    """One of DEPLOYMENTS."""
    return resolve(transformed(DEPLOYMENTS[name]), DEPLOYMENTS[name])


def resolve(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Resolved:
    resolver = _Resolver(template, parameters)
    parts = [
        {name: resolver.value(each) for name, each in template.get(part, {}).items() if resolver.exists(each)}
        for part in ("Resources", "Outputs")
    ]
    return Resolved(*parts)


def broken_rules(parameters: Mapping[str, Any], name: str = "template.yaml") -> list[str]:
    """The errors of CloudFormation for parameters of a template that contradict each other."""
    template = read_template(name)
    resolver = _Resolver(template, parameters)
    return [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if "RuleCondition" not in rule or resolver.value(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.value(assertion["Assert"])
    ]


def referred(value: Any, conditions: Mapping[str, Any]) -> set[str]:
    """The parameters, resources and `Resource.Attribute`s that a value depends on, by its conditions as well."""

    def of_all(values: Iterable[Any]) -> set[str]:
        return set().union(*(referred(each, conditions) for each in values))

    match value:
        case {"Ref": "AWS::NoValue"}:
            return set()
        case {"Ref": name}:
            return {name}
        case {"Fn::GetAtt": path}:
            return {path if isinstance(path, str) else ".".join(path)}
        case {"Fn::If": [condition, *values]}:
            return referred(conditions.get(condition), conditions) | of_all(values)
        case {"Condition": str(name)} if len(value) == 1:
            return referred(conditions.get(name), conditions)
        case {"Fn::Sub": argument}:
            text, names = argument if isinstance(argument, list) else (argument, {})
            return (set(re.findall(r"\$\{([\w.:]+)\}", text)) - set(names)) | of_all(names.values())
        case dict() | list():
            return of_all(value.values() if isinstance(value, dict) else value)
    return set()


def needs(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, tuple[set[str], set[str]]]:
    """For each resource that exists under the parameters: the resources that its properties refer to, and those that it
    waits for besides."""
    resolver = _Resolver(template, parameters)

    def live(value: Any) -> Any:
        match value:
            case {"Fn::If": [condition, yes, no]}:
                return live(yes if resolver.exists({"Condition": condition}) else no)
            case dict():
                return {key: live(each) for key, each in value.items()}
            case list():
                return [live(each) for each in value]
        return value

    found = {}
    for name, resource in template["Resources"].items():
        if resolver.exists(resource):
            names = {path.split(".")[0] for path in referred(live(resource.get("Properties", {})), {})}
            after = resource.get("DependsOn", [])
            found[name] = names & set(template["Resources"]), {after} if isinstance(after, str) else set(after)
    return found


_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "Fn::Equals": lambda sides: str(sides[0]) == str(sides[1]),
    "Fn::EachMemberEquals": lambda values: all(each == values[1] for each in values[0]),
    "Fn::Not": lambda values: not values[0],
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Join": lambda values: values[0].join(map(str, values[1])),
    "Fn::Split": lambda values: values[1].split(values[0]),
    "Fn::Select": lambda values: values[1][int(values[0])],
    "Fn::GetAZs": lambda _: [f"{REGION}{zone}" for zone in "abc"],
    "Fn::Cidr": lambda values: [f"{values[0]}, part {part}" for part in range(int(values[1]))],
}


class _Resolver:
    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self._conditions = template.get("Conditions", {})
        self._mappings = template.get("Mappings", {})
        declared = template.get("Parameters", {})
        given = {name: parameters.get(name, each.get("Default")) for name, each in declared.items()}
        lists = {name for name, each in declared.items() if "List" in each["Type"]}
        self._known = {**_PSEUDO, **{name: str(v).split(",") if name in lists else v for name, v in given.items()}}

    def exists(self, item: Mapping[str, Any]) -> bool:
        return "Condition" not in item or self._holds(item["Condition"])

    def _holds(self, condition: str) -> bool:
        return bool(self.value(self._conditions[condition]))

    def value(self, item: Any) -> Any:
        match item:
            case {"Ref": name}:
                return self._known.get(name, name)
            case {"Fn::GetAtt": [*path]}:
                return ".".join(path)
            case {"Fn::GetAtt": path}:
                return path
            case {"Condition": str(name)} if len(item) == 1:
                return self._holds(name)
            case {"Fn::If": [name, yes, no]}:
                return self.value(yes if self._holds(name) else no)
            case dict() if len(item) == 1 and next(iter(item)).startswith("Fn::"):
                ((function, argument),) = item.items()
                return self._call(function, argument)
            case dict():
                values = {key: self.value(each) for key, each in item.items()}
                return {key: each for key, each in values.items() if each is not NO_VALUE}
            case list():
                return [each for each in map(self.value, item) if each is not NO_VALUE]
        return item

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Fn::Sub":
            return self._substituted(argument)
        values = self.value(argument)
        if function == "Fn::ImportValue":
            return f"export {values}"
        if function == "Fn::FindInMap":
            return self._mappings[values[0]][values[1]][str(values[2])]
        if function == "Fn::Select" and (isinstance(values[1], str) or int(values[0]) >= len(values[1])):
            return f"{values[0]} of {values[1]}"  # of a resource, which exist only after its creation
        return _FUNCTIONS[function](values)

    def _substituted(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        for name, value in {**self._known, **self.value(names)}.items():
            text = text.replace("${" + name + "}", str(value))
        # The remaining references are resources and their attributes.
        return text.replace("${", "").replace("}", "") if "${" in text else text
