"""Plugins that are built with the commands of docs/plugins.md, as an author builds them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from project import ROOT

JAVASCRIPT = "plugin.js"
PYTHON = "mybot/app.py"


class ToolchainMissingError(Exception):
    """The machine lacks Node, or the packages of a toolchain."""


class BuildFailedError(Exception):
    """The output of a build."""


def documented_commands() -> dict[str, str]:
    """The commands by the comment above them, such as "Rust"."""
    text = (ROOT / "docs" / "plugins.md").read_text()
    blocks = "\n".join(re.findall(r"^```sh toolchain\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return dict(re.findall(r"^# (.+?)(?:, from .+)?\n((?:(?!#).+\n)+)", blocks, re.MULTILINE))


def build(toolchain: str, sources: dict[str, str], folder: Path) -> bytes:
    """The component that the documented command makes of `sources`, texts by the names that the document uses.

    Raises ToolchainMissingError and BuildFailedError.
    """
    command = documented_commands()[toolchain]
    _check_installed(command)
    for name in ("wit", "plugins"):
        (folder / name).symlink_to(ROOT / name)
    for name, source in sources.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if ended.returncode:
        raise BuildFailedError(ended.stdout + ended.stderr)
    return (folder / "plugin.wasm").read_bytes()


def _check_installed(command: str) -> None:
    if not command.startswith("node "):
        return
    if not shutil.which("node"):
        raise ToolchainMissingError("plugins in JavaScript are built with Node, which is not on the PATH")
    folder = (ROOT / command.split()[1]).parent
    if not (folder / "node_modules").exists():
        raise ToolchainMissingError(f"`make toolchains` installs the packages of {folder.relative_to(ROOT)}")
