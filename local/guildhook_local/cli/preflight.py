"""`guildhook preflight`: the checks that a deploy makes before anything costs, from a shell."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from guildhook.model import TokenAlgorithm
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.files import read_line
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.streams import put, put_json
from guildhook_local.cli.visible_text import visible

if TYPE_CHECKING:
    from guildhook.preflight import BoundedClient, Finding


def preflight(
    context: typer.Context,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Check this identity provider (JwtIssuer).")] = None,
    audience: Annotated[
        str | None,
        typer.Option(metavar="AUDIENCE", help="Check this audience of --issuer's access tokens (JwtAudience)."),
    ] = None,
    client_id: Annotated[
        str, typer.Option(metavar="ID", help="Compare --audience with this, for Cognito (JwtClientId).")
    ] = "",
    keys_host: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="Fetch keys from this host too (JwtKeysHost).")
    ] = "",
    algorithm: Annotated[
        TokenAlgorithm, typer.Option(metavar="ALGORITHM", help="Look for keys for RS256, ES256 or EdDSA.")
    ] = TokenAlgorithm.RS256,
    chat_api_url: Annotated[str | None, typer.Option(metavar="URL", help="Check this chat API (ChatApiUrl).")] = None,
    chat_token_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Send the chat API the service token in this file; - is standard input."),
    ] = None,
    chat_secret: Annotated[
        str | None,
        typer.Option(metavar="ARN", help="Check this secret (ChatSecretArn), and send the chat API its token."),
    ] = None,
    database_secret: Annotated[
        str | None, typer.Option(metavar="ARN", help="Check this secret (DatabaseSecretArn or MigrationSecretArn).")
    ] = None,
    origin_secret: Annotated[
        str | None, typer.Option(metavar="ARN", help="Check this secret of the cache in front (OriginSecretArn).")
    ] = None,
    reserve: Annotated[
        int | None, typer.Option(min=1, metavar="UNITS", help="Check that this much concurrency can be reserved.")
    ] = None,
    stack: Annotated[
        str | None, typer.Option(metavar="NAME", help="Count what this stack has reserved already for --reserve.")
    ] = None,
    zones: Annotated[
        str | None, typer.Option(metavar="ZONE,ZONE", help="Check these zones (AvailabilityZones).")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(metavar="ARN", help="Check this certificate (CertificateArn) for --domain.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name that --certificate must be for (DomainName).")
    ] = None,
    cloudfront: Annotated[
        bool, typer.Option("--cloudfront", help="Expect --certificate in us-east-1, as Cache=CloudFront does.")
    ] = False,
    ipv6_only: Annotated[
        bool, typer.Option("--ipv6-only", help="Connect as the stack's own network does, by IPv6 alone.")
    ] = False,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Ask http:// too. The token is then sent without encryption.")
    ] = False,
    allow_local: Annotated[
        bool, typer.Option("--allow-local", help="Ask addresses of private networks and of this machine too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check an identity provider, a chat API and an AWS account before a deploy.

    Each option for a parameter of the deployment adds its check. Secrets, --reserve, --zones and --certificate are
    looked up with the credentials of the environment. The exit status is 1 if a check failed, and 3 if none failed but
    a server did not answer.
    """
    # Only here: other commands need no HTTP client.
    from guildhook.preflight import BoundedClient, Reach  # noqa: PLC0415

    if audience is not None and issuer is None:
        raise CommandError(ExitStatus.USAGE, "--audience needs --issuer, whose tokens it is in")
    if (certificate is None) != (domain is None):
        raise CommandError(ExitStatus.USAGE, "--certificate and --domain are used together")
    internet, network = (
        BoundedClient(Reach.MACHINE if allow_local else reach, allow_http=allow_http, ipv6_only=ipv6_only)
        for reach in (Reach.INTERNET, Reach.NETWORK)
    )
    findings = [
        *_issuer(internet, issuer, keys_host, algorithm, ipv6_only),
        *_audience(issuer, audience, client_id),
        *_chat(context.obj, network, chat_api_url, chat_token_file, chat_secret, ipv6_only),
        *_account(context.obj, database_secret, origin_secret, reserve, stack, zones),
        *_certificate(context.obj, certificate, domain, cloudfront),
    ]
    if not findings:
        raise CommandError(ExitStatus.USAGE, "there is nothing to check; give --issuer, --chat-api-url or another part")
    if as_json:
        put_json({"findings": findings})
    else:
        for finding in findings:
            put(f"{finding.verdict:<11} {finding.check}: {visible(finding.sentence)}")
    raise typer.Exit(_status(findings))


def _issuer(
    client: "BoundedClient", issuer: str | None, keys_host: str, algorithm: TokenAlgorithm, is_ipv6: bool
) -> "Iterable[Finding]":
    from guildhook.preflight import check_issuer  # noqa: PLC0415

    return [] if issuer is None else check_issuer(client, issuer, keys_host, algorithm, in_ipv6_network=is_ipv6)


def _audience(issuer: str | None, audience: str | None, client_id: str) -> "Iterable[Finding]":
    from guildhook.preflight import check_audience  # noqa: PLC0415

    return [] if issuer is None or audience is None else [check_audience(issuer, audience, client_id)]


def _chat(
    environment: Mapping[str, str],
    client: "BoundedClient",
    url: str | None,
    token_file: str | None,
    secret: str | None,
    is_ipv6: bool,
) -> "Iterator[Finding]":
    """Raises CommandError."""
    from guildhook.aws.access import AwsAccess  # noqa: PLC0415
    from guildhook.chat import ServiceToken  # noqa: PLC0415
    from guildhook.preflight import Finding, check_chat_api, passed_chat_secret, read_token  # noqa: PLC0415

    _check_token(url, token_file, secret)
    if secret is not None:
        token = read_token(AwsAccess(environment), secret)
        yield token if isinstance(token, Finding) else passed_chat_secret(secret)
    elif token_file is not None:
        try:
            token = ServiceToken(read_line("--chat-token-file", token_file))
        except ValueError as error:
            raise CommandError(ExitStatus.USAGE, f"--chat-token-file: {error}") from None
    else:
        return
    if url is not None and isinstance(token, ServiceToken):
        yield check_chat_api(client, url, token.chat_api_token, in_ipv6_network=is_ipv6)


def _check_token(url: str | None, token_file: str | None, secret: str | None) -> None:
    """Raises CommandError."""
    if token_file is not None and secret is not None:
        raise CommandError(ExitStatus.USAGE, "--chat-token-file and --chat-secret both give a token; use one of them")
    if token_file is not None and url is None:
        raise CommandError(ExitStatus.USAGE, "--chat-token-file needs --chat-api-url, where the token is sent")
    if url is not None and token_file is None and secret is None:
        raise CommandError(ExitStatus.USAGE, "--chat-api-url needs the token: --chat-token-file or --chat-secret")


def _account(
    environment: Mapping[str, str],
    database_secret: str | None,
    origin_secret: str | None,
    reserve: int | None,
    stack: str | None,
    zones: str | None,
) -> "Iterator[Finding]":
    from guildhook.aws.access import AwsAccess  # noqa: PLC0415
    from guildhook.aws.account import Account  # noqa: PLC0415
    from guildhook.preflight import ask_concurrency, ask_zones, check_database_secret, check_origin_secret  # noqa: PLC0415

    access = AwsAccess(environment)
    if database_secret is not None:
        yield check_database_secret(access, database_secret, "DatabaseSecretArn")
    if origin_secret is not None:
        yield check_origin_secret(access, origin_secret)
    if reserve is not None:
        yield ask_concurrency(Account(access), reserve, stack)
    if zones is not None:
        yield ask_zones(Account(access), zones.split(","))


def _certificate(
    environment: Mapping[str, str], certificate: str | None, domain: str | None, is_cloudfront: bool
) -> "Iterator[Finding]":
    """Raises CommandError."""
    from guildhook.aws.access import AwsAccess, AwsError  # noqa: PLC0415
    from guildhook.aws.account import Account  # noqa: PLC0415
    from guildhook.preflight import CLOUDFRONT_REGION, ask_certificate  # noqa: PLC0415

    if certificate is None or domain is None:
        return
    access = AwsAccess(environment)
    try:
        region = CLOUDFRONT_REGION if is_cloudfront else access.region
    except AwsError as error:
        raise CommandError(ExitStatus.USAGE, f"--certificate: {error}") from None
    yield ask_certificate(Account(access), certificate, domain, region)


def _status(findings: "Collection[Finding]") -> ExitStatus:
    from guildhook.preflight import Verdict  # noqa: PLC0415

    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAILED in verdicts:
        return ExitStatus.REFUSED
    return ExitStatus.UNAVAILABLE if Verdict.UNAVAILABLE in verdicts else ExitStatus.DONE
