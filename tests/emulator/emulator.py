"""A function on Lambda's runtime emulator, in a process of its own that the runtime interface client starts."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from project import ROOT

_START = urllib3.Retry(total=None, connect=100, backoff_factor=0.01, backoff_max=0.1, read=False)
"""Connections are refused until it listens: about ten seconds of them."""


def binary() -> Path | None:
    """The path of the emulator, which the SAM CLI contains."""
    found = (ROOT / ".venv-sam").glob("lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64")
    return next(found, None)


@dataclass(frozen=True, slots=True)
class Emulator:
    """Invoke it from one thread: it cannot do two at the same time."""

    _http: urllib3.PoolManager
    _url: str
    _log: Path
    _process: subprocess.Popen[bytes]

    def invoke(self, event: object) -> bytes:
        """The result for the caller of the function."""
        return self._http.request("POST", self._url, body=json.dumps(event), retries=_START).data

    def freeze_function(self) -> None:
        """Stop the function's process, which then exceeds its time."""
        for children in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGSTOP)

    def log(self) -> str:
        """The output of the function and the emulator."""
        return self._log.read_text()

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of the function, in the order of its output."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{"_aws"')]


@contextmanager
def emulated(
    binary: Path, function: str, environment: Mapping[str, str], log: Path, timeout_seconds: int = 60
) -> Iterator[Emulator]:
    """`function` is a folder of functions/."""
    here, runtime = _free_addresses()
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GUILDHOOK_"))},
        **environment,
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "PYTHONPATH": str(ROOT / "layers" / "guildhook"),
    }
    with (
        log.open("wb") as output,
        urllib3.PoolManager(timeout=timeout_seconds + 30) as http,
        subprocess.Popen(
            [
                *(binary, "--log-level", "error"),
                *("--runtime-interface-emulator-address", here, "--runtime-api-address", runtime),
                *(sys.executable, "-m", "awslambdaric", "app.handler"),
            ],
            cwd=ROOT / "functions" / function,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield Emulator(http, f"http://{here}/2015-03-31/functions/function/invocations", log, process)
        finally:
            # It ends the function's process as well.
            process.terminate()


def _free_addresses() -> list[str]:
    """The emulator cannot choose free ports itself."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in (one, other)]
