import os
import subprocess
import sys
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

import pytest

from release.archive import File, files_in, zipped
from release.errors import ReleaseError


def test_an_archive_depends_on_names_and_contents_alone(tmp_path):
    names = ["b/c.py", "a.py", "b/a.py"]
    for folder, order, mode, time in (("one", names, 0o600, 1e9), ("other", names[::-1], 0o777, 2e9)):
        for name in order:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(mode)
            os.utime(path, (time, time))
    one, other = (zipped(files_in(tmp_path / folder)) for folder in ("one", "other"))
    assert one == other
    with ZipFile(BytesIO(one)) as archive:
        assert archive.namelist() == sorted(names)
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_an_archive_does_not_depend_on_the_time_zone(tmp_path):
    script = "import sys; from release.archive import *; sys.stdout.buffer.write(zipped([File('a', b'a')]))"
    one, other = (
        subprocess.run([sys.executable, "-c", script], env={"TZ": zone}, check=True, capture_output=True).stdout
        for zone in ("Pacific/Kiritimati", "Pacific/Honolulu")
    )
    assert one == other


def test_another_content_or_name_is_another_archive():
    archives = {zipped([file]) for file in (File("a", b"a"), File("a", b"b"), File("b", b"a"))}
    assert len(archives) == 3


def test_archives_in_an_archive_are_not_compressed_again():
    with ZipFile(BytesIO(zipped([File("layer.zip", b"a" * 1000), File("a.py", b"a" * 1000)]))) as archive:
        assert archive.getinfo("layer.zip").compress_type == ZIP_STORED
        assert archive.getinfo("a.py").compress_size < 1000


def test_a_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(ReleaseError, match="link is a link"):
        list(files_in(tmp_path))
