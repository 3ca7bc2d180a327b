"""Compares the messages that were typed with the replies, runs and records that they led to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from random import Random

COUNTER, ECHO, TRAP = "counter", "echo", "trap"
REPLYING = frozenset({COUNTER, ECHO})
_GUILDS = (
    (COUNTER,),
    (ECHO,),
    (COUNTER,),
    (COUNTER, TRAP),
    (COUNTER,),
    (COUNTER, ECHO),
    (COUNTER,),
    (TRAP,),
)
"""The plugins of each guild; with more guilds than these, they repeat."""
_SHARE_SKIPPED = 0.05
_SHARE_MALFORMED = 0.01
_SKIPPED = ({"author": {"id": "b07", "bot": True}}, {"encrypted": True}, {"message_type": "system"})


@dataclass(frozen=True)
class TypedMessage:
    """A message that somebody typed; `number` is in its content, and comes back in each reply."""

    number: int
    guild: int
    plugins: frozenset[str]
    """The plugins of its guild. Each runs once for it, unless it is skipped or malformed."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """The fields because of which it is skipped."""
    malformed: bool = False

    @property
    def replies(self) -> frozenset[tuple[int, str]]:
        return frozenset((self.number, plugin) for plugin in self.plugins & REPLYING) if self.runs else frozenset()

    @property
    def runs(self) -> frozenset[tuple[int, str]]:
        if self.malformed or self.fields:
            return frozenset()
        return frozenset((self.number, plugin) for plugin in self.plugins)


@dataclass(frozen=True)
class FinalState:
    """The state of the system when nothing moves any more."""

    replies: Counter[tuple[int, str]]
    """The number of replies, by number of the message and plugin."""
    counts: Mapping[int, list[int]]
    """The numbers that the counter replied with, by guild."""
    states: Mapping[int, int]
    """The counters that PostgreSQL holds, by guild."""
    runs: Mapping[tuple[int, str], list[str]]
    """The outcomes, by number of the message and plugin."""
    skipped: AbstractSet[int]
    """The numbers of the messages that a log line calls skipped, with a reason."""
    dead: Counter[int]
    """The events in the dead-letter queue, by number of the message."""
    undelivered: int
    """Intents that PostgreSQL does not hold as delivered."""
    queued: int
    """Events that are still in the queue."""


@dataclass(frozen=True)
class Account:
    messages: int
    to_reply: int
    """Replies that are due."""
    replied: int
    failed: int
    """Runs that ended badly, with a record."""
    skipped: int
    dead: int
    """Malformed events in the dead-letter queue."""
    lost: list[str]
    duplicates: list[str]
    wrong: list[str]
    """Everything else that is not as it should be."""


def plan(random: Random, messages: int, guilds: int) -> list[TypedMessage]:
    """Draw a list of messages that has at least one of each sort."""
    return [
        _said(random, number, number % guilds if number < guilds else random.randrange(guilds))
        for number in range(messages)
    ]


def plugins_of(guild: int) -> frozenset[str]:
    return frozenset(_GUILDS[guild % len(_GUILDS)])


def _said(random: Random, number: int, guild: int) -> TypedMessage:
    draw = random.random()
    if number == 1 or draw < _SHARE_MALFORMED:
        return TypedMessage(number, guild, plugins_of(guild), malformed=True)
    if number == 2 or draw < _SHARE_MALFORMED + _SHARE_SKIPPED:
        return TypedMessage(number, guild, plugins_of(guild), fields=random.choice(_SKIPPED))
    return TypedMessage(number, guild, plugins_of(guild))


def account(said: Iterable[TypedMessage], found: FinalState, once: bool = True) -> Account:
    """Compare messages and final state. With `once` the chat server honours keys, so no reply may come twice."""
    said = list(said)
    due = {reply for message in said for reply in message.replies}
    lost = [f"no reply of {plugin} to message {number}" for number, plugin in sorted(due - found.replies.keys())]
    duplicates = [
        f"{times} replies of {plugin} to message {number}"
        for (number, plugin), times in sorted(found.replies.items())
        if times > 1
    ]
    return Account(
        messages=len(said),
        to_reply=len(due),
        replied=len(due & found.replies.keys()),
        failed=sum(outcome != "ok" for outcomes in found.runs.values() for outcome in outcomes),
        skipped=len(found.skipped & {message.number for message in said if message.fields}),
        dead=sum(message.malformed and message.number in found.dead for message in said),
        lost=lost,
        duplicates=duplicates,
        wrong=list(_wrong(said, due, found, once)),
    )


def _wrong(said: list[TypedMessage], due: AbstractSet[tuple[int, str]], found: FinalState, once: bool) -> Iterator[str]:
    for number, plugin in sorted(found.replies.keys() - due):
        yield f"a reply of {plugin} to message {number}, which is due none"
    yield from _wrong_runs(said, found)
    for message in said:
        if message.fields and not message.malformed and message.number not in found.skipped:
            yield f"message {message.number} should be skipped, and no log says that it is"
        if message.malformed != (message.number in found.dead):
            where = "is not" if message.malformed else "is still"
            yield f"event {message.number} {where} in the dead-letter queue"
    if found.undelivered:
        yield f"{found.undelivered} sends are not written down as delivered"
    if found.queued:
        yield f"{found.queued} events are still in the queue"
    yield from _wrong_counts(said, found, once)


def _wrong_runs(said: list[TypedMessage], found: FinalState) -> Iterator[str]:
    expected = {run for message in said for run in message.runs}
    for number, plugin in sorted(expected ^ found.runs.keys()):
        fault = "no run is recorded" if (number, plugin) in expected else "a run is recorded that should not be"
        yield f"message {number}, {plugin}: {fault}"
    for (number, plugin), outcomes in sorted(found.runs.items()):
        if outcomes != ["trap" if plugin == TRAP else "ok"]:
            yield f"message {number}, {plugin}: the recorded runs are {', '.join(outcomes)}"


def _wrong_counts(said: list[TypedMessage], found: FinalState, once: bool) -> Iterator[str]:
    counted = Counter(message.guild for message in said if (message.number, COUNTER) in message.replies)
    for guild, times in sorted(counted.items()):
        numbers = found.counts.get(guild, [])
        if sorted(numbers if once else set(numbers)) != list(range(1, times + 1)):
            yield f"guild {guild}: the counter did not say each of 1 to {times} once"
        if found.states.get(guild) != times:
            yield f"guild {guild}: its counter's state is {found.states.get(guild)} after {times} messages"
