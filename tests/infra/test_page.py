"""The admin page that `sam build` ships is that of the project's sources. `sam build` runs the Makefile as here."""

import os
import shutil
import subprocess
from pathlib import Path
from shutil import which

import pytest

from project import ROOT

PAGE = "functions/admin_api/page"
MISSING = "The admin page is missing or older than its sources, and there is no Node to build it: install Node 20.19"


class Project:
    """A copy of the project's parts that the page needs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.page = self.root / PAGE
        for name in ("web", "functions/admin_api"):
            ignored = shutil.ignore_patterns("node_modules", "page", "schema.d.ts")
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
        (self.root / "docs").mkdir()
        for name in ("Makefile", "docs/plugins.md"):
            shutil.copy(ROOT / name, self.root / name)
        self._scratch = folder / "scratch"
        self._artifacts = folder / "artifacts"
        self._commands = folder / "commands"
        self._commands.mkdir()
        for command in ("sh", "make", "cat", "cp", "find", "nproc", "python3"):
            (self._commands / command).symlink_to(which(command, path="/usr/bin:/bin") or which(command))

    def add_command(self, name: str) -> None:
        (self._commands / name).symlink_to(which(name))

    def built_before(self, content: str) -> None:
        """Leave a page as `make page` does, without Node."""
        self.page.mkdir(exist_ok=True)
        (self.page / "index.html").write_text(content)
        (self.page / "sources.sha256").write_text(self.digest())

    def digest(self) -> str:
        command = ["python3", str(self.root / "web" / "page_sources.py")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def build(self) -> "subprocess.CompletedProcess[str]":
        """Build the function in a copy of its folder."""
        for folder in (self._scratch, self._artifacts):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root / "functions" / "admin_api", self._scratch)
        self._artifacts.mkdir()
        return subprocess.run(
            ["make", f"--makefile={self.root}/functions/admin_api/Makefile", "build-AdminApi"],
            cwd=self._scratch,
            env={"PATH": str(self._commands), "ARTIFACTS_DIR": str(self._artifacts), "HOME": str(self.root)},
            check=False,
            capture_output=True,
            text=True,
        )

    def shipped(self, name: str = "index.html") -> str:
        assert self.build().returncode == 0
        return (self._artifacts / "page" / name).read_text()

    def refusal(self) -> str:
        done = self.build()
        assert done.returncode != 0
        assert not (self._artifacts / "page").exists()
        return done.stderr


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_page_of_these_sources_is_shipped_without_node(project):
    project.built_before("this version")
    assert project.shipped() == "this version"
    assert project.shipped("sources.sha256") == project.digest()


def test_a_missing_page_fails_the_build_where_it_cannot_be_built(project):
    assert MISSING in project.refusal()


@pytest.mark.parametrize(
    "source",
    [
        "src/main.tsx",
        "index.html",
        "api.html",
        "openapi.json",
        "package-lock.json",
        "vite.config.ts",
        "../docs/plugins.md",
    ],
)
def test_a_page_of_other_sources_fails_the_build_where_it_cannot_be_built(project, source):
    project.built_before("this version")
    file = project.root / "web" / source
    former = file.read_bytes()
    file.write_bytes(former + b" ")
    assert MISSING in project.refusal()
    # The page is that of these sources again, whatever the times of the files are.
    file.write_bytes(former)
    assert project.shipped() == "this version"


def test_a_source_that_a_checkout_removes_or_renames_makes_it_another_page(project):
    project.built_before("later version")
    moved = project.root / "web" / "src" / "routes.tsx"
    moved.rename(moved.with_name("paths.tsx"))
    assert MISSING in project.refusal()
    moved.with_name("paths.tsx").unlink()
    assert MISSING in project.refusal()


def test_a_page_without_a_record_of_its_sources_is_not_shipped(project):
    project.built_before("some version")
    (project.page / "sources.sha256").unlink()
    assert MISSING in project.refusal()


def test_without_the_sources_beside_it_the_function_is_not_built(project):
    project.built_before("some version")
    shutil.rmtree(project.root / "web")
    assert "The sources of the admin page, web/, are not in" in project.refusal()


def test_the_page_of_other_sources_is_built(project):
    if not which("npm") or not (ROOT / "web" / "node_modules").exists():
        pytest.skip("no packages of the page are installed; `make page` does it, with Node 20.19 or newer")
    for command in ("node", "npm", "touch"):
        project.add_command(command)
    # The packages are installed, and the page is that of another version.
    (project.root / "web" / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    for name in ("package.json", "package-lock.json"):
        os.utime(project.root / "web" / name, (0, 0))
    project.built_before("another version")
    title = project.root / "web" / "index.html"
    title.write_text(title.read_text().replace("<title>", "<title>A new "))
    assert "<title>A new " in project.shipped()
    assert project.shipped("sources.sha256") == project.digest()
