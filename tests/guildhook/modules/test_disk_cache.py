import errno
import os
import shutil
from hashlib import sha256

import pytest

from guildhook.errors import InfrastructureError
from guildhook.modules import DamagedArtifactError
from guildhook.modules.disk_cache import DiskCache
from resource_limits import limited

A, B, C = (bytes([byte]) * 1_000 for byte in b"abc")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def digest(data):
    return sha256(data).digest()


def add(disk, data):
    return disk.add(digest(data), len(data), [data[:10], data[10:]])


def kept(folder):
    return {path.read_bytes()[:1] for path in folder.iterdir()}


def test_a_file_is_found_by_its_digest(folder):
    disk = DiskCache(folder, 10_000)
    path = add(disk, A)
    assert path.read_bytes() == A
    assert disk.find(digest(A)) == path
    assert disk.find(digest(B)) is None
    assert folder.stat().st_mode & 0o777 == 0o700


def test_another_process_finds_a_file_and_checks_its_bytes(folder):
    path = add(DiskCache(folder, 10_000), A)
    assert DiskCache(folder, 10_000).find(digest(A)) == path
    path.write_bytes(B)
    with pytest.raises(DamagedArtifactError, match="do not match their digest"):
        DiskCache(folder, 10_000).find(digest(A))
    assert not path.exists()


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(B), lambda path: os.truncate(path, 10)])
def test_a_file_that_changed_after_it_was_checked_is_noticed(folder, change):
    disk = DiskCache(folder, 10_000)
    path = add(disk, A)
    disk.find(digest(A))
    change(path)
    with pytest.raises(DamagedArtifactError):
        disk.find(digest(A))
    assert disk.find(digest(A)) is None


def test_the_least_recently_used_file_is_evicted_first(folder):
    disk = DiskCache(folder, 2_000)
    add(disk, A)
    add(disk, B)
    disk.find(digest(A))
    add(disk, C)
    assert kept(folder) == {b"a", b"c"}
    disk.use(digest(A))
    add(disk, B)
    assert kept(folder) == {b"a", b"b"}


def test_files_of_other_processes_are_evicted_by_age(folder):
    for age, data in enumerate((C, B, A)):
        os.utime(add(DiskCache(folder, 10_000), data), (0, 1_000 - age))
    add(DiskCache(folder, 3_000), b"d" * 1_000)
    assert kept(folder) == {b"c", b"b", b"d"}


def test_a_file_that_is_written_again_or_fails_does_not_count_twice(folder):
    def broken():
        yield A[:500]
        raise DamagedArtifactError("the rest is missing")

    disk = DiskCache(folder, 2_000)
    for _ in range(3):
        add(disk, A)
        with pytest.raises(DamagedArtifactError):
            disk.add(digest(B), len(B), broken())
    add(disk, B)
    assert kept(folder) == {b"a", b"b"}


def test_a_file_over_the_limit_is_refused_with_the_name_of_the_limit(folder):
    with pytest.raises(InfrastructureError, match="1000 bytes; the limit is GUILDHOOK_DISK_CACHE_BYTES, 999"):
        add(DiskCache(folder, 999), A)


def test_data_that_breaks_off_leaves_no_file(folder):
    def broken():
        yield A[:500]
        raise DamagedArtifactError("the rest is missing")

    disk = DiskCache(folder, 10_000)
    with pytest.raises(DamagedArtifactError, match="the rest is missing"):
        disk.add(digest(A), len(A), broken())
    assert list(folder.iterdir()) == []
    assert disk.find(digest(A)) is None


def test_data_with_another_digest_leaves_no_file(folder):
    disk = DiskCache(folder, 2_000)
    for _ in range(3):
        with pytest.raises(DamagedArtifactError, match="does not match its digest"):
            disk.add(digest(A), len(B), [B])
    assert list(folder.iterdir()) == []
    add(disk, A)
    add(disk, B)
    assert kept(folder) == {b"a", b"b"}


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(folder, mode):
    add(DiskCache(folder, 10_000), A)
    folder.chmod(mode)
    refused(folder, rf"GUILDHOOK_CACHE_DIR\) has the owner \d+ and the mode {mode & 0o777:o}; it must belong to user")


def test_a_folder_that_is_gone_is_made_again(folder):
    disk = DiskCache(folder, 10_000)
    add(disk, A)
    shutil.rmtree(folder)
    assert disk.find(digest(A)) is None
    assert add(disk, A).read_bytes() == A
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_user_is_not_used(folder, monkeypatch):
    add(DiskCache(folder, 10_000), A)
    # The tests cannot give a folder to another user unless they run as root.
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    refused(folder, "GUILDHOOK_CACHE_DIR.* and nobody else may write to it")


def refused(folder, reason):
    disk = DiskCache(folder, 10_000)
    with pytest.raises(InfrastructureError, match=reason):
        disk.find(digest(A))
    with pytest.raises(InfrastructureError, match=reason):
        add(disk, B)
    assert kept(folder) == {b"a"}


def test_a_file_that_a_killed_process_left_unfinished_goes_when_it_is_old(folder):
    add(DiskCache(folder, 10_000), A)
    old, new = folder / ".new-old", folder / ".new-new"
    old.write_bytes(B)
    os.utime(old, (0, 0))
    new.write_bytes(C)  # another process may still be writing it
    add(DiskCache(folder, 2_000), b"d" * 1_000)
    assert kept(folder) == {b"a", b"c", b"d"}


def test_a_disk_that_refuses_a_file_is_an_infrastructure_failure_and_keeps_the_others(folder):
    disk = DiskCache(folder, 10_000)
    add(disk, A)
    with (
        limited("RLIMIT_FSIZE", 500),
        pytest.raises(InfrastructureError, match=r"cannot write to .*GUILDHOOK_CACHE_DIR.*large"),
    ):
        add(disk, B)
    assert kept(folder) == {b"a"}
    assert add(disk, B).read_bytes() == B


def test_a_full_disk_evicts_old_files(folder, monkeypatch):
    # This stands in for a disk of 2,500 bytes.
    def fallocate(file, start, size):
        used = sum(path.stat().st_size for path in folder.iterdir())
        if used + size > 2_500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    disk = DiskCache(folder, 10_000)
    for data in (A, B, C):
        add(disk, data)
    assert kept(folder) == {b"b", b"c"}
    big = b"d" * 2_600
    with pytest.raises(InfrastructureError, match="No space left on device"):
        add(disk, big)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_infrastructure_failure(tmp_path):
    (tmp_path / "file").write_text("in the way")
    disk = DiskCache(tmp_path / "file" / "cache", 10_000)
    with pytest.raises(InfrastructureError, match="GUILDHOOK_CACHE_DIR"):
        add(disk, A)
    with pytest.raises(InfrastructureError, match="GUILDHOOK_CACHE_DIR"):
        disk.find(digest(A))
