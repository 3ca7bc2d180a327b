import json
from uuid import UUID, uuid4

import pytest

from guildhook.errors import InfrastructureError
from guildhook.versions.compile_queue import CompileQueue, UploadNotice, VersionRequest, WasmRequest, read_requests
from guildhook_local.aws import create_queue

DIGESTS = [bytes([number]) * 32 for number in range(23)]
VERSIONS = [UUID(int=number) for number in range(3)]


def test_requests_are_read_as_they_were_sent(aws):
    queue = create_queue(aws, f"compile-{uuid4().hex}", visibility_timeout_seconds=60, max_receive_count=3)
    CompileQueue(aws.access, queue.url).ask(DIGESTS)
    CompileQueue(aws.access, queue.url).ask([])
    CompileQueue(aws.access, queue.url).ask_versions(VERSIONS)
    read, sqs = [], aws.client("sqs")
    while messages := sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get("Messages"):
        read += [request for message in messages for request in read_requests(message["Body"])]
    assert sorted(request.wasm_sha256 for request in read if isinstance(request, WasmRequest)) == DIGESTS
    assert sorted(request.version_id for request in read if isinstance(request, VersionRequest)) == VERSIONS


def test_a_queue_that_is_not_there_is_named(aws):
    with pytest.raises(InfrastructureError, match=r"/nowhere \(GUILDHOOK_COMPILE_QUEUE_URL\): "):
        CompileQueue(aws.access, f"{aws.endpoint}/000000000000/nowhere").ask(DIGESTS[:1])


def notice(key, event="ObjectCreated:Post"):
    return {
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1}},
    }


def test_a_notice_of_uploads_names_their_keys():
    body = json.dumps({"Records": [notice("uploads/a+b%C3%BC.wasm"), notice("uploads/c")]})
    assert read_requests(body) == [UploadNotice("uploads/a bü.wasm"), UploadNotice("uploads/c")]


def test_s3_may_try_whether_it_may_send():
    assert read_requests(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})) == []


def test_a_field_that_is_null_is_one_that_is_missing():
    version_id = str(VERSIONS[1])
    assert read_requests(json.dumps({"wasm_sha256": None, "version_id": version_id})) == [VersionRequest(VERSIONS[1])]
    assert read_requests(json.dumps({"wasm_sha256": DIGESTS[1].hex(), "version_id": None})) == [WasmRequest(DIGESTS[1])]


def test_a_version_is_named_in_every_spelling():
    assert read_requests(json.dumps({"version_id": f"{{{VERSIONS[1]}}}"})) == [VersionRequest(VERSIONS[1])]


def test_a_request_is_a_digest():
    assert read_requests(json.dumps({"wasm_sha256": DIGESTS[10].hex().upper()})) == [WasmRequest(DIGESTS[10])]
    assert read_requests(json.dumps({"wasm_sha256": DIGESTS[1].hex()})) == [WasmRequest(DIGESTS[1])]


@pytest.mark.parametrize(
    "body",
    ["", "[", "[" * 100_000, "null", "{}",
     '{"wasm_sha256": "00"}', '{"wasm_sha256": 7}', json.dumps({"wasm_sha256": "x" * 64}),
     json.dumps({"wasm_sha256": "00 " * 21 + " "}), json.dumps({"wasm_sha256": "00" * 32 + " "}),
     json.dumps({"Records": [notice("uploads/a", "ObjectRemoved:Delete")]}),
     json.dumps({"Records": [notice("uploads/a"), notice("uploads/b", None)]}),
     '{"version_id": "ping"}', '{"version_id": 7}',
     '{"Records": [{"eventSource": "aws:sqs"}]}', '{"Records": [null]}', '{"Records": []}'],
)  # fmt: skip
def test_anything_else_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - from any parser, json included
        read_requests(body)
