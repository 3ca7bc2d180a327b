"""Native code as files, from which modules are mapped. A file is never changed once it has its name.

Other processes may use the same folder: a file appears complete, under the digest of its bytes, and a mapped one stays
whole when it is deleted.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from errno import ENOSPC
from hashlib import file_digest
from pathlib import Path

from guildhook.errors import InfrastructureError
from guildhook.modules.artifacts import DamagedError

_UNFINISHED = ".new-"
# Nobody writes a file for that long: what is older was left by a process that was killed.
_ABANDONED_SECONDS = 3600

_Identity = tuple[int, ...]
"""What changes with every change of a file, and that only the kernel sets."""


class DiskCache:
    """Safe for use from several threads, as long as each key is looked for in one at a time."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._checked: dict[str, _Identity] = {}
        self._used: dict[str, int] = {}
        """When each file was last used, by time.time_ns()."""

    def find(self, sha256: bytes) -> Path | None:
        """The file whose bytes have this digest. Raises DamagedError for one whose bytes do not, and which is gone;
        InfrastructureError where the disk cannot be read.
        """
        path = self._directory / sha256.hex()
        try:
            identity = _identity(path)
            # Once a process: hashing a module takes several times as long as mapping it.
            if self._checked.get(path.name) != identity:
                with path.open("rb") as file:
                    if file_digest(file, "sha256").digest() != sha256:
                        path.unlink(missing_ok=True)
                        raise DamagedError(f"the bytes of {path} do not match their digest")
                self._checked[path.name] = identity
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from None
        self.use(sha256)
        return path

    def use(self, sha256: bytes) -> None:
        """What was not used for the longest time is the first to go."""
        self._used[sha256.hex()] = time.time_ns()

    def add(self, sha256: bytes, size: int, pieces: Iterable[bytes]) -> Path:
        """Keep `size` bytes that have this digest, as the caller knows; room is made for them.

        Raises InfrastructureError where the disk does not take it, and what `pieces` raises; neither leaves anything.
        """
        if size > self._limit_bytes:
            raise InfrastructureError(f"a module has {size} bytes; GUILDHOOK_DISK_CACHE_BYTES is {self._limit_bytes}")
        path = self._directory / sha256.hex()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix=_UNFINISHED, delete=False) as file:
                unfinished = Path(file.name)
                try:
                    self._make_room(file.fileno(), size)
                    file.writelines(pieces)
                    file.flush()
                    identity = _identity(unfinished.replace(path))
                except BaseException:
                    unfinished.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise self._failed("write to", error) from None
        self._checked[path.name] = identity
        self.use(sha256)
        return path

    def _make_room(self, file: int, size: int) -> None:
        """Delete what was not used for the longest time until `file` can have `size` bytes within the limit."""
        others = sorted(self._finished())
        used = sum(length for _, length, _ in others)
        while used + size > self._limit_bytes:
            _, length, path = others.pop(0)
            self._delete(path)
            used -= length
        while True:
            try:
                return os.posix_fallocate(file, 0, size)
            except OSError as error:
                # The disk may have less room than the limit says.
                if error.errno != ENOSPC or not others:
                    raise
            self._delete(others.pop(0)[2])

    def _finished(self) -> Iterator[tuple[int, int, Path]]:
        """When it was last used, its size, and its path."""
        for entry in os.scandir(self._directory):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue  # another process has just deleted or finished it
            abandoned = status.st_mtime < time.time() - _ABANDONED_SECONDS
            if not entry.name.startswith(_UNFINISHED) or abandoned:
                yield self._used.get(entry.name, status.st_mtime_ns), status.st_size, Path(entry.path)

    def _delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._checked.pop(path.name, None)
        self._used.pop(path.name, None)

    def _failed(self, verb: str, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"cannot {verb} {self._directory} (GUILDHOOK_CACHE_DIR): {error.strerror}")


def _identity(path: Path) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
