"""Tests the process in which figures of whole batches are measured."""

from bench.handler import handler, ping
from project import ROOT

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()


def test_a_batch_is_handled_in_a_process_of_its_own_and_measured(system):
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.compile(PING)
    with handler(system.environment) as function:
        handled = function.handle([ping(guild) for _ in range(3)])
    assert (handled.failed, handled.statements) == (0, 3)
    assert handled.seconds > 0
    assert len(system.chat.replies()) == 3
