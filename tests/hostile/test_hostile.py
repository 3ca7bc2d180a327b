"""Every case of the pack, without its bounds on time and growth, which run.py measures."""

from pathlib import Path

import pytest

import samples
from guildhook.sandbox import Engine
from guildhook.sandbox.child import CompileLimits
from hostile.attempt import attempt
from hostile.pack import Case, read_cases

CASES = {case.name: case for case in read_cases()}
TEXTS = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", CASES)
def test_an_attack_ends_as_it_should(engine: Engine, name: str):
    case: Case = CASES[name]
    if case.compile_seconds is not None:
        engine = Engine(CompileLimits(timeout_seconds=case.compile_seconds))
    limits = {"deadline_ms": samples.DEADLINE_MS, **case.limits}
    ending = attempt(engine, case.wasm, case.permissions, case.settings, limits)
    assert case.faults(ending) == []


def test_every_text_is_a_case_and_says_what_it_tries():
    for path in TEXTS.iterdir():
        assert path.read_text().startswith(f";; {CASES[path.stem].tries}\n")
