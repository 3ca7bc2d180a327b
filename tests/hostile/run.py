"""Runs the hostile pack, each case in a fresh process: `python tests/hostile/run.py [--json] [--python PATH] [CASE …]`.

Exits with 1 if a case does not end as expected, takes too long, or makes the process grow too much.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # as pytest has it

from hostile.attempt import Ending, Step  # noqa: E402
from hostile.pack import Case, read_cases  # noqa: E402

INSPECT_MS = 2_000
GROWTH_MIB = 64
# The compiling process is killed at its limit. This time is for its start and its end.
COMPILE_MARGIN_MS = 2_000
LOAD_MS = 1_000
# The deadline of a case that sets none: the default of guildhook.
COMPILE_SECONDS = 120
DEADLINE_MS = 250


@dataclass(frozen=True)
class Row:
    case: str
    expected: str
    got: str
    step: str
    """The last one, which ms, grown_mib and kept_mib are of."""
    ms: float
    grown_mib: float
    kept_mib: float
    faults: list[str]
    missed: bool = False
    """Over the goal for growth, as the table says it is."""


def row_of(case: Case, python: str, folder: Path) -> Row:
    wasm = folder / f"{case.name}.wasm"
    wasm.write_bytes(case.wasm)
    job = {
        "silent": str(folder / "silent.wasm"),
        "wasm": str(wasm),
        "permissions": case.permissions,
        "settings": case.settings,
        "limits": case.limits,
        "compile_seconds": case.compile_seconds or COMPILE_SECONDS,
    }
    command = [python, str(HERE / "attempt.py")]
    child = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    expected = " | ".join(case.expected)
    if child.returncode:
        crash = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
        last_words = child.stderr.strip().splitlines()[-1:]
        return Row(case.name, expected, crash, "", 0, 0, 0, [f"the process ended with {crash}", *last_words])
    fields = json.loads(child.stdout)
    ending = Ending(**{**fields, "steps": [Step(**step) for step in fields["steps"]]})
    faults = case.faults(ending) + [fault for step in ending.steps for fault in faults_of(step, case)]
    last = ending.steps[-1]
    missed = any(step.grown_mib > GROWTH_MIB for step in ending.steps)
    return Row(case.name, expected, ending.outcome, last.name, last.ms, last.grown_mib, last.kept_mib, faults, missed)


def faults_of(step: Step, case: Case) -> list[str]:
    most_ms = {
        "inspect": INSPECT_MS,
        "compile": (case.compile_seconds or COMPILE_SECONDS) * 1000 + COMPILE_MARGIN_MS,
        "load": LOAD_MS,
        "run": 2 * case.limits.get("deadline_ms", DEADLINE_MS),
    }[step.name]
    faults = []
    if step.ms > most_ms:
        faults.append(f"{step.name} took {step.ms:.0f} ms; the bound is {most_ms:.0f} ms")
    if step.grown_mib > max(GROWTH_MIB, case.missed_growth_mib):
        faults.append(f"{step.name} grew the process by {step.grown_mib:.0f} MiB; the goal is {GROWTH_MIB} MiB")
    return faults


def print_row(row: Row) -> None:
    print(
        f"{row.case:30} {row.expected:27} {row.got:16} {row.step:8}{row.ms:8.1f} {row.grown_mib:6.1f} "
        f"{row.kept_mib:6.1f}  {'FAIL' if row.faults else 'MISSED' if row.missed else 'OK'}",
        flush=True,
    )
    for fault in row.faults:
        print(f"    {fault}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CASE", help="run only these")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the guildhook to attack")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    cases = {case.name: case for case in read_cases()}
    unknown = set(options.names) - set(cases)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    rows = []
    if not options.json:
        print(f"{'case':30} {'expected':27} {'got':16} {'step':8}{'ms':>8} {'MiB':>6} {'kept':>6}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "silent.wasm").write_bytes(cases["silent"].wasm)
        for case in [cases[name] for name in options.names] or cases.values():
            rows.append(row_of(case, options.python, folder))
            if not options.json:
                print_row(rows[-1])
    failed = sum(bool(row.faults) for row in rows)
    missed = sum(row.missed for row in rows)
    summary = f"{len(rows)} cases, {failed} failed, {missed} over the goal of {GROWTH_MIB} MiB of growth"
    print(json.dumps([asdict(row) for row in rows]) if options.json else summary)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
