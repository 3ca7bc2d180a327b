"""The layer of the library, built by its Makefile as `sam build` calls it; it needs no package index."""

import importlib.util
import subprocess
import sys

import pytest

from project import ROOT

LAYER = ROOT / "layers" / "guildhook"
LAMBDAS = (3, 13)


@pytest.fixture
def build(tmp_path):
    def build(python: str) -> str:
        """Build the layer, and return its output on stderr."""
        command = ["make", "-C", str(LAYER), "build-GuildhookLayer", f"ARTIFACTS_DIR={tmp_path}", f"PYTHON={python}"]
        path = {"PATH": "/usr/bin:/bin"}  # without other Pythons of the developer
        return subprocess.run(command, env=path, check=True, capture_output=True, text=True).stderr

    return build


def test_the_layer_has_the_library(build, tmp_path):
    build(sys.executable)
    for suffix in ("py", "sql"):
        source = {path.relative_to(LAYER) for path in (LAYER / "guildhook").rglob(f"*.{suffix}")}
        assert source
        assert {path.relative_to(tmp_path / "python") for path in tmp_path.rglob(f"*.{suffix}")} == source


def test_the_layer_has_bytecode_if_lambdas_python_is_installed_and_a_notice_otherwise(build, tmp_path):
    has_python = (
        sys.version_info[:2] == LAMBDAS
        or subprocess.run(
            ["/bin/sh", "-c", "PATH=/usr/bin:/bin python3.13 -c ''"], capture_output=True, check=False
        ).returncode
        == 0
    )
    said = build(sys.executable)
    compiled = list(tmp_path.rglob("*.pyc"))
    assert (said == "") == has_python == bool(compiled)
    for path in compiled:
        assert path.name.endswith(".cpython-313.pyc")
        # Files of a deployed layer have other times, so Python must not compare times.
        assert path.read_bytes()[4:8] == b"\1\0\0\0"
    if sys.version_info[:2] == LAMBDAS:
        assert compiled[0].read_bytes()[:4] == importlib.util.MAGIC_NUMBER
