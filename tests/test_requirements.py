"""The lock files are complete, have hashes, and name no registry."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from project import ROOT

FOLDER = ROOT / "requirements"
LOCKS = sorted(FOLDER.glob("*.txt"))


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^ \\;]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_is_pinned_and_hashed_and_no_registry_is_named(lock):
    text = lock.read_text()
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "index" not in text


def test_every_lock_has_its_source():
    assert sorted(lock.stem for lock in LOCKS) == sorted(path.stem for path in FOLDER.glob("*.in"))


@pytest.mark.parametrize("name", ["local", "dev"])
def test_tests_use_the_versions_that_ship(name):
    shipped = versions(FOLDER / "runtime.txt")
    assert shipped
    assert shipped.items() <= versions(FOLDER / f"{name}.txt").items()


@pytest.mark.parametrize("name", ["layers", "runtime-interface"])
def test_no_marker_of_a_lock_for_lambda_depends_on_the_machine_that_builds(name):
    """pip evaluates markers for the Python that it runs on, even with --python-version."""
    assert [line for line in (FOLDER / f"{name}.txt").read_text().splitlines() if ";" in line] == []


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_layers_have_the_packages_that_the_functions_need_on_lambda(machine):
    environment = {
        "implementation_name": "cpython",
        "implementation_version": "3.13.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": "3.13.0",
        "python_version": "3.13",
        "sys_platform": "linux",
    }
    lines = [line.rstrip(" \\") for line in (FOLDER / "runtime.txt").read_text().splitlines() if "==" in line]
    wanted = list(map(Requirement, lines))
    needed = {
        each.name: str(each.specifier)[2:] for each in wanted if not each.marker or each.marker.evaluate(environment)
    }
    assert needed == versions(FOLDER / "layers.txt")


def test_the_layer_is_built_from_its_lock():
    link = FOLDER.parent / "layers" / "dependencies" / "requirements.txt"
    assert link.resolve() == FOLDER / "layers.txt"
