"""Every case of the pack, without its bounds on time and growth, which run.py measures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import samples
from guildhook.sandbox import Engine
from guildhook.sandbox.compiling.child_process import CompileLimits
from hostile import run
from hostile.attempt import attempt
from hostile.pack import Case, read_cases

CASES = {case.name: case for case in read_cases()}
TEXTS = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", CASES)
def test_an_attack_ends_as_it_should(engine: Engine, name: str):
    case: Case = CASES[name]
    if case.compile_seconds is not None:
        engine = Engine(CompileLimits(cpu_seconds=case.compile_seconds))
    limits = {"deadline_ms": samples.DEADLINE_MS, **case.limits}
    ending = attempt(engine, case.wasm, case.permissions, case.settings, limits)
    assert case.faults(ending) == []


def test_every_text_is_a_case_and_begins_with_its_attempt():
    for path in TEXTS.iterdir():
        assert path.read_text().startswith(f";; {CASES[path.stem].tries}\n")


def test_the_command_runs_the_cases_that_are_named():
    # Only the outcomes are compared, because time and growth need a machine that is not busy.
    command = [sys.executable, run.__file__, "--json", "loop-in-start", "trap-after-send", "empty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [(row["case"], row["got"], row["step"]) for row in json.loads(done.stdout)] == [
        ("loop-in-start", "out_of_fuel", "run"),
        ("trap-after-send", "trap", "run"),
        ("empty", "refused", "inspect"),
    ]


def test_the_command_knows_no_other_cases():
    done = subprocess.run([sys.executable, run.__file__, "no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such case: no-such" in done.stderr
