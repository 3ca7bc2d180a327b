"""The schedule of faults, which a seed determines before anything starts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType


@dataclass(frozen=True)
class Kind:
    effect: str
    shortest: float = 0
    longest: float = 0
    """The duration in seconds; 0 for a fault that is over at once."""


KINDS = MappingProxyType(
    {
        "handler-killed": Kind("SIGKILL of one handler"),
        "handler-killed-in-batch": Kind("SIGKILL of one handler, up to 80 ms after it began a batch"),
        "handlers-killed-as-chat-answers": Kind(
            "SIGKILL of all handlers: the message is stored, the response is not read"
        ),
        "handlers-killed-as-postgres-answers": Kind(
            "SIGKILL of all handlers: a statement is executed, its result is not read"
        ),
        "postgres-restarted": Kind("pg_ctl stop -m fast, and started again", 0.2, 2),
        "postgres-crashed": Kind("pg_ctl stop -m immediate, and started again", 0.2, 2),
        "postgres-cut": Kind("every connection to Postgres is reset"),
        "postgres-refuses": Kind("Postgres accepts no connection", 0.5, 3),
        "postgres-hangs": Kind("no byte passes to or from Postgres", 0.5, 4),
        "postgres-table-locked": Kind("a table is locked for longer than the function's time of 20 s", 20, 22),
        "postgres-answers-lost": Kind("statements are executed, and their results are lost", 0.1, 1),
        "chat-refuses": Kind("the chat server accepts no connection", 0.5, 3),
        "chat-cut": Kind("every connection to the chat server is reset"),
        "chat-hangs": Kind("sends take 7 s, and clients wait 5", 0.2, 2),
        "chat-500": Kind("sends are answered with 500", 0.2, 2),
        "chat-429": Kind("sends are answered with 429 and Retry-After", 0.2, 2),
        "chat-500-after-storing": Kind("messages are stored and answered with 500", 0.2, 2),
        "chat-dies-after-storing": Kind("messages are stored, and the connection ends without a response", 0.2, 1.5),
        "s3-503": Kind("S3 answers 503, and a handler starts cold", 2, 5),
        "s3-refuses": Kind("S3 accepts no connection, and a handler starts cold", 2, 5),
        "s3-hangs": Kind("S3 does not answer, and a handler starts cold", 2, 5),
        "compile-killed": Kind("a plugin has to be compiled, and each process that compiles is killed", 2, 4),
        "compile-hangs": Kind("a plugin has to be compiled, and its compiles exceed their 2 s of wall time", 3, 5),
        "compile-no-memory": Kind("a plugin has to be compiled, and the machine has no memory for it", 2, 4),
        "compile-disk-full": Kind("a plugin has to be compiled, and no file can be written", 2, 4),
        "cache-disk-full": Kind("handlers start cold, and cannot write compiled plugins to their disk", 2, 5),
        "sqs-answers-lost": Kind("batches are received and deleted, and the responses are lost", 0.1, 0.5),
        "visibility-jump": Kind("all messages in flight become visible at once"),
        "duplicates": Kind("events are published a second time, half of them later"),
        "reordered": Kind("the next events are published in another order"),
    }
)


@dataclass(frozen=True)
class Fault:
    kind: str
    at: int
    """It begins when so many messages were said."""
    seconds: float
    events: int
    """How many, where it is about events."""


def schedule(random: Random, faults: int, messages: int) -> Sequence[Fault]:
    """Return faults in the order of their beginning. The numbers of two kinds differ by one at most."""
    kinds = _kinds(random)
    moments = sorted(random.sample(range(messages // 50, messages), faults))
    return [_fault(random, next(kinds), at) for at in moments]


def _kinds(random: Random) -> Iterator[str]:
    while True:
        yield from random.sample(list(KINDS), len(KINDS))


def _fault(random: Random, name: str, at: int) -> Fault:
    kind = KINDS[name]
    return Fault(name, at, random.uniform(kind.shortest, kind.longest), random.randint(4, 24))
