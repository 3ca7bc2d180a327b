import json
import resource
import shutil
import subprocess
import sys

import pytest

from project import ROOT

PLUGINS = ROOT / "plugins"
PING, WELCOME = PLUGINS / "ping" / "ping.wasm", PLUGINS / "welcome" / "welcome.wasm"

SCHEMA = {"type": "object", "properties": {"\x1b[31mred": {"type": "string", "writeOnly": True}, "b": {}}}


def test_a_schema_is_added_and_shown(guildhook, as_json, tmp_path):
    out, said = tmp_path / "out.wasm", tmp_path / "schema.json"
    said.write_text(json.dumps(SCHEMA))
    assert guildhook("schema", PING, said, "-o", out) == (0, "", "")
    status, result = as_json("check", out)
    assert (status, result["settings_schema"]) == (0, SCHEMA)
    status, text, _ = guildhook("check", out)
    assert status == 0
    assert "schema   of 2 settings\n" in text
    assert "\x1b" not in text
    assert "␛[31mred (secret)\n" in text
    assert "setting  b\n" in text


def test_a_schema_replaces_the_one_that_is_there(guildhook, as_json, tmp_path):
    wasm, said = tmp_path / "plugin.wasm", tmp_path / "schema.json"
    wasm.write_bytes(WELCOME.read_bytes())
    said.write_text('{"type": "object"}')
    assert guildhook("schema", wasm, said, "--output", wasm)[0] == 0
    assert as_json("check", wasm)[1]["settings_schema"] == {"type": "object"}
    assert guildhook("schema", wasm, WELCOME.with_name("schema.json"), "-o", wasm)[0] == 0
    assert wasm.read_bytes() == WELCOME.read_bytes()


@pytest.mark.parametrize(
    ("wasm", "said", "words"),
    [
        (b"\0asm\x01\0\0\0", b'{"type":"object"}', "plugin.wasm is refused: this is a core module, not a component"),
        (b"\0asm\x0d\0\x01\0\1", b'{"type":"object"}', "plugin.wasm is refused: the file is cut off"),
        (PING.read_bytes(), b"{", "schema.json is refused: it is not JSON"),
        (PING.read_bytes(), b'{"type":"object","$ref":"#"}', "schema.json is refused: it has the keyword '$ref'"),
    ],
)
def test_a_schema_that_is_refused_is_not_written(failure, tmp_path, wasm, said, words):
    (tmp_path / "plugin.wasm").write_bytes(wasm)
    (tmp_path / "schema.json").write_bytes(said)
    out = tmp_path / "out.wasm"
    status, line = failure("schema", tmp_path / "plugin.wasm", tmp_path / "schema.json", "-o", out)
    assert (status, line.startswith(words)) == (1, True)
    assert not out.exists()


def test_a_schema_with_a_byte_order_mark_is_written_without_it(guildhook, as_json, tmp_path):
    out, said = tmp_path / "out.wasm", tmp_path / "schema.json"
    for encoding in ("utf-8-sig", "utf-16"):
        said.write_text('{"type": "object"}', encoding=encoding)
        status, written = as_json("schema", PING, said, "-o", out)
        assert (status, written["wasm_bytes"]) == (0, out.stat().st_size)
        assert as_json("check", out)[1]["settings_schema"] == {"type": "object"}


def test_an_output_path_that_cannot_exist_is_wrong_usage(failure, tmp_path):
    out = tmp_path / "missing" / "out.wasm"
    status, line = failure("schema", PING, WELCOME.with_name("schema.json"), "-o", out)
    assert (status, line) == (2, f"--output: cannot write {out}: No such file or directory; nothing is changed")


def test_a_missing_permission_is_the_machines_fault(failure):
    status, line = failure("schema", PING, WELCOME.with_name("schema.json"), "-o", "/sys/plugin.wasm")
    assert (status, line.startswith("--output: cannot write /sys/plugin.wasm: ")) == (3, True)


def test_a_full_disk_leaves_the_old_plugin(tmp_path):
    plugin = tmp_path / "plugin.wasm"
    shutil.copy(WELCOME, plugin)
    command = [sys.executable, "-c", "from guildhook_local.cli import main; main()", "schema", plugin]
    ended = subprocess.run(
        [*command, WELCOME.with_name("schema.json"), "-o", plugin],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == f"guildhook: --output: cannot write {plugin}: File too large; nothing is changed\n"
    assert plugin.read_bytes() == WELCOME.read_bytes()
    assert list(tmp_path.iterdir()) == [plugin]
