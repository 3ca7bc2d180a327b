"""The command in a process of its own, with standard streams that are not as usual."""

import json
import os
import pty
import subprocess
import sys

import pytest

import wat
from project import ROOT
from samples import DEADLINE_MS

PING = ROOT / "plugins" / "ping" / "ping.wasm"
COMMAND = (sys.executable, "-c", "from guildhook_local.cli import main; main()")
RUN = ("run", PING, "--deadline-ms", str(DEADLINE_MS), "--message", "!ping", "--allow", "SEND_MESSAGES")


def guildhook(*arguments, shell="", environment=(), stdin=b""):
    """Runs the command with redirections of a shell; returns exit status, stdout and stderr."""
    ended = subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "bash", *COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **dict(environment)},
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


@pytest.mark.parametrize("option", ["--message", "--settings", "--state"])
def test_a_closed_stdin_is_said_in_one_line(option):
    assert guildhook("run", PING, option, "-", shell="<&-") == (
        2,
        b"",
        f"guildhook: cannot read {option}: standard input: it is closed\n",
    )


@pytest.mark.parametrize(
    ("shell", "reason"), [(">/dev/full", "No space left on device"), (">&-", "it is closed"), ("| true", "Broken pipe")]
)
@pytest.mark.parametrize("arguments", [RUN, (*RUN, "--json"), ("check", PING)], ids=["run", "json", "check"])
def test_output_that_gets_nowhere_is_said_in_one_line(arguments, shell, reason):
    status, out, err = guildhook(*arguments, shell=f"{shell}; exit ${{PIPESTATUS[0]}}")
    assert (status, out, err) == (3, b"", f"guildhook: cannot write to standard output: {reason}\n")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("--show-completion", "bash")])
def test_help_that_gets_nowhere_is_said_in_one_line(arguments):
    status, _, err = guildhook(*arguments, shell=">/dev/full")
    assert (status, err.count("\n"), "No space left on device" in err) == (3, 1, True)


@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full"])
def test_without_stderr_the_status_tells(shell):
    assert guildhook("run", PING, "--settings", "{", shell=shell) == (2, b"", "")
    status, out, _ = guildhook(*RUN, "--json", shell=shell)
    assert (status, json.loads(out)["outcome"]) == (0, "ok")


def test_an_error_as_json_goes_to_stderr_if_stdout_is_full():
    status, _, err = guildhook("run", PING, "--settings", "{", "--json", shell=">/dev/full")
    assert (status, err.startswith("guildhook: --settings is not JSON"), err.count("\n")) == (2, True, 1)


def test_without_any_stream_nothing_is_written_over(tmp_path):
    """The first files that a process opens would get the numbers of the streams."""
    plugin = tmp_path / "plugin.wasm"
    plugin.write_bytes(PING.read_bytes())
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    status, _, _ = guildhook("schema", plugin, tmp_path / "schema.json", "-o", plugin, shell="<&- >&- 2>&-")
    assert status == 0
    assert guildhook("check", plugin, "--json")[0] == 0


def test_a_terminal_shows_that_a_plugin_is_compiled(tmp_path):
    ours, terminal = pty.openpty()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    for expected in (True, False):
        ended = subprocess.run(
            [*COMMAND, *RUN, "--json"], stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True
        )
        os.write(terminal, b"end")
        shown = b""
        while not shown.endswith(b"end"):
            shown += os.read(ours, 65536)
        assert (b"Compiling ping.wasm" in shown) == expected
        assert json.loads(ended.stdout)["outcome"] == "ok"
    os.close(terminal)
    os.close(ours)


@pytest.mark.parametrize("option", ["--message", "--settings", "--state"])
def test_bytes_that_are_not_utf_8_are_said_to_be_that(option):
    reason = "is not UTF-8: byte 0xE9 at line 1, column 4"
    assert guildhook("run", PING, option, "-", stdin=b"caf\xe9") == (
        2,
        b"",
        f"guildhook: {option}: standard input {reason}\n",
    )
    assert guildhook("run", PING, option, b"caf\xe9")[2] == f"guildhook: {option} {reason}\n"


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"caf\xe9 ?"), ("ascii", b"caf? ?")])
def test_characters_that_an_encoding_lacks_are_replaced(tmp_path, encoding, shown):
    (tmp_path / "logs.wasm").write_bytes(wat.logs("café \U0001f600"))
    run = ("run", tmp_path / "logs.wasm", "--deadline-ms", str(DEADLINE_MS))
    status, out, err = guildhook(*run, environment={"PYTHONIOENCODING": encoding})
    assert (status, out.splitlines()[2], err) == (0, b"log   " + shown, "")
    _, out, _ = guildhook(*run, "--json", environment={"PYTHONIOENCODING": encoding})
    assert json.loads(out)["logs"] == ["café \U0001f600"]
