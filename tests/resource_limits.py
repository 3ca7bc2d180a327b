"""Lower limits of the operating system for this process, for as long as a block lasts."""

import resource
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
