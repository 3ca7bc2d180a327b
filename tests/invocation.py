"""Invokes a function in a process of its own, and keeps its output."""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guildhook_local.function import Handler, LambdaContext, loaded_function


@dataclass(frozen=True, slots=True)
class Invoked:
    answers: list[Any]
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [line for line in map(json.loads, self.out.splitlines()) if "_aws" not in line]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.out.splitlines()) if "_aws" in line]


def invoke(folder: Path, environment: Mapping[str, str], *events: Any) -> Invoked:
    """Invoke the function of a folder of functions/ once for each event, all in the same process."""
    ended = subprocess.run(
        [sys.executable, __file__, folder],
        env=environment,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *printed, answers = ended.stdout.splitlines()
    return Invoked(json.loads(answers), "\n".join(printed), ended.stderr)


def main(folder: Path) -> None:
    context = LambdaContext(folder.name, "request", deadline=time.monotonic() + 3_600)
    with loaded_function(folder, os.environ) as handler:
        answers = [_answer(handler, event, context) for event in json.load(sys.stdin)]
    print(json.dumps(answers))


def _answer(handler: Handler, event: Any, context: LambdaContext) -> Any:
    try:
        return handler(event, context)
    except Exception as error:  # noqa: BLE001 - Lambda answers each of them so, and logs its traceback
        traceback.print_exc()
        return {"errorType": type(error).__name__, "errorMessage": str(error)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
