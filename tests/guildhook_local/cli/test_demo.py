import os
import pty
import subprocess
import sys
from pathlib import Path


def test_demo_sends_one_message_the_whole_way(as_json):
    status, result = as_json("demo")
    assert status == 0
    assert list(result)[-2:] == ["outcome", "replies"]
    assert result["outcome"] == "ok"
    assert [reply["content"] for reply in result["replies"]] == ["pong"]
    assert [step["name"] for step in result["timeline"]] == [
        "message typed",
        "event queued",
        "plugin run",
        "reply received",
    ]


def test_demo_on_a_terminal_shows_progress_and_keeps_the_functions_log_to_itself():
    ours, terminal = pty.openpty()
    with subprocess.Popen(
        [Path(sys.executable).parent / "guildhook", "demo"], stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "A member types !ping" in shown
    assert "Guildhook: pong" in shown
    assert "_aws" not in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_demo_for_people_is_a_timeline(guildhook):
    status, out, _ = guildhook("demo")
    assert status == 0
    assert "Guildhook: pong" in out
    assert out.splitlines()[-1] == "The message went the whole way."
