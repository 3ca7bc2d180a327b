"""A pass through the dead letters, with answers of SQS that a short test cannot get from a queue."""

import json
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from botocore.config import Config

from guildhook.aws.access import AwsAccess
from guildhook_local.cli.admin.dead_letters import DeadLetterFilter, DeadLetters
from http_server import Answer, http_server

THEIRS, OURS = str(uuid4()), str(uuid4())


def answer(*letters: tuple[str, str]) -> Answer:
    """Letters by their id and their guild's."""
    messages: list[dict[str, Any]] = [
        {
            "MessageId": name,
            "ReceiptHandle": name,
            "Body": json.dumps({"guild_id": guild}),
            "Attributes": {"SentTimestamp": "1"},
        }
        for name, guild in letters
    ]
    body = json.dumps({"Messages": messages} if messages else {}).encode()
    return Answer(body, headers={"Content-Type": "application/x-amz-json-1.0"})


@contextmanager
def dead_letters(aws, *answers):
    with http_server(*answers) as server:
        environment = {**aws.environment, "AWS_ENDPOINT_URL": server.url, "AWS_ENDPOINT_URL_SQS": server.url}
        client = AwsAccess(environment).client("sqs", Config(retries={"total_max_attempts": 1}))
        yield DeadLetters(client, f"{server.url}/1/dead", f"{server.url}/1/events", sleep=lambda _: None)


def test_letters_that_come_back_do_not_end_a_pass(aws):
    """A pass of a large queue takes longer than a letter is hidden."""
    ours = [(f"ours-{number}", OURS) for number in range(3)]
    nothing = answer()
    answers = [
        answer(*ours),
        *(answer(letter) for letter in ours),  # each was seen before
        answer(("theirs", THEIRS)),
        Answer(b"{}", headers=nothing.headers),  # sent
        Answer(b"{}", headers=nothing.headers),  # deleted
        nothing,
    ]
    with dead_letters(aws, *answers) as letters:
        moved = letters.requeue(DeadLetterFilter(guilds=frozenset({THEIRS})), 100, 1_000)
    assert (moved.matching, moved.others) == (1, 3)


def test_a_pass_ends_when_all_letters_have_come_back(aws):
    """They would come back forever if each pass took longer than a letter is hidden."""
    with dead_letters(aws, answer(("a", OURS), ("b", OURS))) as letters:
        moved = letters.requeue(DeadLetterFilter(guilds=frozenset({THEIRS})), 100, 1_000)
    assert (moved.matching, moved.others) == (0, 2)
