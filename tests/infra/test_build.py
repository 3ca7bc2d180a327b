"""Tests the output of `sam build`, if it was built from these sources."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from project import ROOT

BUILD = ROOT / ".aws-sam" / "build"
MOST_BYTES = 130 * 1000 * 1000
"""The limit of both layers, unpacked. Lambda allows 250 MiB together with the function."""
OWN = {"app.py", "function.py"}
MACHINES = {"DependenciesLayer": ("x86_64", 62), "DependenciesArmLayer": ("aarch64", 183)}
"""Architecture, and its number in an ELF header."""


def is_current() -> bool:
    return subprocess.run(["make", "--question", ".aws-sam/stamp"], cwd=ROOT, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    os.environ.get("GUILDHOOK_DOCKER") != "required" and not is_current(),
    reason="there is no build of these sources: run `make sam`",
)


def files(folder: Path) -> set[str]:
    """The files of a folder, without bytecode."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("layer", MACHINES)
def test_the_layers_are_small(layer):
    assert 0 < size(BUILD / layer) + size(BUILD / "GuildhookLayer") < MOST_BYTES


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_has_the_locked_packages_and_nothing_else(layer):
    lock = (ROOT / "requirements" / "layers.txt").read_text()
    locked = re.findall(r"^([\w.-]+)==([^ ]+)", lock, re.MULTILINE)
    built = [path.name.removesuffix(".dist-info").split("-") for path in (BUILD / layer / "python").glob("*.dist-info")]
    assert sorted((canonicalize_name(name), version) for name, version in built) == sorted(locked)


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_is_for_its_architecture_and_python(layer):
    architecture, number = MACHINES[layer]
    libraries = [path for path in (BUILD / layer).rglob("*.so*") if path.is_file()]
    assert libraries
    for path in libraries:
        (machine,) = struct.unpack_from("<H", path.read_bytes(), 18)
        assert machine == number, path
        assert f"cpython-313-{architecture}" in path.name or "cpython" not in path.name, path


def test_the_librarys_layer_has_the_library_and_nothing_else():
    assert [path.name for path in (BUILD / "GuildhookLayer").iterdir()] == ["python"]
    assert [path.name for path in (BUILD / "GuildhookLayer" / "python").iterdir()] == ["guildhook"]
    source = ROOT / "layers" / "guildhook" / "guildhook"
    built = BUILD / "GuildhookLayer" / "python" / "guildhook"
    assert files(built) == files(source)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        ("OnMessage", OWN),
        ("CompilePlugin", OWN),
        ("Sweep", OWN),
        (
            "AdminApi",
            {*OWN, *(f"page/{name}" for name in files(ROOT / "functions" / "admin_api" / "page"))},
        ),
        ("TestRun", OWN),
        ("DeploySteps", OWN),
        ("OnMessageSource", {*OWN, "template.yaml"}),
        ("AccountPreflight", OWN),
        ("NetworkPreflight", OWN),
        (
            "Migrate",
            {*OWN, *(f"migrations/{path.name}" for path in (ROOT / "migrations").glob("*.sql"))},
        ),
    ],
)
def test_a_function_is_its_own_files_alone(function, wanted):
    assert files(BUILD / function) == wanted


def test_the_page_is_built_from_these_sources():
    sources = subprocess.run([sys.executable, ROOT / "web" / "page_sources.py"], check=True, capture_output=True)
    assert (BUILD / "AdminApi" / "page" / "sources.sha256").read_bytes() == sources.stdout
