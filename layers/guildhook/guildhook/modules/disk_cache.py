"""Caches native code in files, from which modules are mapped. A file never changes once it has its name.

Several processes may share the folder: a file appears complete, under the digest of its bytes, and a deleted file
stays valid where it is mapped. Each process limits the total size of the files that it found and those that it added.
The folder must be the user's own, so that no other user can exchange a file between its check and its mapping.
"""

import hashlib
import mmap
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from errno import ENOSPC
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from guildhook.errors import InfrastructureError
from guildhook.modules.artifact_bucket import DamagedArtifactError

_UNFINISHED = ".new-"
# An unfinished file that is older was left by a process that was killed.
_ABANDONED_SECONDS = 3600

_Identity = tuple[int, ...]
"""Metadata that only the kernel sets, and that changes with every change of a file."""


class DiskCache:
    """Safe for use from several threads."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._lock = threading.RLock()
        self._sizes: OrderedDict[str, int] | None = None
        """File sizes by name, the least recently used first; None until the folder has been read."""
        self._checked: dict[str, _Identity] = {}
        self._used_bytes = 0
        """The size of these files and of those that are being written."""

    def find(self, sha256: bytes) -> Path | None:
        """The file whose bytes have this digest; None if there is no such file.

        Raises DamagedArtifactError if the bytes do not match, and deletes the file; InfrastructureError if the disk
        cannot be read.
        """
        path = self._directory / sha256.hex()
        try:
            self._check_owner()
            identity = _identity(path)
            # A file is hashed once in each process, since hashing takes several times as long as mapping.
            if self._checked.get(path.name) != identity:
                if _digest(path) != sha256:
                    self._delete(path.name)
                    raise DamagedArtifactError(f"the bytes of {path} do not match their digest")
                self._checked[path.name] = identity
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from None
        self.use(sha256)
        return path

    def use(self, sha256: bytes) -> None:
        """Mark a file as the most recently used; the least recently used are deleted first."""
        with self._lock:
            if self._sizes and sha256.hex() in self._sizes:
                self._sizes.move_to_end(sha256.hex())

    def add(self, sha256: bytes, size: int, pieces: Iterable[bytes]) -> Path:
        """Store `size` bytes, and delete other files if they need the room.

        Raises InfrastructureError if the disk fails, DamagedArtifactError if the bytes do not match the digest, and any
        error of `pieces`; then no file is left.
        """
        if size > self._limit_bytes:
            raise InfrastructureError(
                f"a module has {size} bytes; the limit is GUILDHOOK_DISK_CACHE_BYTES, {self._limit_bytes}"
            )
        path = self._directory / sha256.hex()
        self._reserve(size)
        try:
            identity = self._write(path, size, _matching(sha256, pieces))
        except BaseException:
            with self._lock:
                self._used_bytes -= size
            raise
        with self._lock:
            files = self._files()
            # Another thread or process may have written the same bytes.
            self._used_bytes -= files.pop(path.name, 0)
            files[path.name] = size
            self._checked[path.name] = identity
        return path

    def _reserve(self, size: int) -> None:
        """Delete files until `size` bytes fit within the limit. Raises InfrastructureError."""
        try:
            with self._lock:
                files = self._files()
                while self._used_bytes + size > self._limit_bytes and files:
                    self._delete(next(iter(files)))
                self._used_bytes += size
        except OSError as error:
            raise self._failed("write to", error) from None

    def _write(self, path: Path, size: int, pieces: Iterable[bytes]) -> _Identity:
        """Raises InfrastructureError, and any error of `pieces`."""
        try:
            # Another process may have cleared the temporary folder since the folder was read.
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_owner()
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix=_UNFINISHED, delete=False) as file:
                unfinished = Path(file.name)
                try:
                    self._allocate(file.fileno(), size)
                    file.writelines(pieces)
                    file.flush()
                    return _identity(unfinished.replace(path))
                except BaseException:
                    unfinished.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise self._failed("write to", error) from None

    def _allocate(self, file: int, size: int) -> None:
        """Reserve space. If the disk has less than the limit promises, delete files until there is enough."""
        while True:
            try:
                return os.posix_fallocate(file, 0, size)
            except OSError as error:
                with self._lock:
                    oldest = next(iter(self._files()), None)
                    if error.errno != ENOSPC or oldest is None:
                        raise
                    self._delete(oldest)

    def _files(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_owner()
            found = []
            for entry in os.scandir(self._directory):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # another process has just deleted or renamed it
                if not entry.name.startswith(_UNFINISHED):
                    found.append((status.st_mtime_ns, entry.name, status.st_size))
                elif status.st_mtime < time.time() - _ABANDONED_SECONDS:
                    Path(entry.path).unlink(missing_ok=True)
            self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
            self._used_bytes = sum(self._sizes.values())
        return self._sizes

    def _delete(self, name: str) -> None:
        with self._lock:
            (self._directory / name).unlink(missing_ok=True)
            self._checked.pop(name, None)
            if self._sizes:
                self._used_bytes -= self._sizes.pop(name, 0)

    def _check_owner(self) -> None:
        """Raises InfrastructureError if another user may change the folder's files; FileNotFoundError without one."""
        status = self._directory.stat()
        if status.st_uid != os.geteuid() or status.st_mode & (S_IWGRP | S_IWOTH):
            raise InfrastructureError(
                f"{self._directory} (GUILDHOOK_CACHE_DIR) has the owner {status.st_uid} and the mode "
                f"{status.st_mode & 0o777:o}; it must belong to user {os.geteuid()}, and nobody else may write to it"
            )

    def _failed(self, verb: str, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"cannot {verb} {self._directory} (GUILDHOOK_CACHE_DIR): {error.strerror}")


def _matching(sha256: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pass the pieces on, and raise DamagedArtifactError after the last one if their digest is another."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.digest() != sha256:
        raise DamagedArtifactError("the native code does not match its digest")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        # In one piece. After each of many, this thread would wait for the interpreter, for 5 ms if others compute.
        if os.fstat(file.fileno()).st_size == 0:  # of which there is no mapping
            return hashlib.sha256().digest()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return hashlib.sha256(content).digest()


def _identity(path: Path) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
