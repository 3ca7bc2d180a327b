"""Tests the address of the page and of the API: API Gateway's, CloudFront's, or the operator's own."""

import pytest

from infra.templates import (
    BY_CLOUDFRONT,
    BY_EDDSA,
    BY_ES256,
    BY_TOKEN,
    DEPLOYMENTS,
    DOMAIN,
    DOMAIN_OF_CLOUDFRONT,
    ORIGIN,
    WEB_ACL,
    broken_rules,
    deployment,
    read_template,
    resolve,
)

ADDRESSES = {
    "by token": "Api.ApiEndpoint",
    "RS256, behind a cache": "Api.ApiEndpoint",
    "a domain": "https://plugins.example.org",
    "CloudFront": "https://CloudFront.Outputs.DomainName",
    "EdDSA, CloudFront, a domain": "https://plugins.example.org",
}


@pytest.mark.parametrize(("name", "url"), ADDRESSES.items())
def test_the_address_that_people_use_is_said(name, url):
    outputs = {output: each["Value"] for output, each in deployment(name).outputs.items()}
    assert outputs["ApiUrl"] == url
    behind = "CloudFront" in deployment(name).resources
    assert outputs.get("OriginUrl") == ("Api.ApiEndpoint" if behind else None)
    assert outputs.get("Distribution") == ("CloudFront.Outputs.Distribution" if behind else None)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_api_has_one_address(name):
    """CloudFront needs API Gateway's own as its origin, and the functions answer nobody else there."""
    stack = deployment(name)
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    (server,) = api["Body"]["servers"]
    disabled = server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]
    assert disabled is (name == "a domain")
    assert ("ApiDomain" in stack.resources) is disabled
    assert ("ApiMapping" in stack.resources) is disabled


def test_a_domain_without_cloudfront_is_api_gateways():
    stack = deployment("a domain")
    assert stack["ApiDomain"] == {
        "DomainName": "plugins.example.org",
        "DomainNameConfigurations": [
            {
                "CertificateArn": DOMAIN["CertificateArn"],
                "EndpointType": "REGIONAL",
                "IpAddressType": "dualstack",
                "SecurityPolicy": "TLS_1_2",
            }
        ],
    }
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage")
    assert stack["ApiMapping"] == {"ApiId": "Api", "DomainName": "ApiDomain", "Stage": stage}


@pytest.mark.parametrize(
    ("name", "target", "zone"),
    [
        ("a domain", "ApiDomain.RegionalDomainName", "ApiDomain.RegionalHostedZoneId"),
        ("EdDSA, CloudFront, a domain", "CloudFront.Outputs.DomainName", "Z2FDTNDATAQYW2"),
    ],
)
def test_the_records_of_the_domain_refer_to_it_and_keep_their_resource(name, target, zone):
    """Route 53 takes no second record of a name, and CloudFormation creates a new one before it deletes the old one."""
    stack = deployment(name)
    assert stack.outputs["DomainTarget"]["Value"] == target
    records = stack.of_type("AWS::Route53::RecordSet")
    assert {record: properties["Type"] for record, properties in records.items()} == {
        "DomainIpv4": "A",
        "DomainIpv6": "AAAA",
    }
    for properties in records.values():
        assert (properties["HostedZoneId"], properties["Name"]) == (DOMAIN["HostedZoneId"], "plugins.example.org")
        assert properties["AliasTarget"] == {"DNSName": target, "HostedZoneId": zone}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_preflight_checks_the_certificate_and_its_region(name):
    variables = deployment(name)["AccountPreflight"]["Environment"]["Variables"]
    parameters = DEPLOYMENTS[name]
    assert variables.get("GUILDHOOK_DOMAIN_NAME") == parameters.get("DomainName")
    assert variables.get("GUILDHOOK_CERTIFICATE") == parameters.get("CertificateArn")
    region = "us-east-1" if "Cache" in parameters else "eu-central-1"
    assert variables.get("GUILDHOOK_CERTIFICATE_REGION") == (region if "DomainName" in parameters else None)


def test_without_a_zone_there_are_no_records():
    parameters = {**BY_TOKEN, **DOMAIN, "HostedZoneId": ""}
    assert broken_rules(parameters) == []
    assert not resolve(read_template(), parameters).of_type("AWS::Route53::RecordSet")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({**BY_TOKEN, "WebAclArn": WEB_ACL}, "WebAclArn needs Cache=CloudFront"),
        ({**BY_TOKEN, "DomainName": "plugins.example.org"}, "DomainName and CertificateArn must both be set"),
        (
            {**BY_CLOUDFRONT, "CertificateArn": DOMAIN_OF_CLOUDFRONT["CertificateArn"]},
            "DomainName and CertificateArn must both be set",
        ),
        ({**BY_TOKEN, "HostedZoneId": DOMAIN["HostedZoneId"]}, "HostedZoneId needs DomainName"),
        ({**BY_TOKEN, **ORIGIN, **DOMAIN}, "means a cache of your own, which has the domain"),
        ({**BY_ES256, "OriginSecretArn": ""}, "set Cache=CloudFront, or set OriginSecretArn"),
        ({**BY_EDDSA, "OriginSecretArn": ""}, "set Cache=CloudFront, or set OriginSecretArn"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused_with_the_way_out(parameters, sentence):
    (broken,) = broken_rules(parameters)
    assert sentence in broken


def test_cloudfront_closes_the_address_that_no_authorizer_guards():
    assert broken_rules({**BY_ES256, "OriginSecretArn": "", "Cache": "CloudFront"}) == []
