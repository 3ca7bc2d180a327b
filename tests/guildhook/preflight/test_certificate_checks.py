import json

import pytest
from botocore.config import Config

from certificates import self_signed
from guildhook.aws.access import AwsAccess
from guildhook.aws.account import Account, Certificate
from guildhook.preflight import CLOUDFRONT_REGION, Verdict, ask_certificate, check_certificate
from http_server import Answer, http_server

DOMAIN = "plugins.example.org"
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/7f0d5c9c-0000-4000-8000-000000000001"
NOBODY = Account(AwsAccess({}))
"""An account that cannot be asked."""


@pytest.mark.parametrize("names", [{DOMAIN}, {"*.example.org"}, {"example.org", "*.example.org"}])
def test_an_issued_certificate_for_the_domain_passes(names):
    finding = check_certificate(ARN, DOMAIN, Certificate(True, frozenset(names)))
    assert finding.verdict is Verdict.PASSED
    assert finding.sentence == f"CertificateArn {ARN}: it is issued, and for {DOMAIN}"


@pytest.mark.parametrize("names", [{"example.org"}, {"*.plugins.example.org"}, {"*.org"}, {"x.plugins.example.org"}])
def test_a_certificate_for_another_name_is_refused(names):
    """A wildcard stands for one label, as in browsers."""
    finding = check_certificate(ARN, DOMAIN, Certificate(True, frozenset(names)))
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == f"CertificateArn {ARN}: it is not for DomainName {DOMAIN}; request one that is"


def test_a_certificate_must_be_issued_before_the_deploy():
    finding = check_certificate(ARN, DOMAIN, Certificate(False, frozenset({DOMAIN})))
    assert finding.verdict is Verdict.FAILED
    assert "create the records that `aws acm describe-certificate` shows" in finding.sentence


@pytest.mark.parametrize(
    ("arn", "region", "sentence"),
    [
        (
            ARN.replace("us-east-1", "eu-central-1"),
            CLOUDFRONT_REGION,
            "it is in eu-central-1, and CloudFront needs one in",
        ),
        (ARN, "eu-central-1", "it is in us-east-1, and API Gateway needs one in eu-central-1; request it there"),
        ("plugins", "eu-central-1", "it is in no region, and API Gateway needs one in eu-central-1"),
    ],
)
def test_a_certificate_of_another_region_is_refused_without_a_question(arn, region, sentence):
    finding = ask_certificate(NOBODY, arn, DOMAIN, region)
    assert finding.verdict is Verdict.FAILED
    assert sentence in finding.sentence


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_region_of_the_certificate_is_asked_whatever_that_of_the_function_is(aws, region):
    acm = AwsAccess(aws.environment).client("acm", Config(), region)
    certificate, key = self_signed("example.org", "*.example.org")
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
    assert arn.split(":")[3] == region
    account = Account(AwsAccess(aws.environment))
    assert account.certificate(arn, region) == Certificate(True, frozenset({"example.org", "*.example.org"}))
    assert ask_certificate(account, arn, DOMAIN, region).verdict is Verdict.PASSED
    acm.delete_certificate(CertificateArn=arn)


def test_a_requested_certificate_is_not_issued_yet(aws):
    acm = AwsAccess(aws.environment).client("acm", Config(), "us-east-1")
    arn = acm.request_certificate(DomainName=DOMAIN, ValidationMethod="DNS")["CertificateArn"]
    finding = ask_certificate(Account(AwsAccess(aws.environment)), arn, DOMAIN, "us-east-1")
    assert (finding.verdict, "it is not issued" in finding.sentence) == (Verdict.FAILED, True)
    acm.delete_certificate(CertificateArn=arn)


def test_a_certificate_that_cannot_be_asked_for_may_pass_later():
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_REGION": "eu-central-1"}
    denied = {"__type": "AccessDeniedException", "Message": "not authorized to perform: acm:DescribeCertificate"}
    with http_server(Answer(json.dumps(denied).encode(), status=400)) as server:
        account = Account(AwsAccess({**keys, "AWS_ENDPOINT_URL": server.url}))
        finding = ask_certificate(account, ARN, DOMAIN, CLOUDFRONT_REGION)
    assert finding.verdict is Verdict.UNAVAILABLE
    assert "not authorized to perform: acm:DescribeCertificate" in finding.sentence
