"""Checks the signatures of AWS (version 4) that requests to this machine's AWS and Lambda have.

A signature is in the Authorization header, in the query of a presigned URL, or in a form for an upload to S3.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import base64
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from guildhook_local.guard import GuardedRequest, GuardResponse

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{{64}})"
)
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_TOLERANCE = timedelta(minutes=15)
"""The tolerance of AWS for the clock of a client."""
_LARGEST_BODY_BYTES = 128 * 1024**2
_LARGEST_UNSIZED_BODY_BYTES = 8 * 1024**2
"""The limit for a body whose digest is not in a header: those of all services but S3."""
_LARGEST_FORM_BYTES = 64 * 1024**2
_LARGEST_FIELDS_BYTES = 64 * 1024
_MOST_PARTS = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_IN_POLICY = frozenset({"policy", "x-amz-signature", "file"})


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The credentials of a stack, in the form of AWS."""

    access_key_id: str = field(default_factory=lambda: secrets.token_hex(10).upper())
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


class SignatureError(Exception):
    """The text says how the request differs from a signed one."""


class SignedByKey:
    """Every request is signed with one key pair. Safe for use from several threads."""

    def __init__(self, keys: KeyPair, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keys = keys
        self._credentials = Credentials(keys.access_key_id, keys.secret_access_key)
        self._now = now

    def body_bytes(self, request: GuardedRequest) -> int:
        # The id of the key cannot be guessed either, so a stranger cannot make this process read a large body.
        if f"Credential={self._keys.access_key_id}/" in request.only("authorization"):
            return _LARGEST_BODY_BYTES if request.all("x-amz-content-sha256") else _LARGEST_UNSIZED_BODY_BYTES
        return _LARGEST_FORM_BYTES if _is_form(request) else 0

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:
        try:
            self._check(request, body)
        except SignatureError as error:
            return GuardResponse(HTTPStatus.FORBIDDEN, f"{error}: the stack's own access key is needed.")
        return None

    def _check(self, request: GuardedRequest, body: bytes) -> None:
        """Raises SignatureError."""
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if request.all("authorization"):
            self._check_header(request, body)
        elif "X-Amz-Signature" in query:
            self._check_query(request, query)
        elif _is_form(request):
            self._check_form(request, body)
        else:
            raise SignatureError("the request has no signature")

    def _check_header(self, request: GuardedRequest, body: bytes) -> None:
        found = _AUTHORIZATION.fullmatch(request.only("authorization"))
        if not found:
            raise SignatureError("the Authorization header has no signature of version 4")
        credential, names, signature = found.groups()
        time = request.only("x-amz-date")
        service, region = self._scope(credential, time)
        if abs(self._now() - _time(time)) > _TOLERANCE:
            raise SignatureError(f"the signature is of {time}, which is more than {_TOLERANCE} away")
        digest = request.only("x-amz-content-sha256")
        if _SHA256.fullmatch(digest) and not hmac.compare_digest(sha256(body).hexdigest(), digest):
            raise SignatureError("the body differs from the signed one")
        auth = S3SigV4Auth if service == "s3" else SigV4Auth
        self._compare(auth(self._credentials, service, region), request, request.target, names, time, signature, body)

    def _check_query(self, request: GuardedRequest, query: Mapping[str, str]) -> None:
        time = query.get("X-Amz-Date", "")
        service, region = self._scope(query.get("X-Amz-Credential", ""), time)
        expires = query.get("X-Amz-Expires", "")
        valid = timedelta(seconds=int(expires)) if re.fullmatch(r"\d{1,6}", expires) else timedelta(0)
        if not -_TOLERANCE <= self._now() - _time(time) <= valid:
            raise SignatureError(f"the URL of {time} is not valid now")
        path, _, parameters = request.target.partition("?")
        signed = "&".join(each for each in parameters.split("&") if not each.startswith("X-Amz-Signature="))
        auth = S3SigV4QueryAuth(self._credentials, service, region)
        names = query.get("X-Amz-SignedHeaders", "")
        self._compare(auth, request, f"{path}?{signed}", names, time, query["X-Amz-Signature"], b"")

    def _check_form(self, request: GuardedRequest, body: bytes) -> None:
        fields, file_bytes = _form(request, body)
        time = fields.get("x-amz-date", "")
        service, region = self._scope(fields.get("x-amz-credential", ""), time)
        encoded = fields.get("policy", "")
        auth = SigV4Auth(self._credentials, service, region)
        expected = auth.signature(encoded, _signed(AWSRequest("POST"), time))
        if not hmac.compare_digest(expected, fields.get("x-amz-signature", "")):
            raise SignatureError("the form's signature is wrong")
        # The bucket is not a field. It is the first part of the path.
        bucket = unquote(request.path.strip("/").partition("/")[0])
        _check_policy(_policy(encoded), {**fields, "bucket": bucket}, file_bytes, self._now())

    def _scope(self, credential: str, time: str) -> tuple[str, str]:
        """The service and the region."""
        access_key_id, *scope = credential.split("/")
        if not hmac.compare_digest(access_key_id.encode(), self._keys.access_key_id.encode()):
            raise SignatureError("the access key is of another stack")
        if len(scope) != 4 or scope[0] != time[:8] or scope[3] != "aws4_request":
            raise SignatureError("the scope of the signature is malformed")
        return scope[2], scope[1]

    def _compare(
        self, auth: SigV4Auth, request: GuardedRequest, target: str, names: str, time: str, signature: str, body: bytes
    ) -> None:
        signed = names.split(";")
        if "host" not in signed:
            raise SignatureError("the signature does not cover the Host header")
        headers = {name: ",".join(request.all(name)) for name in signed if request.all(name)}
        host = request.only("host")
        known = _signed(AWSRequest(request.method, f"http://{host}{target}", headers, body), time)
        expected = auth.signature(auth.string_to_sign(known, auth.canonical_request(known)), known)
        if not hmac.compare_digest(expected, signature):
            raise SignatureError("the signature is wrong")


def _signed(request: AWSRequest, time: str) -> AWSRequest:
    request.context["timestamp"] = time
    return request


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("the time of the signature is missing or malformed") from None


def _is_form(request: GuardedRequest) -> bool:
    return request.method == "POST" and request.only("content-type").startswith("multipart/form-data")


def _form(request: GuardedRequest, body: bytes) -> tuple[dict[str, str], int]:
    """The fields of an upload by their names in lower case, and the size of its file."""
    kind, options = parse_options_header(request.only("content-type"))
    parser = FormDataParser(
        stream_factory=lambda *_, **__: BytesIO(),
        max_form_memory_size=_LARGEST_FIELDS_BYTES,
        max_form_parts=_MOST_PARTS,
        silent=False,
    )
    try:
        _, values, files = parser.parse(BytesIO(body), kind, len(body), options)
    except (HTTPException, ValueError) as error:
        raise SignatureError(f"the form cannot be read ({type(error).__name__})") from None
    fields = {name.lower(): value for name, value in values.items(multi=True)}
    file = files.get("file")
    if len(fields) != len(list(values.items(multi=True))) or file is None or len(list(files.items(multi=True))) != 1:
        raise SignatureError("the form needs one file, and each field once")
    return fields, len(file.read())


def _policy(encoded: str) -> Mapping[str, Any]:
    """The policy of a form whose signature is right."""
    policy: Mapping[str, Any] = json.loads(base64.b64decode(encoded))
    return policy


def _check_policy(policy: Mapping[str, Any], fields: Mapping[str, str], file_bytes: int, now: datetime) -> None:
    """Raises SignatureError."""
    if now > datetime.fromisoformat(policy["expiration"]):
        raise SignatureError(f"the form was valid until {policy['expiration']}")
    covered = set(_NOT_IN_POLICY)
    for condition in policy["conditions"]:
        match condition:
            case ["content-length-range", least, most]:
                if not int(least) <= file_bytes <= int(most):
                    raise SignatureError(f"the file has {file_bytes} bytes, and the form is for {least} to {most}")
            case [("eq" | "starts-with") as operator, field_name, value]:
                covered.add(_check_field(fields, operator, field_name.removeprefix("$"), value))
            case dict():
                covered |= {_check_field(fields, "eq", name, value) for name, value in condition.items()}
            case _:
                raise SignatureError(f"the form has a condition that is not known: {condition}")
    uncovered = fields.keys() - covered
    if uncovered:
        raise SignatureError(f"the form's fields {', '.join(sorted(uncovered))} are not signed")


def _check_field(fields: Mapping[str, str], operator: str, name: str, value: str) -> str:
    """Return the name of the field in lower case. Raises SignatureError."""
    given = fields.get(name.lower(), "")
    if not (given.startswith(value) if operator == "starts-with" else given == value):
        raise SignatureError(f"the form's field {name} differs from the signed one")
    return name.lower()
