"""A function with its event source mapping, in a process that the harness may kill at any moment.

Its arguments are the function's folder, the queue's URL and the function's timeout in seconds. It prints to stdout,
between the lines of the function's own log, which messages an invocation has and when it is over.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from guildhook_local.function import Handler, LambdaContext, loaded_function
from guildhook_local.poller import EventSourceMapping

# Lambda's poller does not wait for an answer that was lost.
_SQS = Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 1})


def watched(handler: Handler, timeout_seconds: float) -> Handler:
    def handle(event: dict[str, Any], context: LambdaContext) -> Any:
        messages = {record["messageId"]: message_id(record["body"]) for record in event["Records"]}
        tell({"chaos": "began", "messages": messages})
        try:
            return handler(event, replace(context, deadline=time.monotonic() + timeout_seconds))
        finally:
            tell({"chaos": "ended"})

    return handle


def message_id(body: str) -> str | None:
    try:
        return str(json.loads(body)["message"]["id"])
    except (ValueError, KeyError, TypeError):
        return None


def tell(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(folder: str, queue_url: str, timeout_seconds: str) -> None:
    parent, ended = os.getppid(), []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles Ctrl-C
    function = Path(folder)
    with loaded_function(function, os.environ) as handler:
        sqs = boto3.client("sqs", config=_SQS)
        mapping = EventSourceMapping(sqs, queue_url, function.name, watched(handler, float(timeout_seconds)))
        tell({"chaos": "ready"})
        while not ended and os.getppid() == parent:
            try:
                mapping.poll(wait_seconds=1)
            except (BotoCoreError, ClientError):
                time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
