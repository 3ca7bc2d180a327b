"""The certificate of the domain: its region, its state and its names."""

from typing import Final

from guildhook.aws.account import Account, Certificate
from guildhook.errors import InfrastructureError
from guildhook.preflight.findings import Finding, Verdict

_CHECK: Final = "certificate"
CLOUDFRONT_REGION: Final = "us-east-1"
"""The only region whose certificates CloudFront takes."""


def ask_certificate(account: Account, arn: str, domain: str, region: str) -> Finding:
    """`region` is the one that the certificate must be in."""
    found = arn.split(":")[3] if arn.count(":") >= 3 else ""
    if found != region:
        owner = "CloudFront" if region == CLOUDFRONT_REGION else "API Gateway"
        return _failed(arn, f"it is in {found or 'no region'}, and {owner} needs one in {region}; request it there")
    try:
        certificate = account.certificate(arn, region)
    except InfrastructureError as error:
        return Finding(_CHECK, Verdict.UNAVAILABLE, f"CertificateArn {arn}: {error}")
    return check_certificate(arn, domain, certificate)


def check_certificate(arn: str, domain: str, certificate: Certificate) -> Finding:
    if not certificate.is_issued:
        return _failed(
            arn,
            "it is not issued; create the records that `aws acm describe-certificate` shows, and wait until its status "
            "is ISSUED",
        )
    _, _, parent = domain.partition(".")
    if not {domain, f"*.{parent}"} & certificate.names:
        return _failed(arn, f"it is not for DomainName {domain}; request one that is")
    return Finding(_CHECK, Verdict.PASSED, f"CertificateArn {arn}: it is issued, and for {domain}")


def _failed(arn: str, reason: str) -> Finding:
    return Finding(_CHECK, Verdict.FAILED, f"CertificateArn {arn}: {reason}")
