"""Archives whose bytes depend on their files' names and contents alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_IFREG
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from release.errors import ReleaseError

_TIME: Final = (2000, 1, 1, 0, 0, 0)
"""The time of every file. Programs that pack files again refuse the first days of 1980 in some time zones."""
_MODE: Final = S_IFREG | 0o644
_UNIX: Final = 3


@dataclass(frozen=True, slots=True)
class File:
    name: str
    """A path with slashes, from the root of the archive."""
    content: bytes


def files_in(folder: Path) -> Iterator[File]:
    """The files of a folder, by name. Raises ReleaseError if there is a link, which an archive could not keep."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ReleaseError(f"{path} is a link, and a release contains files alone: build .aws-sam anew")
        if path.is_file():
            yield File(path.relative_to(folder).as_posix(), path.read_bytes())


def zipped(files: Iterable[File]) -> bytes:
    """An archive of the files, sorted by name. Archives in it are stored as they are."""
    target = BytesIO()
    with ZipFile(target, "w") as archive:
        for file in sorted(files, key=lambda each: each.name):
            entry = ZipInfo(file.name, _TIME)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            entry.compress_type = ZIP_STORED if file.name.endswith((".zip", ".whl")) else ZIP_DEFLATED
            archive.writestr(entry, file.content)
    return target.getvalue()
