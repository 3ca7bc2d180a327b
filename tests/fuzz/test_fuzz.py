"""A bounded fuzzing run with the same inputs every time. `make fuzz` continues with other inputs; see run.py."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from fuzz import run, uploads
from fuzz.calls import Program, programs
from fuzz.driver import Case, Driver, check_result
from fuzz.run import judge_program
from guildhook.model import Outcome
from samples import limits
from wat import SILENT, logs


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.mark.parametrize(("kind", "cases"), [("smith", 60), ("mutated", 40), ("damaged", 150)])
def test_random_uploads_do_no_harm(driver, kind, cases):
    ended = set()
    for number in range(cases):
        verdict = driver.judge(uploads.case(kind, number))
        assert not verdict.problems, f"{kind} {number}: {verdict}"
        ended.add(verdict.ended)
    # Stages that no input passes would be untested.
    assert {"does not compile", Outcome.OK} <= ended


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(program=programs())
def check_programs(driver: Driver, program: Program) -> None:
    verdict = judge_program(driver, program)
    assert not verdict.problems, verdict


def test_any_calls_of_the_host_come_out_as_the_model_says(driver):
    check_programs(driver)


def test_a_process_that_dies_is_a_finding_and_is_replaced(driver):
    assert driver.judge(Case(SILENT)).ended == Outcome.OK
    driver._child.kill()
    assert driver.judge(Case(SILENT)).ended == "died"
    assert driver.judge(Case(SILENT)).ended == Outcome.OK


def test_a_compiler_that_dies_is_a_finding_unless_the_plugin_is_refused_for_it(driver):
    assert driver._judge_compiler(Case(b"")).problems == ()
    assert driver._judge_compiler(Case(SILENT)).problems != ()


def test_a_result_that_breaks_the_rules_is_a_finding(driver):
    result = driver.judge(Case(logs("one", times=2))).result
    assert check_result(Case(b""), result) == []
    assert check_result(Case(b"", limits=limits(log_lines=1, log_line_bytes=2)), result) == [
        "2 lines of log",
        "a line of 3 bytes in the log",
    ]


def test_the_command_makes_one_case_again(tmp_path):
    command = [sys.executable, run.__file__, "--again", "damaged-1", "--findings", tmp_path / "findings"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "damaged        1 inputs" in done.stdout
    assert not (tmp_path / "findings").exists()
