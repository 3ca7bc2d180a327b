"""SQS, S3 and Secrets Manager from moto's server, used with boto3 over HTTP as in AWS."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from guildhook.aws.access import AwsAccess
from guildhook_local.guard import Admitted, Guard
from guildhook_local.signatures import KeyPair, SignedByKey
from guildhook_local.web_server import serving_wsgi

_REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class Aws:
    """A running moto server. It takes requests that are signed with its keys, and no others."""

    endpoint: str
    keys: KeyPair
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The clients by their services. It takes long to create one."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which a process uses moto as AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": self.keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret_access_key,
            # A profile of the user may have endpoints and other settings of its own.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def access(self) -> AwsAccess:
        return AwsAccess(self.environment)

    def client(self, service: str) -> Any:
        """The boto3 client of an AWS service, such as `sqs`. Threads can share it."""
        if service not in self._clients:
            # By default boto3 presigns URLs of S3 with version 2, which the guard does not know.
            config = Config(signature_version="s3v4") if service == "s3" else Config()
            self._clients[service] = self.access.client(service, config)
        return self._clients[service]


@dataclass(frozen=True, slots=True)
class QueueUrls:
    """The URLs of a queue and of its dead-letter queue."""

    url: str
    dead_letter_url: str


@contextmanager
def aws_server(address: str = "127.0.0.1", admitted: Admitted | None = None) -> Iterator[Aws]:
    """Run moto on a free port of `address` until the block is left, for the pages and names that are admitted."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    keys, admitted = KeyPair(), admitted or Admitted()
    application = DomainDispatcherApplication(create_backend_app)

    def guard(url: str) -> Guard:
        return Guard(url, SignedByKey(keys), admitted)

    with serving_wsgi(application, guard, address, MotoRequestHandler) as url:
        yield Aws(url, keys)


def queue_arn(queue_url: str, region: str = _REGION) -> str:
    *_, account, name = queue_url.split("/")
    return f"arn:aws:sqs:{region}:{account}:{name}"


def create_queue(aws: Aws, name: str, visibility_timeout_seconds: int, max_receive_count: int) -> QueueUrls:
    """Create a queue and its dead-letter queue as template.yaml declares them."""
    sqs = aws.client("sqs")
    dead_letter_url = sqs.create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": queue_arn(dead_letter_url),
        "maxReceiveCount": max_receive_count,
    }
    attributes = {
        "VisibilityTimeout": str(visibility_timeout_seconds),
        "RedrivePolicy": json.dumps(redrive),
    }
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return QueueUrls(url, dead_letter_url)


def create_bucket(aws: Aws, name: str) -> None:
    """Create a bucket. moto accepts uploads from pages of every origin, so it needs no CORS rules."""
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})


def tell_of_uploads(aws: Aws, bucket: str, queue: QueueUrls) -> None:
    """Have the bucket announce uploads on the queue, as template.yaml declares it. S3's test event is removed."""
    sqs = aws.client("sqs")
    rule = {
        "QueueArn": queue_arn(queue.url),
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "uploads/"}]}},
    }
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
    )
    for message in sqs.receive_message(QueueUrl=queue.url).get("Messages", ()):
        sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])


def create_secret(aws: Aws, name: str, content: Mapping[str, str]) -> None:
    """Create a secret whose value is `content` as a JSON object."""
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))
