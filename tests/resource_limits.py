"""Lower limits of the operating system for this process, for as long as a block lasts."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def limited(name: str, most: int) -> Iterator[None]:
    """Lower the soft limit of this name, such as RLIMIT_FSIZE."""
    kind = getattr(resource, name)
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@contextmanager
def little_memory(mib: int) -> Iterator[None]:
    """Leave this process room for so many MiB of address space more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    with limited("RLIMIT_AS", pages * resource.getpagesize() + mib * 1024 * 1024):
        yield


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Let every new thread fail, as the limit on processes does, which the superuser does not have."""
    before = threading.stack_size(1024**3)
    try:
        with little_memory(100):
            yield
    finally:
        threading.stack_size(before)


@contextmanager
def little_data(mib: int) -> Iterator[None]:
    """Leave this process room for so many MiB of memory that can be written to more than it has. Reserved addresses do
    not count, so an instance of wasmtime can begin, and not grow.
    """
    status = Path("/proc/self/status").read_text()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    with limited("RLIMIT_DATA", kib * 1024 + mib * 1024 * 1024):
        yield
