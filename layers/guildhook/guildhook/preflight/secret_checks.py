"""The secrets: they exist, they can be read, and they have the expected form. No value is shown."""

from typing import Final, TypeVar

import msgspec

from guildhook.admin.origin import OriginSecrets
from guildhook.aws.access import AwsAccess
from guildhook.aws.secrets_manager import SecretsManager
from guildhook.chat import ServiceToken
from guildhook.errors import InfrastructureError
from guildhook.preflight.findings import Finding, Verdict
from guildhook.store.database import Credentials

_CHAT: Final = "chat secret"
_DATABASE: Final = "database secret"
_ORIGIN: Final = "origin secret"
_CHAT_FORM: Final = '{"chat_api_token": "…"}'
_DATABASE_FORM: Final = '{"password": "…"}'
_ORIGIN_FORM: Final = '{"origin_secret": "32 to 256 visible characters"}'

Content = TypeVar("Content")


def check_chat_secret(access: AwsAccess, name: str) -> Finding:
    found = read_token(access, name)
    return found if isinstance(found, Finding) else passed_chat_secret(name)


def passed_chat_secret(name: str) -> Finding:
    return _passed(_CHAT, "ChatSecretArn", name)


def check_database_secret(access: AwsAccess, name: str, parameter: str) -> Finding:
    """`parameter` is the one that names the secret."""
    found = _read(access, _DATABASE, parameter, name, Credentials, _DATABASE_FORM)
    return found if isinstance(found, Finding) else _passed(_DATABASE, parameter, name)


def check_origin_secret(access: AwsAccess, name: str) -> Finding:
    found = _read(access, _ORIGIN, "OriginSecretArn", name, OriginSecrets, _ORIGIN_FORM)
    return found if isinstance(found, Finding) else _passed(_ORIGIN, "OriginSecretArn", name)


def read_token(access: AwsAccess, name: str) -> ServiceToken | Finding:
    """The service token of the chat server, or the finding that it cannot be read."""
    return _read(access, _CHAT, "ChatSecretArn", name, ServiceToken, _CHAT_FORM)


def _read(
    access: AwsAccess, check: str, parameter: str, name: str, kind: type[Content], form: str
) -> Content | Finding:
    subject = f"{parameter} {name}"
    try:
        text = SecretsManager(access).get_secret_value(SecretId=name).get("SecretString")
    except InfrastructureError as error:
        return Finding(check, Verdict.UNAVAILABLE, f"{subject}: {error}")
    try:
        return msgspec.json.decode(text or "", type=kind)
    except (ValueError, RecursionError) as error:
        reason = f"its text is not JSON of the form {form} ({error}); store it anew"
        return Finding(check, Verdict.FAILED, f"{subject}: {reason}")


def _passed(check: str, parameter: str, name: str) -> Finding:
    return Finding(check, Verdict.PASSED, f"{parameter} {name}: it can be read, and has the expected form")
