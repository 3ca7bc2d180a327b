import shutil
import subprocess

import pytest

from release.errors import ReleaseError
from release.version import version_of

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="there is no git, which names a release")


@pytest.fixture
def git(tmp_path):
    def git(*arguments):
        command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    git("add", ".")
    git("commit", "--message=one", "--date=2026-11-25T10:00:00Z")
    return git


@needs_git
def test_a_commit_without_the_tag_is_part_of_the_name(tmp_path, git):
    git("tag", "v1.1.0")
    commit = git("rev-parse", "HEAD")
    assert str(version_of(tmp_path)) == f"1.2.0-{commit[:12]}"
    assert version_of(tmp_path).commit == commit


@needs_git
def test_the_tag_of_the_version_names_the_release(tmp_path, git):
    git("tag", "v1.2.0")
    assert str(version_of(tmp_path)) == "1.2.0"


@needs_git
def test_changes_that_are_not_committed_are_refused_by_name(tmp_path, git):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9.9"\n')
    (tmp_path / "new.py").touch()
    with pytest.raises(ReleaseError, match=r"pyproject\.toml, new\.py\. A release is made of a commit"):
        version_of(tmp_path)


@needs_git
def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(ReleaseError, match=f"git status failed in {tmp_path}: .*not a git repository"):
        version_of(tmp_path)


def test_a_machine_without_git_makes_no_release(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseError, match=r"git cannot be run: No such file or directory\. Install git"):
        version_of(tmp_path)
