import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from guildhook.errors import InfrastructureError
from project import ROOT

PING = ROOT / "plugins" / "ping" / "ping.wasm"


def test_the_version_is_that_of_the_package(guildhook):
    assert guildhook("--version") == (0, f"guildhook {version('guildhook')}\n", "")


def test_without_a_command_there_is_help(guildhook):
    status, out, err = guildhook()
    assert (status, out) == (2, "")
    assert "Usage: guildhook [OPTIONS] COMMAND" in err


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_help_is_not_cut_at_any_width(guildhook, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    words = " ".join(guildhook("--help")[1].split())
    assert "..." not in words.replace("[ARGS]...", "")
    assert "Compile every enabled plugin that this version has no compiled module of." in words
    for command in ("run", "check", "schema", "demo", "serve", "preflight", "migrate", "recompile", "prune"):
        assert f" {command} " in words
        assert all(not option.startswith("[") for option in guildhook(command, "--help")[1].splitlines())


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["rnu"], 2, "No such command 'rnu'. Did you mean 'run'?; `guildhook --help` shows the usage"),
        (["run"], 2, "Missing argument 'PLUGIN.wasm'; `guildhook run --help` shows the usage"),
        (["run", PING, "--bad"], 2, "No such option: --bad; `guildhook run --help` shows the usage"),
        (["run", PING, "--settings", "[]"], 2, "--settings is not a JSON object"),
        (["run", PING, "--message", "-", "--state", "-"], 2, "--message and --state cannot both read standard input"),
        (["schema", PING, PING, "-o", "x.wasm"], 1, "ping.wasm is refused: it is not "),
    ],
)
def test_an_error_is_one_line_or_one_object(failure, as_json, arguments, status, message):
    assert failure(*arguments)[0] == status
    assert failure(*arguments)[1].startswith(message)
    error = as_json(*arguments)[1]["error"]
    assert (error["exit_status"], error["message"].startswith(message)) == (status, True)


def test_text_of_others_in_an_error_cannot_steer_the_terminal(failure):
    assert "\x1b" not in failure("\x1b[2J")[1]
    assert "␛[2J" in failure("run", PING, "--message", "@/no/\x1b[2J")[1]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_machine_that_cannot_compile_says_so_in_one_line(failure, as_json, monkeypatch, command):
    with monkeypatch.context() as broken:
        broken.setattr("guildhook.sandbox.compiling.child_process.sys.executable", "/no/such/python")
        status, line = failure(command, PING)
        assert as_json(command, PING)[1] == {"error": {"exit_status": 3, "message": line}}
    assert (status, line) == (3, "cannot run the compile process: No such file or directory")


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (MemoryError(), "the machine has too little free memory for this"),
        (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (InfrastructureError("S3 does not answer"), "S3 does not answer"),
        (
            RuntimeError("can't start new thread"),
            "the system starts no more threads: look at the limit of processes, `ulimit -u`",
        ),
    ],
)
def test_a_fault_of_the_machine_is_status_3(failure, monkeypatch, fault, line):
    def broken(*_):
        raise fault

    monkeypatch.setattr("guildhook_local.cli.run.plugin_loader", broken)
    assert failure("run", PING) == (3, line)


def test_an_interrupt_ends_without_a_traceback(guildhook, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("guildhook_local.cli.run.plugin_loader", interrupted)
    assert guildhook("run", PING) == (130, "", "")


@pytest.fixture
def complete(tmp_path):
    """Asks the command for completions as the scripts of shells do."""

    def complete(**environment):
        program = Path(sys.executable).parent / "guildhook"
        ended = subprocess.run(
            [program], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert ended.stderr == ""
        return ended.stdout

    return complete


def test_completions_for_each_shell(complete):
    bash = complete(_GUILDHOOK_COMPLETE="complete_bash", COMP_WORDS="guildhook re", COMP_CWORD="1")
    assert bash == "recompile\n"
    zsh = complete(_GUILDHOOK_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="guildhook re")
    assert '"recompile":"Compile every enabled plugin that this version has no compiled module of."' in zsh
    fish = {"_GUILDHOOK_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert complete(**fish, _TYPER_COMPLETE_ARGS="guildhook re").startswith("recompile\tCompile every enabled plugin")
    assert complete(**fish, _TYPER_COMPLETE_ARGS="guildhook run --al").startswith("--allow")
    assert complete(**fish, _TYPER_COMPLETE_ARGS="guildhook run --allow ") == "SEND_MESSAGES\n"


def test_the_script_for_bash_completes_in_bash(guildhook):
    _, script, _ = guildhook("--show-completion", "bash")
    words = 'COMP_WORDS=(guildhook check --j); COMP_CWORD=2; _guildhook_completion guildhook; echo "${COMPREPLY[@]}"'
    ended = subprocess.run(
        ["bash", "-euc", f"{script}\n{words}"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("--json\n", "")


def test_scripts_are_there_for_the_documented_shells(guildhook, failure):
    assert "#compdef guildhook" in guildhook("--show-completion", "zsh")[1]
    assert guildhook("--show-completion", "fish")[1].startswith("complete --command guildhook ")
    assert failure("--show-completion", "csh")[0] == 2


def test_arguments_after_two_dashes_do_not_ask_for_json(guildhook):
    status, out, _ = guildhook("run", "--", "--json")
    assert (status, out) == (2, "")
    assert json.loads(guildhook("run", "--json")[1])["error"]["exit_status"] == 2
