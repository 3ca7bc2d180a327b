"""Fuzz for as long as you like: python tests/fuzz/run.py --seconds 600

Every case is made from its kind and a number, counted up from the seed. A finding is named after them, and
`--again NAME` makes it once more.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from random import SystemRandom

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from fuzz import uploads  # noqa: E402 - the tests' modules are found from here on
from fuzz.calls import Program, contradictions, programs  # noqa: E402
from fuzz.driver import Case, Driver, Verdict  # noqa: E402

KINDS = (*uploads.KINDS, "calls")
_PROGRAMS_PER_CASE = 5
_PROGRESS_SECONDS = 30


def judge_program(driver: Driver, program: Program) -> Verdict:
    """Judge a generated program, which must run, unlike an arbitrary upload, and agree with the model."""
    verdict = driver.judge(program.case)
    more = contradictions(program, verdict.result) if verdict.result else ["it does not run"]
    return Verdict(verdict.ended, (*verdict.problems, *more), verdict.result)


class Fuzzing:
    def __init__(self, findings: Path) -> None:
        self.driver = Driver()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.findings = 0
        self._folder = findings

    def case(self, kind: str, number: int) -> None:
        if kind == "calls":
            self._programs(number)
            return
        case = uploads.case(kind, number)
        verdict = self.driver.judge(case)
        self.ended[kind, verdict.ended] += 1
        if verdict.problems:
            self._save(f"{kind}-{number}", case, verdict, repr(case))

    def _programs(self, number: int) -> None:
        """Judge some programs. Hypothesis reduces a finding to its smallest program."""
        smallest: list[tuple[Program, Verdict]] = []

        @seed(number)
        @settings(
            max_examples=_PROGRAMS_PER_CASE,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(programs())
        def check(program: Program) -> None:
            verdict = judge_program(self.driver, program)
            self.ended["calls", verdict.ended] += 1
            if verdict.problems:
                smallest[:] = [(program, verdict)]
                raise AssertionError(verdict.problems)

        try:
            check()
        except (AssertionError, HypothesisException):  # such as a flaky test; the last failure is the smallest
            program, verdict = smallest[0]
            self._save(f"calls-{number}", program.case, verdict, repr(program))

    def _save(self, name: str, case: Case, verdict: Verdict, described: str) -> None:
        self.findings += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{name}.wasm").write_bytes(case.wasm)
        (self._folder / f"{name}.txt").write_text("\n".join([verdict.ended, *verdict.problems, described, ""]))
        print(f"FINDING {name}: {verdict.ended}: {'; '.join(verdict.problems)[:500]}", flush=True)

    def summary(self) -> str:
        """Return a line for each kind with the ends of its cases."""
        lines = []
        for kind in KINDS:
            ends = Counter({end: times for (of, end), times in self.ended.items() if of == kind})
            listed = ", ".join(f"{end} {times}" for end, times in ends.most_common())
            lines.append(f"{kind:8} {ends.total():7} inputs: {listed}")
        total, refused = self.ended.total(), self._count("refused")
        compiled = total - refused - self._count("does not compile", "compiler died")
        lines.append(f"{total} inputs: {total - refused} accepted, {compiled} compiled, {self.findings} findings")
        return "\n".join(lines)

    def _count(self, *ends: str) -> int:
        return sum(times for (_, end), times in self.ended.items() if end in ends)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**9))
    parser.add_argument("--again", metavar="NAME", help="only the case of this name, such as smith-123")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    fuzzing = Fuzzing(options.findings)
    if options.again:
        kind, number = options.again.split("-")
        fuzzing.case(kind, int(number))
    else:
        print(f"seed {options.seed}", flush=True)
        _fuzz(fuzzing, options.seed, options.seconds)
    fuzzing.driver.close()
    print(fuzzing.summary())
    return 1 if fuzzing.findings else 0


def _fuzz(fuzzing: Fuzzing, first: int, seconds: float) -> None:
    """Run all kinds in turn for the same time each, because some take ten times as long as others."""
    spent, number = dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, first)
    shown = 0.0
    while sum(spent.values()) < seconds:
        kind = min(KINDS, key=spent.__getitem__)
        started = time.monotonic()
        fuzzing.case(kind, number[kind])
        spent[kind] += time.monotonic() - started
        number[kind] += 1
        if sum(spent.values()) > shown + _PROGRESS_SECONDS:
            shown = sum(spent.values())
            print(f"{shown:.0f} s: {fuzzing.ended.total()} inputs, {fuzzing.findings} findings", flush=True)


if __name__ == "__main__":
    sys.exit(main())
