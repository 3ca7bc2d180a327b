"""Causes hundreds of faults while messages are answered, and then accounts for every message.

`python tests/chaos/run.py [--messages N] [--faults N] [--seed N] [--json]`. Exits with 1 if a reply is lost or comes
twice, or if the account finds another fault. With `--no-keys` the chat server ignores idempotency keys: then
a reply may come twice, and the number of such replies is measured.
"""

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from statistics import median, quantiles

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it

from chaos.account import Account, account, plan
from chaos.faults import KINDS, Fault, schedule
from chaos.system import System, reply, running

_HANDLERS = 2
_AT_ONCE = 10
"""Messages that are said together."""
_SHUFFLED = 50
_APART_SECONDS = 0.3
"""From one fault to the next."""
_LOOK_SECONDS = 0.2
_LOG_SECONDS = 30


@dataclass(frozen=True)
class Options:
    messages: int
    faults: int
    seed: int
    guilds: int
    limit_seconds: float
    function_timeout_seconds: float
    visibility_timeout_seconds: int
    ahead: int
    """Messages that may wait for replies before more are said."""
    keys: bool
    alone: bool
    """True if each fault waits until the previous one is over, while messages continue."""


@dataclass
class Fate:
    """A fault, and the time at which all messages from before it were answered."""

    fault: Fault
    began: float
    said: int
    idle: bool = False
    """Everything was answered when it began, so that there was nothing to recover."""
    recovered_seconds: float | None = None


@dataclass(frozen=True)
class Recovery:
    faults: int
    median_seconds: float | None
    """None where all of them found nothing under way."""
    max_seconds: float | None


@dataclass(frozen=True)
class Report:
    seed: int
    seconds: float
    account: Account
    published_twice: int
    handlers: int
    """Processes of the handler, one after the other."""
    timed_out: int
    redriven: int
    faults: dict[str, Recovery]
    window_ms: dict[str, float]
    """Between a message's time in the chat server and the time of the transaction that has it as delivered."""
    failures: dict[str, int]
    """Why records came back, the most frequent reasons."""
    compile_failures: dict[str, int]
    """Why requests to compile came back."""
    problems: list[str] = field(default_factory=list)


class OutOfTimeError(Exception):
    pass


class Chaos:
    """One test on a running system."""

    def __init__(self, system: System, options: Options, progress: Callable[[int, int, int], None]) -> None:
        """`progress` receives the numbers of answered messages, of faults that began and of faults that are over."""
        self._system = system
        self._options = options
        self._progress = progress
        self._random = Random(options.seed)
        self._said = plan(self._random, options.messages, options.guilds)
        self._faults = list(schedule(self._random, options.faults, options.messages))
        self._published: list[tuple[str, str]] = []
        self._twice = 0
        self._shuffle = False
        self._fates: list[Fate] = []
        self._ends: list[tuple[float, Callable[[], None]]] = []
        self._waiting = {message.number: set(message.replies) for message in self._said}
        self._answered = 0
        """Every message before this one has its replies."""
        self._unanswered = 0
        self._replies = 0
        """That were looked at."""
        self._looked = 0.0
        self._started = time.monotonic()

    def run(self) -> Report:
        system = self._system
        while self._next():
            self._tick()
        while not self._settled():
            self._tick()
        system.handlers.close()
        system.compilers.close()
        found = system.find()
        once = self._options.keys
        result = account(self._said, found, once)
        lost = [*result.lost, *(result.duplicates if once else ()), *result.wrong]
        lost += system.handlers.crashes + system.compilers.crashes
        return Report(
            seed=self._options.seed,
            seconds=time.monotonic() - self._started,
            account=result,
            published_twice=self._twice,
            handlers=system.handlers.started,
            timed_out=system.handlers.timed_out,
            redriven=system.redriven,
            faults=recoveries(self._fates),
            window_ms=summary(system.window_ms()),
            failures=dict(system.handlers.heard.failures.most_common(12)),
            compile_failures=dict(system.compilers.heard.failures.most_common(12)),
            problems=lost,
        )

    def _next(self) -> bool:
        """Begin a fault that is due, or say the next messages. Returns True if faults or messages are left."""
        said = len(self._published)
        due = bool(self._faults) and self._faults[0].at < said
        if due and self._may_begin():
            self._begin(self._faults.pop(0))
        elif said < len(self._said) and self._unanswered < self._options.ahead and (not due or self._may_go_on()):
            size = _SHUFFLED if self._shuffle else _AT_ONCE
            events = [self._system.event(message) for message in self._said[said : said + size]]
            order = self._random.sample(events, len(events)) if self._shuffle else events
            self._shuffle = False
            self._system.publish(order)
            self._published += events
            self._unanswered += sum(bool(message.replies) for message in self._said[said : said + size])
        return bool(self._faults) or len(self._published) < len(self._said)

    def _may_begin(self) -> bool:
        if self._options.alone:
            # A fault tests something only if messages are under way.
            return self._may_go_on() and (self._unanswered >= _AT_ONCE or len(self._published) == len(self._said))
        return not self._fates or time.monotonic() - self._fates[-1].began > _APART_SECONDS

    def _may_go_on(self) -> bool:
        """True if messages continue although a fault is due: faults come one at a time."""
        return self._options.alone and not (self._fates and self._fates[-1].recovered_seconds is None)

    def _begin(self, fault: Fault) -> None:
        now = time.monotonic()
        said = len(self._published)
        self._fates.append(Fate(fault, now, said, idle=self._answered == said))
        match fault.kind:
            case "reordered":
                self._shuffle = True
            case "duplicates":
                again = self._random.sample(self._published[-200:], min(fault.events, len(self._published)))
                half = len(again) // 2
                self._system.publish(again[:half])
                self._system.publish(again[half:], delay_seconds=self._random.randint(1, 5))
                self._twice += len(again)
            case _:
                end = self._system.begin(fault, self._random)
                if end:
                    self._ends.append((now + fault.seconds, end))

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._started > self._options.limit_seconds:
            raise OutOfTimeError(self._unfinished())
        self._system.keep()
        self._system.restarted()
        self._system.sweep()
        for end in [end for end in self._ends if end[0] <= now]:
            self._ends.remove(end)
            end[1]()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._look()
        time.sleep(0.01)

    def _look(self) -> None:
        """Read the replies that came since the last call."""
        replies = self._system.stack.chat.replies()
        for message in replies[self._replies :]:
            number, plugin, _ = reply(message["content"])
            if self._waiting[number] == {(number, plugin)}:
                self._unanswered -= 1
            self._waiting[number].discard((number, plugin))
        self._replies = len(replies)
        while self._answered < len(self._published) and not self._waiting[self._answered]:
            self._answered += 1
        now = time.monotonic()
        for fate in self._fates:
            if fate.recovered_seconds is None and self._answered >= fate.said:
                fate.recovered_seconds = now - fate.began
        recovered = sum(fate.recovered_seconds is not None for fate in self._fates)
        self._progress(self._answered, len(self._fates), recovered)

    def _settled(self) -> bool:
        """True if no message is in progress."""
        if self._ends or not self._system.restarted():
            return False
        if self._answered == len(self._said) and self._system.handlers.idle:
            # The remaining messages are malformed, and wait to be received again.
            self._system.make_visible()
        return self._system.quiet() and not self._system.redrive()

    def _unfinished(self) -> str:
        waiting = [number for number in range(len(self._published)) if self._waiting[number]]
        reasons = "; ".join(reason for reason, _ in self._system.handlers.heard.failures.most_common(3))
        return (
            f"not done after {self._options.limit_seconds:.0f} s: {len(self._published)} of {len(self._said)} messages "
            f"are said, {len(waiting)} of them wait for replies ({', '.join(map(str, waiting[:20]))}), "
            f"{self._system.queued()} events are in the queue; most came back for: {reasons or 'nothing'}"
        )


def recoveries(fates: Sequence[Fate]) -> dict[str, Recovery]:
    """Return the times of recovery by kind of fault, in the order of KINDS."""
    found: dict[str, Recovery] = {}
    for kind in KINDS:
        of_kind = [fate for fate in fates if fate.fault.kind == kind]
        times = [fate.recovered_seconds for fate in of_kind if fate.recovered_seconds is not None and not fate.idle]
        if of_kind:
            found[kind] = Recovery(len(of_kind), median(times) if times else None, max(times, default=None))
    return found


def summary(sorted_ms: Sequence[float]) -> dict[str, float]:
    if len(sorted_ms) < 2:
        return {}
    return {"median": median(sorted_ms), "p99": quantiles(sorted_ms, n=100)[98], "max": sorted_ms[-1]}


def measure(options: Options, progress: Callable[[int, int, int], None]) -> Report:
    """Raises OutOfTimeError."""
    logging.disable(logging.WARNING)
    with running(
        options.guilds, _HANDLERS, options.function_timeout_seconds, options.visibility_timeout_seconds
    ) as system:
        system.stack.chat.honours_keys = options.keys
        return Chaos(system, options, progress).run()


def main() -> int:
    options, as_json = _options()
    err = Console(stderr=True)
    err.print(f"seed {options.seed}")
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # so that a signal cleans everything up, also where the shell has it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with _shown(err, options) as progress, redirect_stdout(sys.stderr):
            report = measure(options, progress)
    except OutOfTimeError as error:
        err.print(str(error), style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        show(report, options)
    return 1 if report.problems else 0


def _options() -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None, help="the same plan of messages and faults again")
    parser.add_argument("--guilds", type=int, default=50)
    parser.add_argument("--limit", type=float, default=900, metavar="SECONDS", help="for all of it")
    parser.add_argument("--function-timeout", type=float, default=20, metavar="SECONDS")
    parser.add_argument("--visibility-timeout", type=int, default=15, metavar="SECONDS")
    parser.add_argument(
        "--ahead", type=int, default=300, help="messages that may wait for replies before more are said"
    )
    parser.add_argument("--no-keys", action="store_true", help="a chat server that ignores idempotency keys")
    parser.add_argument("--alone", action="store_true", help="one fault at a time, to see how long each takes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    options = Options(
        messages=given.messages,
        faults=given.faults,
        seed=SystemRandom().randrange(10**9) if given.seed is None else given.seed,
        guilds=given.guilds,
        limit_seconds=given.limit,
        function_timeout_seconds=given.function_timeout,
        visibility_timeout_seconds=given.visibility_timeout,
        ahead=given.ahead,
        keys=not given.no_keys,
        alone=given.alone,
    )
    return options, given.json


@contextmanager
def _shown(console: Console, options: Options) -> Iterator[Callable[[int, int, int], None]]:
    """Show progress: a bar on a terminal, and an occasional line in a log."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=options.messages)

        def show_progress(answered: int, faults: int, recovered: int) -> None:
            nonlocal shown
            description = f"answered; {recovered} of {faults} faults are over"
            bar.update(task, completed=answered, description=description)
            if not console.is_terminal and time.monotonic() - shown > _LOG_SECONDS:
                shown = time.monotonic()
                console.print(f"{answered} of {options.messages} {description}", highlight=False)

        yield show_progress


def show(report: Report, options: Options) -> None:
    out = Console(highlight=False)
    found = report.account
    faults = Table("fault", "times", "recovered, median", "max", title="Faults")
    for kind, recovery in report.faults.items():
        times = (recovery.median_seconds, recovery.max_seconds)
        faults.add_row(
            kind, str(recovery.faults), *("-" if seconds is None else f"{seconds:.1f} s" for seconds in times)
        )
    out.print(faults)
    rows = {
        "messages": found.messages,
        "events published twice": report.published_twice,
        "faults": sum(recovery.faults for recovery in report.faults.values()),
        "kinds of faults": len(report.faults),
        "replies due": found.to_reply,
        "replies": found.replied,
        "lost": len(found.lost),
        "duplicates": len(found.duplicates),
        "runs that failed, with a record": found.failed,
        "skipped, with a reason": found.skipped,
        "malformed, in the dead-letter queue": found.dead,
        "moved back from the dead-letter queue": report.redriven,
        "wrong otherwise": len(report.problems) - len(found.lost) - (len(found.duplicates) if options.keys else 0),
        "processes of the handler": report.handlers,
        "of them over the function's timeout": report.timed_out,
    }
    accounts = Table("", "", title="Messages", show_header=False)
    for name, number in rows.items():
        accounts.add_row(name, f"{number:,}")
    out.print(accounts)
    for title, reasons in (
        ("records came back because", report.failures),
        ("compiles came back because", report.compile_failures),
    ):
        failures = Table(title, "times")
        for reason, number in reasons.items():
            failures.add_row(Text(reason), f"{number:,}")
        out.print(failures)
    window = ", ".join(f"{name} {value:.0f} ms" for name, value in report.window_ms.items())
    out.print(f"stored until written down as delivered: {window}")
    out.print(f"{report.seconds:.0f} s, seed {report.seed}")
    for problem in report.problems[:30]:
        out.print(problem, style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
