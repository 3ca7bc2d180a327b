"""The layer of the library, built by its Makefile as `sam build` calls it; it needs no package index."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from project import ROOT

LAYER = ROOT / "layers" / "guildhook"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
MAGIC = (3571).to_bytes(2, "little") + b"\r\n"
"""The beginning of the bytecode that Lambda's Python reads, which is that of CPython 3.13."""
NOTICE = "guildhook: GuildhookLayer is built without bytecode, so cold starts take longer: "


@pytest.fixture
def artifacts(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def build(tmp_path, artifacts):
    """Builds the layer on a machine with the given programs."""

    def build(python: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = ["make", f"--directory={LAYER}", "build-GuildhookLayer", f"ARTIFACTS_DIR={artifacts}"]
        environment = {"PATH": str(path_without_python(tmp_path)), "PYTHON": str(python), **variables}
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    return build


def path_without_python(folder: Path) -> Path:
    """A folder for PATH with the commands of the Makefiles alone, and no Python of this machine."""
    path = folder / "path"
    if not path.exists():
        path.mkdir()
        for name in ("make", "sh", "cp", "mkdir", "find", "rm"):
            (path / name).symlink_to(which(name, path="/usr/bin:/bin"))
    return path


def program(file: Path, script: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def old_python(tmp_path):
    """A Python that is not Lambda's."""
    return program(tmp_path / "old" / "python3", "echo cb0d0d0a")


@pytest.fixture
def shim(tmp_path):
    """The python3.13 of a manager of Pythons that has none, as that of pyenv."""
    return program(
        path_without_python(tmp_path) / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127"
    )


def test_the_layer_has_the_library(build, artifacts):
    assert build(sys.executable).returncode == 0
    for suffix in ("py", "sql"):
        source = {path.relative_to(LAYER) for path in (LAYER / "guildhook").rglob(f"*.{suffix}")}
        assert source
        assert {path.relative_to(artifacts / "python") for path in artifacts.rglob(f"*.{suffix}")} == source


def test_the_layer_has_bytecode_that_lambda_reads_or_a_notice(build, artifacts):
    done = build(sys.executable)
    compiled = list(artifacts.rglob("*.pyc"))
    assert (NOTICE not in done.stdout) == bool(compiled) == (importlib.util.MAGIC_NUMBER == MAGIC)
    for path in compiled:
        assert path.name.endswith(".cpython-313.pyc")
        # Files of a deployed layer have other times, so Python must not compare times.
        assert path.read_bytes()[:8] == MAGIC + b"\1\0\0\0"


def test_a_layer_without_bytecode_says_so_and_why(build, old_python, artifacts):
    done = build(old_python)
    assert done.returncode == 0
    assert f"{NOTICE}there is no python3.13. Install Python 3.13" in done.stdout
    assert (artifacts / "python" / "guildhook" / "startup.py").exists()


def test_a_python_that_is_only_a_shim_is_noticed(build, old_python, shim):
    done = build(old_python)
    assert done.returncode == 0
    assert f"{NOTICE}{shim} does not run as CPython 3.13 and may be a shim. Install Python 3.13" in done.stdout


@pytest.mark.parametrize("answer", ["cb0d0d0a", "", "f20d0d0a"])
def test_a_python_of_that_name_with_other_bytecode_compiles_nothing(build, old_python, tmp_path, answer):
    other = program(path_without_python(tmp_path) / "python3.13", f"echo {answer}")
    assert f"{NOTICE}{other} does not run as CPython 3.13" in build(old_python).stdout


def test_required_bytecode_fails_the_build_before_anything_is_built(build, old_python, shim, artifacts):
    done = build(old_python, BYTECODE="required")
    assert done.returncode != 0
    assert f"BYTECODE is required, and {shim} does not run as CPython 3.13 and may be a shim." in done.stderr
    assert "PYTHON=/path/to/python3.13" in done.stderr
    assert not artifacts.exists()


def test_another_value_of_bytecode_is_refused(build, old_python):
    done = build(old_python, BYTECODE="yes")
    assert done.returncode != 0
    assert 'BYTECODE is yes. It must be empty or "required"' in done.stderr


@pytest.mark.skipif(not SAM.exists(), reason="there is no SAM CLI: run `make .venv-sam/stamp`")
@pytest.mark.parametrize("bytecode", ["", "required"])
def test_sam_build_shows_on_the_terminal_that_there_is_no_bytecode(tmp_path, artifacts, old_python, shim, bytecode):
    done = subprocess.run(
        [SAM, "build", "GuildhookLayer", "--build-dir", artifacts, "--template", ROOT / "template.yaml"],
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PATH": str(path_without_python(tmp_path)),
            "PYTHON": str(old_python),
            "BYTECODE": bytecode,
            "SAM_CLI_TELEMETRY": "0",
            "AWS_DEFAULT_REGION": "eu-central-1",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (not bytecode)
    assert f"{shim} does not run as CPython 3.13 and may be a shim." in done.stderr
    assert (NOTICE in done.stderr) == (not bytecode)


def test_make_compiles_with_the_python313_beside_the_python_that_is_named():
    """The packages are installed by the SAM CLI's Python, which may be another one."""
    command = ["make", "--dry-run", "--always-make", ".aws-sam/stamp", "PYTHON=/opt/other/bin/python3.13"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert f'PYTHON=python3 PATH="{ROOT}/.venv-sam/bin:/opt/other/bin/:$PATH"' in done.stdout
