"""SQS, S3 and Secrets Manager from moto's server, spoken to with boto3 over HTTP as in AWS."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

_REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class Aws:
    """Where moto listens, and what a process needs in its environment to use it as AWS."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=_REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - moto takes any
        )


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of message-created events and its dead-letter queue, by URL."""

    url: str
    dead_letter_url: str


@contextmanager
def aws_server(address: str = "127.0.0.1") -> Iterator[Aws]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Aws(f"http://{host}:{port}")
    finally:
        server.stop()


def create_queue(aws: Aws, name: str, visibility_timeout_seconds: int, max_receive_count: int) -> Queue:
    """As template.yaml has them."""
    sqs = aws.client("sqs")
    dead_letter_url = sqs.create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": max_receive_count,
    }
    attributes = {
        "VisibilityTimeout": str(visibility_timeout_seconds),
        "RedrivePolicy": json.dumps(redrive),
    }
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Queue(url, dead_letter_url)


def create_bucket(aws: Aws, name: str) -> None:
    """moto lets pages of every origin upload to it."""
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})


def tell_of_uploads(aws: Aws, bucket: str, queue: Queue) -> None:
    """Let the bucket put notices onto the queue, as template.yaml has it. S3's test event is taken off it again."""
    sqs = aws.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = {
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "uploads/"}]}},
    }
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
    )
    for message in sqs.receive_message(QueueUrl=queue.url).get("Messages", ()):
        sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])


def create_secret(aws: Aws, name: str, content: Mapping[str, str]) -> None:
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))
