from uuid import uuid4

import pytest

from guildhook.aws.queues import Queue, QueueMessage
from guildhook.errors import InfrastructureError
from guildhook_local.aws import create_queue


@pytest.fixture
def url(aws):
    return create_queue(aws, f"events-{uuid4().hex}", visibility_timeout_seconds=600, max_receive_count=3).url


@pytest.fixture
def receive(aws, url):
    def receive():
        received, sqs = [], aws.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        ).get("Messages"):
            received += messages
        return received

    return receive


def test_messages_keep_their_group(aws, url, receive):
    queue = Queue(aws.access, url, "VARIABLE")
    queue.send([QueueMessage(str(number), group_id=f"guild-{number}") for number in range(23)])
    queue.send([QueueMessage("alone")])
    received = {message["Body"]: message["Attributes"].get("MessageGroupId") for message in receive()}
    assert received == {"alone": None, **{str(number): f"guild-{number}" for number in range(23)}}


def test_no_more_messages_are_sent_when_the_time_is_over(aws, url, receive):
    time_left = [True, False]
    messages = [QueueMessage(str(number)) for number in range(23)]
    assert Queue(aws.access, url, "VARIABLE").send(messages, lambda: time_left.pop(0)) == 20
    assert len(receive()) == 20


def test_postponed_messages_come_back_when_they_are_to(aws, url, receive):
    queue = Queue(aws.access, url, "VARIABLE")
    queue.send([QueueMessage(str(number)) for number in range(23)])
    handles = {message["Body"]: message["ReceiptHandle"] for message in receive()}
    # A fraction of a second is rounded up, and a longer wait than SQS allows is cut to its maximum.
    waits = {"0": 0.0, "1": 0.2, "2": 10**9}
    queue.postpone({handles[body]: waits.get(body, 0) for body in handles})
    assert {message["Body"] for message in receive()} == set(handles) - {"1", "2"}
    queue.postpone({})


def test_a_receipt_that_is_no_longer_good_is_named_with_the_queue(aws, url):
    with pytest.raises(InfrastructureError, match=r"^queue http.* \(VARIABLE\): ReceiptHandleIsInvalid"):
        Queue(aws.access, url, "VARIABLE").postpone({"no receipt": 1})


def test_a_queue_that_is_not_there_is_named(aws):
    queue = Queue(aws.access, f"{aws.endpoint}/000000000000/nowhere", "VARIABLE")
    with pytest.raises(InfrastructureError, match=r"/nowhere \(VARIABLE\): "):
        queue.send([QueueMessage("x")])
