import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
import urllib3

from guildhook.aws.access import AwsAccess
from guildhook.aws.s3_objects import ObjectReader
from guildhook.errors import InfrastructureError
from guildhook.versions.uploads import Uploads, upload_key, uploaded_version
from guildhook_local.aws import create_bucket

VERSION = UUID("6a1d0000-0000-4000-8000-00000000000a")
FILE = bytes(range(256)) * 40
DIGEST = sha256(FILE).digest()


@pytest.fixture
def environment(aws):
    return dict(aws.environment)


def policy(form):
    return json.loads(b64decode(form.fields["policy"]))


def test_the_policy_allows_one_key_one_size_and_one_digest_for_a_quarter_of_an_hour(aws, environment):
    before = datetime.now(UTC)
    form = Uploads(AwsAccess(environment), "bucket").form(VERSION, DIGEST, len(FILE))
    assert form.url == f"{aws.endpoint}/bucket"
    key, checksum = f"uploads/{VERSION}", b64encode(DIGEST).decode()
    signed = {name: form.fields[name] for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date")}
    assert signed["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert policy(form) == {
        "expiration": form.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [
            {"bucket": "bucket"},
            {"key": key},
            {"x-amz-checksum-algorithm": "SHA256"},
            {"x-amz-checksum-sha256": checksum},
            ["content-length-range", len(FILE), len(FILE)],
            *({name: value} for name, value in signed.items()),
        ],
    }
    assert timedelta(minutes=14, seconds=58) < form.expires_at - before <= timedelta(minutes=15, seconds=60)
    # The policy must have every field of the form, because S3 refuses other fields.
    named = {name for condition in policy(form)["conditions"] if isinstance(condition, dict) for name in condition}
    assert set(form.fields) - {"policy", "x-amz-signature"} == named - {"bucket"}


def test_a_temporary_credential_is_in_the_form(environment):
    environment["AWS_SESSION_TOKEN"] = "session"
    form = Uploads(AwsAccess(environment), "bucket").form(VERSION, DIGEST, len(FILE))
    assert form.fields["x-amz-security-token"] == "session"
    assert {"x-amz-security-token": "session"} in policy(form)["conditions"]


def test_the_policy_is_signed_for_this_day_region_and_service(environment):
    form = Uploads(AwsAccess(environment), "bucket").form(VERSION, DIGEST, len(FILE))
    assert len(form.fields["x-amz-signature"]) == 64
    date = form.fields["x-amz-date"][:8]
    assert form.fields["x-amz-credential"] == f"{environment['AWS_ACCESS_KEY_ID']}/{date}/eu-central-1/s3/aws4_request"


def test_the_form_uploads_the_file(aws):
    bucket = f"uploads-{uuid4().hex}"
    create_bucket(aws, bucket)
    form = Uploads(aws.access, bucket).form(VERSION, DIGEST, len(FILE))
    with urllib3.PoolManager() as http:
        answer = http.request("POST", form.url, fields={**form.fields, "file": ("plugin.wasm", FILE)})
        assert answer.status == 204
    assert ObjectReader(aws.access, bucket).get(upload_key(VERSION), 2 * len(FILE)) == FILE


def test_a_page_may_send_to_the_origin(aws, environment):
    assert Uploads(AwsAccess(environment), "bucket").origin == aws.endpoint
    del environment["AWS_ENDPOINT_URL"]
    assert Uploads(AwsAccess(environment), "bucket").origin == "https://bucket.s3.eu-central-1.amazonaws.com"
    form = Uploads(AwsAccess(environment), "bucket").form(VERSION, DIGEST, len(FILE))
    assert form.url == "https://bucket.s3.eu-central-1.amazonaws.com"
    environment["AWS_DEFAULT_REGION"] = "cn-north-1"
    assert Uploads(AwsAccess(environment), "bucket").origin == "https://bucket.s3.cn-north-1.amazonaws.com.cn"


def test_nothing_is_signed_without_credentials_or_a_region(environment):
    del environment["AWS_ACCESS_KEY_ID"]
    with pytest.raises(InfrastructureError, match=r"bucket bucket .*GUILDHOOK_ARTIFACT_BUCKET.*credentials"):
        Uploads(AwsAccess(environment), "bucket").form(VERSION, DIGEST, 1)
    del environment["AWS_ENDPOINT_URL"]
    del environment["AWS_DEFAULT_REGION"]
    with pytest.raises(InfrastructureError, match="region"):
        _ = Uploads(AwsAccess(environment), "bucket").origin


@pytest.mark.parametrize(
    "key",
    [
        "",
        "uploads/",
        "uploads/ping.wasm",
        str(VERSION),
        f"uploads/{str(VERSION).upper()}",
        f"uploads/{VERSION.hex}",
        f"uploads/{{{VERSION}}}",
        f"uploads/uploads/{VERSION}",
        f"uploads/{VERSION}.wasm",
        f"artifacts/{VERSION}",
    ],
)
def test_a_key_outside_the_uploads_names_no_version(key):
    assert uploaded_version(upload_key(VERSION)) == VERSION
    assert uploaded_version(key) is None
