"""A CPython 3.13 on Linux, as Lambda has: that of this process, of PATH, or of the image of tests/sam_local."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sam_local.sam import IMAGE, DockerMissingError, docker

_IS_LAMBDAS = (
    "import platform, sys; sys.exit((platform.python_implementation(), *sys.version_info[:2]) != ('CPython', 3, 13))"
)
_LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class LambdasPython:
    command: Sequence[str | Path]
    machine: str
    """The architecture, as the kernel names it."""
    folder: Path
    """The folder with the build, as this Python sees it."""

    def run(self, script: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a script with the standard library alone: without installed packages and without the environment."""
        return subprocess.run(
            [*self.command, "-I", "-S", "-", *arguments],
            input=script,
            check=False,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
        )


def find_lambdas_python(build: Path) -> LambdasPython:
    """Raises DockerMissingError."""
    if platform.system() == "Linux":
        for python in (sys.executable, "python3.13"):
            try:
                done = subprocess.run([python, "-c", _IS_LAMBDAS], check=False, capture_output=True)
            except OSError:
                continue
            if done.returncode == 0:
                return LambdasPython([python], platform.machine(), build)
    try:
        docker("image", "inspect", IMAGE)
    except DockerMissingError as error:
        raise DockerMissingError(f"no python3.13 starts here, and there is {error}") from None
    command = ["docker", "run", "--rm", "--interactive", "--network=none", f"--volume={build}:/build:ro"]
    return LambdasPython([*command, "--entrypoint=python3.13", IMAGE], "x86_64", Path("/build"))
