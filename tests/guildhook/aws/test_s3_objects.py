import socket

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.aws.s3_objects import ObjectReader, ObjectWriter, bucket_url
from guildhook.errors import InfrastructureError
from http_server import Answer, http_server

KEY = "artifacts/engine/name.zst"
BODY = bytes(range(256)) * 40


def error(code: str, status: int) -> Answer:
    return Answer(f"<?xml?><Error><Code>{code}</Code><Message>no</Message></Error>".encode(), status)


@pytest.fixture
def environment():
    return {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s3cret"}


def get(environment, *answers, max_bytes=100_000, total_seconds=20.0):
    """The result of reading from a server with these answers, and the requested paths."""
    with http_server(*answers) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        return ObjectReader(AwsAccess(environment), "bucket", total_seconds).get(KEY, max_bytes), server.requests


def test_an_object_is_read_whole(environment):
    assert get(environment, Answer(BODY, pieces=7)) == (BODY, [f"/bucket/{KEY}"])


def test_no_more_is_read_than_asked_for(environment):
    assert get(environment, Answer(BODY), max_bytes=100)[0] == BODY[:100]


def test_an_empty_object_is_empty(environment):
    assert get(environment, Answer(b""))[0] == b""


def test_a_key_is_quoted(environment):
    with http_server(Answer(b"x")) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        ObjectReader(AwsAccess(environment), "bucket").get("uploads/a b?c#d%20é", 10)
    assert server.requests == ["/bucket/uploads/a%20b%3Fc%23d%2520%C3%A9"]


def test_the_request_is_signed_as_s3_wants_it(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="reading", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="reading", Key="a b/ü", Body=BODY)
    reader = ObjectReader(aws.access, "reading")
    assert reader.get("a b/ü", len(BODY)) == BODY
    assert reader.get("nothing", 10) is None
    with pytest.raises(InfrastructureError, match="HTTP 404 NoSuchBucket"):
        ObjectReader(aws.access, "elsewhere").get("nothing", 10)


def test_an_object_is_written_and_written_over(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="writing", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    writer = ObjectWriter(aws.access, "writing")
    for body in (b"first", BODY):
        writer.put("a b/ü", body)
    assert ObjectReader(aws.access, "writing").get("a b/ü", len(BODY) + 1) == BODY
    with pytest.raises(InfrastructureError, match="HTTP 404 NoSuchBucket: there is no such bucket"):
        ObjectWriter(aws.access, "elsewhere").put("a", b"")


def test_a_refusal_to_write_names_the_permission(environment):
    with http_server(error("AccessDenied", 403)) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        writer = ObjectWriter(AwsAccess(environment), "bucket")
        with pytest.raises(InfrastructureError, match=r"may not write it; it needs s3:PutObject$"):
            writer.put("exports/a", BODY)


def test_a_temporary_fault_is_retried(environment):
    data, requests = get(environment, error("SlowDown", 503), error("InternalError", 500), Answer(BODY))
    assert data == BODY
    assert len(requests) == 3


def test_an_object_that_is_not_there_is_none(environment):
    assert get(environment, error("NoSuchKey", 404)) == (None, [f"/bucket/{KEY}"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error("NoSuchBucket", 404), "HTTP 404 NoSuchBucket"),
        (error("AccessDenied", 403), "HTTP 403 AccessDenied"),
        (error("InternalError", 500), "HTTP 500 InternalError"),
        (Answer(b"moved", 301), "HTTP 301 "),
        (Answer(BODY, length=2 * len(BODY)), "IncompleteRead|ProtocolError"),
    ],
)
def test_an_unusable_answer_is_an_infrastructure_failure_that_names_the_object(environment, answer, reason):
    with pytest.raises(
        InfrastructureError, match=rf"S3 object {KEY} of bucket bucket \(GUILDHOOK_ARTIFACT_BUCKET\): "
    ) as e:
        get(environment, answer, max_bytes=2 * len(BODY))
    assert any(part in str(e.value) for part in reason.split("|"))
    assert "\n" not in str(e.value)
    assert "s3cret" not in str(e.value)


def test_an_endless_answer_is_given_up_in_time(environment):
    with pytest.raises(InfrastructureError, match=r"only \d+ bytes arrived within the limit of 0 s"):
        get(environment, Answer(BODY * 100, pieces=100), max_bytes=len(BODY) * 100, total_seconds=0)


def test_a_server_that_is_not_there_is_an_infrastructure_failure(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    with pytest.raises(InfrastructureError, match="NewConnectionError"):
        ObjectReader(AwsAccess(environment), "bucket").get(KEY, 10)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ACCESS_KEY_ID"])
def test_without_region_or_credentials_nothing_is_asked(environment, name):
    del environment[name]
    with pytest.raises(InfrastructureError, match=r"region|credentials"):
        get(environment, Answer(BODY))


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-central-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")],
)
def test_without_an_endpoint_it_is_that_of_the_region(environment, region, host):
    environment["AWS_REGION"] = region
    assert bucket_url(AwsAccess(environment), "bucket") == f"https://bucket.s3.{region}.{host}"
