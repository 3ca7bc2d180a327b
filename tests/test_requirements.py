"""The lock files are complete, have hashes, and name no registry."""

import re
from pathlib import Path

import pytest

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


def test_the_layer_is_built_from_the_lock():
    link = FOLDER.parent / "layers" / "dependencies" / "requirements.txt"
    assert link.resolve() == FOLDER / "runtime.txt"
