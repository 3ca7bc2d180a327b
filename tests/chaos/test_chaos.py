"""A short form of `make chaos`: a few hundred messages, and a fault of every kind. The same plan each time."""

import json
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from chaos import run
from chaos.account import COUNTER, ECHO, TRAP, FinalState, TypedMessage, account, plan
from chaos.faults import KINDS, Fault, schedule
from chaos.proxy import Mode, proxies
from chaos.run import Fate, Recovery, recoveries
from chaos.system import reply


def report(*options):
    short = ["--seed", "7", "--guilds", "16", "--ahead", "60", "--visibility-timeout", "5", "--json"]
    command = [sys.executable, run.__file__, *short, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_nothing_is_lost_and_nothing_comes_twice():
    status, found = report("--messages", "250", "--faults", str(len(KINDS)))
    assert found["problems"] == []
    assert status == 0
    assert {kind: recovery["faults"] for kind, recovery in found["faults"].items()} == dict.fromkeys(KINDS, 1)
    accounts = found["account"]
    assert (accounts["lost"], accounts["duplicates"]) == ([], [])
    assert accounts["replied"] == accounts["to_reply"] > 200
    assert min(accounts["failed"], accounts["skipped"], accounts["dead"]) > 0
    # The faults of a compile reached one, and none refused a plugin.
    assert found["compile_failures"]


def test_nothing_is_lost_where_the_chat_server_ignores_keys():
    status, found = report("--messages", "80", "--faults", "12", "--no-keys")
    assert (found["problems"], status) == ([], 0)
    assert found["account"]["lost"] == []
    assert found["window_ms"]["median"] > 0


def test_a_run_that_takes_too_long_fails_and_names_the_missing_messages():
    command = [sys.executable, run.__file__, "--messages", "100", "--faults", "2", "--guilds", "2", "--limit", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "0 of 100 messages are said" in " ".join(done.stderr.split())


def test_every_kind_of_fault_comes_as_often_as_the_others():
    faults = schedule(Random(1), 3 * len(KINDS), 5_000)
    assert Counter(fault.kind for fault in faults) == dict.fromkeys(KINDS, 3)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(KINDS[fault.kind].shortest <= fault.seconds <= KINDS[fault.kind].longest for fault in faults)


def test_a_seed_makes_the_same_plan_again():
    assert schedule(Random(1), 50, 500) == schedule(Random(1), 50, 500) != schedule(Random(2), 50, 500)
    assert plan(Random(1), 500, 20) == plan(Random(1), 500, 20) != plan(Random(2), 500, 20)


SAID = [
    TypedMessage(0, 0, frozenset({COUNTER})),
    TypedMessage(1, 0, frozenset({COUNTER, TRAP})),
    TypedMessage(2, 1, frozenset({ECHO}), fields={"encrypted": True}),
    TypedMessage(3, 1, frozenset({ECHO}), malformed=True),
    TypedMessage(4, 1, frozenset({ECHO})),
]
GOOD = FinalState(
    replies=Counter({(0, COUNTER): 1, (1, COUNTER): 1, (4, ECHO): 1}),
    counts={0: [2, 1]},
    states={0: 2},
    runs={(0, COUNTER): ["ok"], (1, COUNTER): ["ok"], (1, TRAP): ["trap"], (4, ECHO): ["ok"]},
    skipped={2},
    dead=Counter({3: 1}),
    undelivered=0,
    queued=0,
)


def test_an_account_without_fault_counts_everything():
    found = account(SAID, GOOD)
    assert (found.lost, found.duplicates, found.wrong) == ([], [], [])
    assert (found.messages, found.to_reply, found.replied) == (5, 3, 3)
    assert (found.failed, found.skipped, found.dead) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "lost", "duplicates", "wrong"),
    [
        ({"replies": GOOD.replies - Counter({(4, ECHO): 1})}, ["no reply of echo to message 4"], [], []),
        ({"replies": GOOD.replies + Counter({(4, ECHO): 1})}, [], ["2 replies of echo to message 4"], []),
        (
            {"replies": GOOD.replies + Counter({(2, ECHO): 1})},
            [],
            [],
            ["a reply of echo to message 2, which is due none"],
        ),
        ({"counts": {0: [1, 1]}}, [], [], ["guild 0: the counter did not say each of 1 to 2 once"]),
        ({"states": {0: 3}}, [], [], ["guild 0: its counter's state is 3 after 2 messages"]),
        (
            {"runs": {**GOOD.runs, (4, ECHO): ["ok", "ok"]}},
            [],
            [],
            ["message 4, echo: the recorded runs are ok, ok"],
        ),
        ({"runs": {**GOOD.runs, (3, ECHO): ["ok"]}}, [], [], ["message 3, echo: a run is recorded that should not be"]),
        (
            {"runs": {run: outcomes for run, outcomes in GOOD.runs.items() if run != (1, TRAP)}},
            [],
            [],
            ["message 1, trap: no run is recorded"],
        ),
        ({"skipped": set()}, [], [], ["message 2 should be skipped, and no log says that it is"]),
        ({"dead": Counter()}, [], [], ["event 3 is not in the dead-letter queue"]),
        ({"dead": Counter({3: 1, 4: 1})}, [], [], ["event 4 is still in the dead-letter queue"]),
        ({"undelivered": 1}, [], [], ["1 sends are not written down as delivered"]),
        ({"queued": 2}, [], [], ["2 events are still in the queue"]),
    ],
)
def test_an_account_names_each_fault(change, lost, duplicates, wrong):
    found = account(SAID, replace(GOOD, **change))
    assert (found.lost, found.duplicates, found.wrong) == (lost, duplicates, wrong)


def test_a_reply_says_which_message_it_is_to():
    assert reply("12 345") == (345, COUNTER, 12)
    assert reply('{"content": "!count 345"}') == (345, ECHO, 0)


def test_recovery_is_reported_by_kind():
    fates = [Fate(Fault("chat-cut", 1, 0, 4), 0, 1, recovered_seconds=seconds) for seconds in (1.0, 2.0, 9.0)]
    [(kind, recovery)] = recoveries(fates).items()
    assert (kind, recovery.faults, recovery.median_seconds, recovery.max_seconds) == ("chat-cut", 3, 2.0, 9.0)


def test_a_fault_that_found_nothing_under_way_says_nothing_of_recovery():
    fault = Fault("chat-cut", 1, 0, 4)
    idle = Fate(fault, 0, 1, idle=True, recovered_seconds=0.1)
    assert recoveries([idle])["chat-cut"] == Recovery(1, None, None)
    assert recoveries([idle, Fate(fault, 0, 1, recovered_seconds=4.0)])["chat-cut"] == Recovery(2, 4.0, 4.0)


@pytest.fixture
def echo():
    """A proxy in front of a server that echoes the first bytes of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, proxies({"echo": listener.getsockname()}) as found:
        yield listener, found["echo"]


def connected(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_a_proxy_passes_both_ways_and_cuts_when_it_is_told(echo):
    listener, proxy = echo
    with connected(proxy) as client:
        client.sendall(b"question")
        with listener.accept()[0] as server:
            assert server.recv(100) == b"question"
            server.sendall(b"answer")
            assert client.recv(100) == b"answer"
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                client.recv(100)


def test_a_proxy_that_refuses_resets_connections(echo):
    _, proxy = echo
    proxy.enter(Mode.REFUSE)
    # On a busy machine the reset can come during the connection's handshake.
    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(100)


def test_a_proxy_that_hangs_goes_on_where_it_was(echo):
    listener, proxy = echo
    with connected(proxy) as client, listener.accept()[0] as server:
        proxy.enter(Mode.HANG)
        client.sendall(b"question")
        proxy.enter(Mode.PASS)
        server.settimeout(10)
        assert server.recv(100) == b"question"


def test_a_proxy_that_swallows_answers_passes_questions(echo):
    listener, proxy = echo
    with connected(proxy) as client, listener.accept()[0] as server:
        proxy.enter(Mode.SWALLOW)
        client.sendall(b"question")
        assert server.recv(100) == b"question"
        server.sendall(b"answer")
        proxy.enter(Mode.PASS)
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_proxy_can_answer_503_by_itself(echo):
    _, proxy = echo
    proxy.enter(Mode.UNAVAILABLE)
    with connected(proxy) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")


def test_a_proxy_acts_in_the_place_of_an_answer_once(echo):
    listener, proxy = echo
    acted = []
    with connected(proxy) as client, listener.accept()[0] as server:
        proxy.at_next_answer(lambda: acted.append("killed"))
        server.sendall(b"answer")
        assert client.recv(100) == b""
    assert acted == ["killed"]
