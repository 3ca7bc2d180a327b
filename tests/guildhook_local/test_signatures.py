import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from urllib3 import encode_multipart_formdata

from guildhook_local.guard import GuardedRequest
from guildhook_local.signatures import KeyPair, SignedByKey

KEYS = KeyPair("AKIDEXAMPLE")
ENDPOINT = "http://127.0.0.1:4566"


class SentError(Exception):
    pass


def client(service, keys=KEYS):
    """A client of boto3 that sends nothing."""
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name="eu-central-1",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=Config(signature_version="s3v4") if service == "s3" else Config(),
    )


def request(method, url, headers, body=b""):
    named = [(name.lower(), value.decode() if isinstance(value, bytes) else str(value)) for name, value in headers]
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return GuardedRequest(method, target, parts.path, [("host", parts.netloc), *named]), body


def sent(service, operation, keys=KEYS, **parameters):
    """The request that boto3 would send."""
    seen = []

    def keep(request, **_):
        seen.append(request)
        raise SentError

    boto = client(service, keys)
    boto.meta.events.register(f"before-send.{service}", keep)
    with pytest.raises(SentError):
        getattr(boto, operation)(**parameters)
    (prepared,) = seen
    body = prepared.body
    read = body.read() if hasattr(body, "read") else body or b""
    return request(
        prepared.method, prepared.url, prepared.headers.items(), read.encode() if isinstance(read, str) else read
    )


def changed(asked, **headers):
    names = {name.replace("_", "-") for name in headers}
    kept = [(name, value) for name, value in asked.headers if name not in names]
    new = [(name.replace("_", "-"), value) for name, value in headers.items() if value is not None]
    return GuardedRequest(asked.method, asked.target, asked.path, [*kept, *new])


def message(asked, body=b"", *, minutes=0):
    """The reason for a refusal; None if the request is let through, `minutes` after it was signed."""
    secret = SignedByKey(KEYS, lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    # A request whose body the check does not want has none for it.
    response = secret.response(asked, body if secret.body_bytes(asked) else b"")
    assert response is None or response.status == 403
    return response and response.message


CALLS = [
    ("s3", "list_buckets", {}),
    (
        "s3",
        "put_object",
        {"Bucket": "artifacts", "Key": "a b/ü+~%2F", "Body": b"x" * 10_000, "Metadata": {"a": "b  c"}},
    ),
    ("s3", "list_objects_v2", {"Bucket": "artifacts", "Prefix": "a b/&=+", "MaxKeys": 5}),
    ("s3", "delete_objects", {"Bucket": "artifacts", "Delete": {"Objects": [{"Key": "a"}]}}),
    ("sqs", "send_message", {"QueueUrl": f"{ENDPOINT}/1/queue", "MessageBody": "grüß"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "a"}),
    ("lambda", "invoke", {"FunctionName": "arn:aws:lambda:eu-central-1:1:function:a", "Payload": b"{}"}),
    ("sts", "get_caller_identity", {}),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_requests_of_boto3_are_let_through_and_no_others(service, operation, parameters):
    asked, body = sent(service, operation, **parameters)
    assert message(asked, body) is None
    assert "body differs" in str(message(asked, body + b" ")) or "signature is wrong" in str(
        message(asked, body + b" ")
    )
    assert "signature is wrong" in message(changed(asked, host="127.0.0.1:1"), body)
    assert "another stack" in message(*sent(service, operation, KeyPair(), **parameters))
    assert "signature is wrong" in message(*sent(service, operation, KeyPair(KEYS.access_key_id), **parameters))
    other = GuardedRequest(asked.method, asked.target + "x", asked.path, asked.headers)
    assert "signature is wrong" in message(other, body)


@pytest.mark.parametrize("minutes", [16, -16])
def test_a_signature_is_valid_for_a_quarter_of_an_hour(minutes):
    asked, body = sent("sqs", "list_queues")
    assert message(asked, body, minutes=14) is None
    assert "which is more than" in message(asked, body, minutes=minutes)


@pytest.mark.parametrize(
    "authorization",
    ["", "AWS4-HMAC-SHA256", "Bearer a", "AWS id:signature", f"AWS4-HMAC-SHA256 Credential={KEYS.access_key_id}/"],
)
def test_another_authorization_is_refused(authorization):
    asked, body = sent("sqs", "list_queues")
    assert "no signature of version 4" in message(changed(asked, authorization=authorization), body)


def test_a_request_whose_host_is_not_signed_is_refused():
    asked, body = sent("sqs", "list_queues")
    header = asked.only("authorization").replace(";host", "").replace("host;", "")
    assert "does not cover the Host" in message(changed(asked, authorization=header), body)


def test_a_stranger_cannot_make_the_check_read_a_body():
    asked, _ = sent("sqs", "list_queues")
    strange, _ = sent("sqs", "list_queues", KeyPair())
    secret = SignedByKey(KEYS)
    assert secret.body_bytes(asked) > 0
    assert [secret.body_bytes(each) for each in (strange, changed(asked, authorization=None))] == [0, 0]


def presigned(seconds=60):
    return client("s3").generate_presigned_url("get_object", {"Bucket": "a", "Key": "b c"}, ExpiresIn=seconds)


def test_a_presigned_url_is_valid_for_its_object_and_its_time():
    url = presigned()
    assert message(*request("GET", url, [])) is None
    assert message(*request("GET", url, []), minutes=2).startswith("the URL of")
    for other in (url.replace("/b%20c", "/other"), url.replace("Expires=60", "Expires=600")):
        assert "signature is wrong" in message(*request("GET", other, []))
    assert "signature is wrong" in message(*request("DELETE", url, []))


def form(keys=KEYS, file=b"12345", fields=None, conditions=(["content-length-range", 1, 5],)):
    given = client("s3", keys).generate_presigned_post(
        "artifacts", "uploads/${filename}", {"x-amz-meta-a": "b"}, [*conditions, {"x-amz-meta-a": "b"}], ExpiresIn=60
    )
    values = {**given["fields"], **(fields or {})}
    body, kind = encode_multipart_formdata(
        {**{name: value for name, value in values.items() if value is not None}, "file": ("a.wasm", file)}
    )
    return request("POST", given["url"], [("Content-Type", kind)], body)


def test_a_form_uploads_the_signed_file_for_its_time():
    assert message(*form()) is None
    assert "valid until" in message(*form(), minutes=2)
    asked, body = form()
    elsewhere = GuardedRequest("POST", "/other", "/other", asked.headers)
    assert "field bucket differs" in message(elsewhere, body)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file": b"123456"}, "the file has 6 bytes, and the form is for 1 to 5"),
        ({"file": b""}, "the file has 0 bytes"),
        ({"fields": {"key": "modules/a"}}, "field key differs"),
        ({"fields": {"x-amz-meta-a": None}}, "field x-amz-meta-a differs"),
        ({"fields": {"acl": "public-read"}}, "fields acl are not signed"),
        ({"fields": {"policy": base64.b64encode(b"{}").decode()}}, "signature is wrong"),
        ({"fields": {"x-amz-signature": "0" * 64}}, "signature is wrong"),
        ({"keys": KeyPair()}, "another stack"),
        ({"keys": KeyPair(KEYS.access_key_id)}, "signature is wrong"),
        ({"fields": {"x-amz-credential": "a"}}, "another stack"),
        ({"conditions": [["content-length-range", 1, 5], ["matches", "$key", "a"]]}, "is not known"),
        ({"conditions": [["starts-with", "$x-amz-meta-a", "z"]]}, "field x-amz-meta-a differs"),
    ],
)
def test_a_form_that_differs_from_the_signed_one_is_refused(changes, reason):
    assert reason in message(*form(**changes))


@pytest.mark.parametrize(
    "body", [b"", b"--x", b'--x\r\nContent-Disposition: form-data; name="policy"\r\n\r\na\r\n--x--']
)
def test_a_body_that_is_no_upload_is_refused(body):
    asked, _ = request("POST", f"{ENDPOINT}/artifacts", [("Content-Type", "multipart/form-data; boundary=x")])
    assert message(asked, body)


def test_fields_that_are_there_twice_are_refused():
    asked, body = form()
    again = body.replace(b'name="key"', b'name="KEY"', 1)
    boundary = body.partition(b"\r\n")[0]
    twice = boundary + b'\r\nContent-Disposition: form-data; name="key"\r\n\r\nother\r\n' + again
    assert "each field once" in message(asked, twice)


def test_key_pairs_are_new_each_time_and_hide_their_secret():
    assert KeyPair() != KeyPair()
    assert KEYS.secret_access_key not in repr(KEYS)
