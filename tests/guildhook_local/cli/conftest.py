import io
import json
import sys

import pytest

from guildhook_local.cli import main
from samples import DEADLINE_MS


@pytest.fixture
def environment():
    """The variables that configure the command."""
    return {}


@pytest.fixture
def guildhook(environment, capsys, monkeypatch):
    """Runs the command; returns exit status, stdout and stderr. A run has more time than usual: machines are busy."""

    def guildhook(*arguments, stdin=""):
        if arguments[:1] == ("run",) and "--deadline-ms" not in arguments:
            arguments = (*arguments, "--deadline-ms", DEADLINE_MS)
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments], environment)
        return ended.value.code, *capsys.readouterr()

    return guildhook


@pytest.fixture
def as_json(guildhook):
    """Runs the command with --json; returns exit status and object."""

    def as_json(*arguments, **options):
        status, out, _ = guildhook(*arguments, "--json", **options)
        assert out.count("\n") == 1
        return status, json.loads(out)

    return as_json


@pytest.fixture
def failure(guildhook):
    """Runs a command that fails; returns exit status and its one line on stderr."""

    def failure(*arguments, **options):
        status, out, err = guildhook(*arguments, **options)
        assert (out, err.count("\n"), err.startswith("guildhook: ")) == ("", 1, True)
        return status, err.removeprefix("guildhook: ").rstrip("\n")

    return failure
