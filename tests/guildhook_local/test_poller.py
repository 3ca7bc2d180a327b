from uuid import uuid4

import pytest

from guildhook_local.aws import create_queue
from guildhook_local.poller import EventSourceMapping


@pytest.fixture
def sqs(running):
    return running.aws.client("sqs")


@pytest.fixture
def queue(running):
    return create_queue(running.aws, f"test-{uuid4().hex}", visibility_timeout_seconds=0, max_receive_count=2)


@pytest.fixture
def mapping(sqs, queue):
    return lambda handler, **options: EventSourceMapping(sqs, queue.url, "function", handler, **options)


def send(sqs, queue, *bodies):
    for body in bodies:
        sqs.send_message(QueueUrl=queue.url, MessageBody=body, MessageGroupId="guild")


def dead_letters(sqs, queue):
    answer = sqs.receive_message(QueueUrl=queue.dead_letter_url, MaxNumberOfMessages=10)
    return sorted(message["Body"] for message in answer.get("Messages", []))


def drain(mapping):
    """Polls until the queue is empty and all failed records are in the dead-letter queue."""
    while mapping.poll():
        pass


def failing(*bodies):
    """Return a function that reports records with these bodies as failed, and a list of the bodies that it receives."""
    seen = []

    def handler(event, _context):
        seen.append([record["body"] for record in event["Records"]])
        ids = [record["messageId"] for record in event["Records"] if record["body"] in bodies]
        return {"batchItemFailures": [{"itemIdentifier": item} for item in ids]}

    return handler, seen


def test_an_empty_queue_invokes_nothing(mapping):
    handler, seen = failing()
    assert mapping(handler).poll() == 0
    assert seen == []


def test_batches_have_at_most_ten_records(sqs, queue, mapping):
    send(sqs, queue, *map(str, range(12)))
    handler, seen = failing()
    drain(mapping(handler))
    assert [len(batch) for batch in seen] == [10, 2]
    assert sorted(body for batch in seen for body in batch) == sorted(map(str, range(12)))


def test_a_record_is_as_lambda_hands_it_over(sqs, queue, mapping):
    invocations = []
    send(sqs, queue, "body")
    mapping(lambda event, context: invocations.append((event, context))).poll()
    ((event, context),) = invocations
    (record,) = event["Records"]
    assert (record["body"], record["eventSource"]) == ("body", "aws:sqs")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["MessageGroupId"] == "guild"
    assert int(record["attributes"]["SentTimestamp"]) > 1_700_000_000_000
    assert context.function_name == "function"
    assert 0 < context.get_remaining_time_in_millis() <= 60_000
    attributes = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]
    assert record["eventSourceARN"] == attributes["QueueArn"]
    assert record["awsRegion"] == attributes["QueueArn"].split(":")[3]


def test_only_the_failed_records_come_back_and_end_as_dead_letters(sqs, queue, mapping):
    send(sqs, queue, "good", "bad", "fine")
    handler, seen = failing("bad")
    drain(mapping(handler))
    assert [sorted(batch) for batch in seen] == [["bad", "fine", "good"], ["bad"]]
    assert dead_letters(sqs, queue) == ["bad"]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_answer_without_failures_is_a_success(sqs, queue, mapping, answer):
    send(sqs, queue, "a", "b")
    drain(mapping(lambda event, context: answer))
    assert dead_letters(sqs, queue) == []


@pytest.mark.parametrize(
    "failures",
    [
        [{"itemIdentifier": ""}],
        [{"itemIdentifier": None}],
        [{"itemIdentifier": "not-in-the-batch"}],
        [{"messageId": "wrong key"}],
        ["text"],
    ],
)
def test_an_answer_that_lambda_does_not_understand_fails_the_whole_batch(sqs, queue, mapping, failures):
    send(sqs, queue, "a", "b")
    drain(mapping(lambda event, context: {"batchItemFailures": failures}))
    assert dead_letters(sqs, queue) == ["a", "b"]


def test_a_function_that_raises_fails_the_whole_batch(sqs, queue, mapping):
    def handler(event, context):
        raise ZeroDivisionError

    send(sqs, queue, "a", "b")
    drain(mapping(handler))
    assert dead_letters(sqs, queue) == ["a", "b"]


def test_a_failed_record_is_invisible_until_its_timeout_is_over(running, sqs):
    queue = create_queue(running.aws, f"test-{uuid4().hex}", visibility_timeout_seconds=600, max_receive_count=2)
    send(sqs, queue, "bad")
    handler, seen = failing("bad")
    drain(EventSourceMapping(sqs, queue.url, "function", handler))
    assert seen == [["bad"]]
    assert dead_letters(sqs, queue) == []
