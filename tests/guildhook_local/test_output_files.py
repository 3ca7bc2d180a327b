import os
import stat
import subprocess
import sys
import threading

import pytest

from guildhook_local.output_files import replace_file
from resource_limits import limited

OLD, NEW = b"the old content", b"new" * 4096


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(OLD)
    return file


def test_a_file_is_replaced_by_another_and_keeps_its_mode(file):
    file.chmod(0o640)
    inode = file.stat().st_ino
    replace_file(file, NEW)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (NEW, 0o640)
    assert file.stat().st_ino != inode
    assert list(file.parent.iterdir()) == [file]


def test_a_file_stays_as_it_was_if_there_is_no_room(file):
    with limited("RLIMIT_FSIZE", len(OLD)), pytest.raises(OSError, match="File too large"):
        replace_file(file, NEW)
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_a_new_file_is_not_there_at_all_if_there_is_no_room(tmp_path):
    with limited("RLIMIT_FSIZE", 1), pytest.raises(OSError, match="File too large"):
        replace_file(tmp_path / "file", NEW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("private", "mode"), [(False, 0o640), (True, 0o600)])
def test_a_new_file_has_the_usual_mode_or_is_private(tmp_path, private, mode):
    umask = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", NEW, private=private)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_private_file_is_private_even_if_the_old_one_was_not(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o644)
    replace_file(tmp_path / "file", NEW, private=True)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_symbolic_link_stays_and_its_file_is_replaced(file, tmp_path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link"
    link.symlink_to("../file")
    replace_file(link, NEW)
    assert (str(link.readlink()), file.read_bytes()) == ("../file", NEW)
    file.unlink()
    replace_file(link, OLD)
    assert file.read_bytes() == OLD


def test_a_name_of_the_greatest_length_works(tmp_path):
    replace_file(tmp_path / ("n" * 255), NEW)
    assert (tmp_path / ("n" * 255)).read_bytes() == NEW


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, NEW)
    reader.join()
    assert read == [NEW]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_does_not_keep_the_set_user_id_bit(file):
    file.chmod(0o4755)
    replace_file(file, NEW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o755


@pytest.fixture
def written():
    """Writes to a path of a process whose streams a shell has redirected; returns the process."""

    def written(path, redirection):
        program = "import sys, pathlib; from guildhook_local.output_files import replace_file; "
        program += "replace_file(pathlib.Path(sys.argv[1]), b'new'); print('and more')"
        return subprocess.run(
            ["bash", "-c", f'"$0" -c "$1" {path} {redirection}', sys.executable, program],
            capture_output=True,
            text=True,
            check=False,
        )

    return written


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_of_the_process_is_written_to(file, written, path):
    inode = file.stat().st_ino
    assert written(path, f">>{file}").returncode == 0
    assert (file.read_bytes(), file.stat().st_ino) == (OLD + b"newand more\n", inode)


def test_a_stream_that_is_closed_is_an_error(written):
    ended = written("/dev/stdout", ">&-")
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        "OSError: [Errno 9] Bad file descriptor: '/dev/stdout'",
    )


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path, NEW)
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing" / "file", NEW)
