"""AWS' signatures, made by botocore."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError

from guildhook.aws.access import AwsAccess, AwsError


class Signer:
    """Signs with the credentials of one process. Safe for use from several threads.

    Its methods raise AwsError without a region or credentials.
    """

    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    def headers(
        self, service: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> dict[str, str]:
        """The headers of a request with those that sign it."""
        request = AWSRequest(method, url, dict(headers), body)
        # S3 signs a path as it is; all others escape it once more.
        self._sign(request, service, S3SigV4Auth if service == "s3" else SigV4Auth)
        return dict(request.headers)

    def form_fields(
        self, url: str, fields: Mapping[str, str], conditions: Sequence[Any], expires_at: datetime
    ) -> dict[str, str]:
        """The fields of a form that uploads a file to S3: those given, and the signed policy with its conditions."""
        request, signed = AWSRequest("POST", url), dict(fields)
        request.context["s3-presign-post-fields"] = signed
        request.context["s3-presign-post-policy"] = {
            "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "conditions": list(conditions),
        }
        self._sign(request, "s3", S3SigV4PostAuth)
        return signed

    def database_password(self, host: str, port: int | str, user: str, valid_seconds: int) -> str:
        """An IAM token for a connection to RDS, equal to that of botocore's generate_db_auth_token."""
        data = {"Action": "connect", "DBUser": user}
        request = AWSRequest("GET", f"https://{host}:{port}/", data=data)
        self._sign(request, "rds-db", SigV4QueryAuth, expires=valid_seconds)
        url: str = request.url
        return url.removeprefix("https://")

    def _sign(self, request: AWSRequest, service: str, auth: type[SigV4Auth], **options: Any) -> None:
        region = self._access.region
        try:
            auth(self._credentials.get_frozen_credentials(), service, region, **options).add_auth(request)
        except BotoCoreError as error:
            raise AwsError(str(error)) from None

    @cached_property
    def _credentials(self) -> Credentials:
        credentials = self._access.credentials()
        if credentials is None:
            raise AwsError("the environment has no credentials (AWS_ACCESS_KEY_ID, AWS_CONTAINER_CREDENTIALS_FULL_URI)")
        return credentials
