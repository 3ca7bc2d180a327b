"""The name of a release: the project's version, and the commit unless the version's tag is on it."""

import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from release.errors import ReleaseError

_SHORT_COMMIT = 12


@dataclass(frozen=True, slots=True)
class Version:
    project: str
    """The version in pyproject.toml."""
    commit: str
    committed_at: datetime
    tagged: bool
    """True if the tag of the version, such as v1.2.0, is on the commit."""

    def __str__(self) -> str:
        return self.project if self.tagged else f"{self.project}-{self.commit[:_SHORT_COMMIT]}"


def version_of(project: Path) -> Version:
    """Raises ReleaseError if the checkout has changes that are not committed."""
    if changes := _git(project, "status", "--porcelain"):
        raise ReleaseError(
            f"the checkout has changes: {', '.join(line[3:] for line in changes.splitlines()[:5])}. A release is made"
            " of a commit: commit or remove them"
        )
    version = str(tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"])
    return Version(
        project=version,
        commit=_git(project, "rev-parse", "HEAD"),
        committed_at=datetime.fromtimestamp(int(_git(project, "log", "-1", "--format=%ct")), UTC),
        tagged=f"v{version}" in _git(project, "tag", "--points-at", "HEAD").splitlines(),
    )


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=project, check=False, capture_output=True, text=True)
    except OSError as error:
        raise ReleaseError(f"git cannot be run: {error.strerror}. Install git") from None
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed in {project}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")
