import os
import stat
from contextlib import contextmanager
from hashlib import sha256

import pytest

import wat
from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.sandbox import inspect
from guildhook_local.cli import compiled_plugins
from guildhook_local.cli.compiled_plugins import cache_folder, plugin_loader

OTHER = wat.plugin(wat.on_message("nop"))


@pytest.fixture
def environment(tmp_path):
    return {"HOME": str(tmp_path)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".cache" / "guildhook"


@pytest.fixture
def is_compiled(engine, environment):
    """Loads a plugin; returns true if it had to be compiled for that."""

    def is_compiled(wasm=wat.SILENT):
        compiles = []

        @contextmanager
        def compiling():
            compiles.append(True)
            yield

        with plugin_loader(engine, wasm, environment) as loader:
            module = loader.load(inspect(wasm), compiling)
        assert loader.wasm_sha256 == sha256(wasm).digest()
        assert module.memories == inspect(wasm).memories
        return bool(compiles)

    return is_compiled


def native_code(folder):
    return sorted((folder / "modules").iterdir())


def test_a_plugin_is_compiled_once(is_compiled, folder):
    assert [is_compiled(), is_compiled(), is_compiled(OTHER), is_compiled(OTHER), is_compiled()] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(native_code(folder)) == 2


def test_another_engine_compiles_again(is_compiled, engine, monkeypatch):
    is_compiled()
    with monkeypatch.context() as changed:
        changed.setattr(type(engine), "fingerprint", "another")
        assert [is_compiled(), is_compiled()] == [True, False]
    assert not is_compiled()


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", None])
def test_damaged_native_code_is_compiled_again(is_compiled, folder, damage):
    is_compiled()
    (file,) = native_code(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage is None else damage)
    assert [is_compiled(), is_compiled()] == [True, False]


@pytest.mark.parametrize("damage", [b"", b"00" * 32, b"../../../etc/passwd", b"\xff" * 64, "²".encode() * 32])
def test_a_damaged_note_is_written_again(is_compiled, folder, damage):
    is_compiled()
    (note,) = (folder / "digests").iterdir()
    note.write_bytes(damage)
    assert [is_compiled(), is_compiled()] == [True, False]


def test_native_code_that_belongs_to_another_plugin_is_not_taken_for_it(is_compiled, folder):
    is_compiled()
    is_compiled(OTHER)
    first, second = native_code(folder)
    first.write_bytes(second.read_bytes())
    assert sorted([is_compiled(), is_compiled(OTHER)]) == [False, True]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o701])
def test_a_folder_that_is_open_to_others_is_not_used(is_compiled, folder, capsys, mode):
    is_compiled()
    folder.chmod(mode)
    assert is_compiled()
    assert capsys.readouterr().err == (
        f"guildhook: compiled plugins are not kept: {folder} must belong to you and be closed to others; "
        "delete the folder\n"
    )


def test_a_folder_of_somebody_else_is_not_used(is_compiled, folder, capsys, monkeypatch):
    is_compiled()
    with monkeypatch.context() as changed:
        changed.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
        assert is_compiled()
    assert "must belong to you" in capsys.readouterr().err


def test_a_folder_behind_a_link_is_not_used(is_compiled, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert [is_compiled(), is_compiled()] == [True, True]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("part", ["modules", "digests"])
def test_a_part_behind_a_link_is_not_used(is_compiled, folder, tmp_path, part):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.mkdir(mode=0o700, parents=True)
    (folder / part).symlink_to(tmp_path / "elsewhere")
    assert [is_compiled(), is_compiled()] == [True, True]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_least_recently_used_native_code_is_deleted_first(is_compiled, folder, monkeypatch):
    is_compiled()
    is_compiled(OTHER)
    files = native_code(folder)
    for number, file in enumerate(files):
        os.utime(file, ns=(number, number))
    # Used now, and so the last to go.
    is_compiled()
    largest = max(file.stat().st_size for file in files)
    monkeypatch.setattr(compiled_plugins, "LIMIT_BYTES", sum(file.stat().st_size for file in files) + largest // 2)
    assert is_compiled(wat.TRAPS)
    assert [is_compiled(), is_compiled(wat.TRAPS), is_compiled(OTHER)] == [False, False, True]
    assert len(list((folder / "digests").iterdir())) <= 3


@pytest.mark.parametrize(
    "environment",
    [{}, {"HOME": "/nonexistent/home"}, {"HOME": "/proc/1"}, {"XDG_CACHE_HOME": "/dev/null", "HOME": "/dev/null"}],
    ids=["none", "missing", "read-only", "no folder"],
)
def test_a_home_that_cannot_be_used_is_no_error(is_compiled, environment):
    assert [is_compiled(), is_compiled()] == [True, True]


def test_a_full_disk_is_no_error(is_compiled, monkeypatch):
    def add(*_):
        raise InfrastructureError("the disk is full")

    with monkeypatch.context() as changed:
        changed.setattr("guildhook.modules.disk_cache.DiskCache.add", add)
        assert [is_compiled(), is_compiled()] == [True, True]
    assert [is_compiled(), is_compiled()] == [True, False]


def test_a_folder_of_which_no_code_can_be_mapped_is_no_error(is_compiled, engine, folder, monkeypatch):
    load = engine.load

    def refusing(path, memories):
        if "/modules/" in str(path):
            raise InfrastructureError(f"cannot map {path}: Permission denied")
        return load(path, memories)

    with monkeypatch.context() as changed:
        changed.setattr(engine, "load", refusing)
        assert [is_compiled(), is_compiled()] == [True, True]
    assert not is_compiled()


def test_a_folder_cannot_steer_the_terminal(engine, tmp_path, capsys):
    home = tmp_path / "\x1b[2J"
    (home / "guildhook").mkdir(parents=True)
    (home / "guildhook").chmod(0o755)
    with plugin_loader(engine, wat.SILENT, {"XDG_CACHE_HOME": str(home)}):
        assert f"{tmp_path}/␛[2J/guildhook must belong to you" in capsys.readouterr().err


def test_a_refused_plugin_is_refused_each_time(engine, environment):
    garbage = b"\0asm\x01\0\0\0"
    for _ in range(2):
        with (
            plugin_loader(engine, garbage, environment) as loader,
            pytest.raises(InvalidPluginError, match="core module"),
        ):
            loader.load(inspect(garbage), contextmanager(lambda: iter([None])))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}, "/cache/guildhook"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.cache/guildhook"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.cache/guildhook"),
        ({"HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_the_folder_follows_the_xdg_specification(environment, folder):
    assert cache_folder(environment) == (folder if folder is None else type(cache_folder({"HOME": "/"}))(folder))
