import wat
from guildhook.sandbox import with_settings_schema
from project import ROOT

PING = ROOT / "plugins" / "ping" / "ping.wasm"


def test_check_lists_the_needs_of_a_plugin(as_json):
    status, result = as_json("check", PING)
    assert status == 0
    assert result == {
        "accepted": True,
        "reasons": [],
        "warnings": [],
        "imports": ["guildhook:plugin/host-api@1.2.0"],
        "unavailable": [],
        "exports": ["on-message"],
        "needs": ["SEND_MESSAGES"],
        "memories": [{"minimum": 1, "maximum": None}],
        "settings_schema": None,
        "wasm_bytes": PING.stat().st_size,
    }


def test_check_lists_imports_that_are_not_available(guildhook, as_json, tmp_path):
    imports = '(import "wasi:filesystem/preopens@0.2.3" (instance)) (import "wasi:cli/exit@0.2.3" (instance))'
    (tmp_path / "plugin.wasm").write_bytes(wat.plugin(wat.on_message(""), imports=imports))
    assert as_json("check", tmp_path / "plugin.wasm")[1]["unavailable"] == ["wasi:filesystem/preopens@0.2.3"]
    status, out, _ = guildhook("check", tmp_path / "plugin.wasm")
    assert status == 0
    assert "wasi:filesystem/preopens@0.2.3 (imported, not available)" in out
    assert "wasi:cli/exit@0.2.3\n" in out


def test_check_refuses_with_reasons(as_json, guildhook, tmp_path):
    (tmp_path / "module.wasm").write_bytes(b"\0asm\x01\0\0\0")
    status, result = as_json("check", tmp_path / "module.wasm")
    assert (status, result["accepted"]) == (1, False)
    assert "core module" in result["reasons"][0]
    status, out, _ = guildhook("check", tmp_path / "module.wasm")
    assert status == 1
    assert "refused" in out


def test_check_compiles_a_plugin_that_passes_inspection(as_json, tmp_path):
    wasm = wat.plugin(wat.on_message("(drop (i32.const 77))"))
    (tmp_path / "broken.wasm").write_bytes(wasm.replace(b"\x41\xcd\x00", b"\x01\x01\x01"))
    status, result = as_json("check", tmp_path / "broken.wasm")
    assert (status, result["accepted"]) == (1, False)
    assert "does not compile" in result["reasons"][0]


def test_check_refuses_a_bad_schema(guildhook, as_json, tmp_path):
    (tmp_path / "plugin.wasm").write_bytes(with_settings_schema(PING.read_bytes(), b"[]"))
    status, result = as_json("check", tmp_path / "plugin.wasm")
    assert (status, result["accepted"], result["settings_schema"]) == (1, False, None)
    assert result["reasons"][0].startswith("its settings schema is refused: it is not a schema")
    status, out, _ = guildhook("check", tmp_path / "plugin.wasm")
    assert status == 1
    assert "refused" in out


def test_check_refuses_a_plugin_that_does_not_start(as_json, tmp_path, environment):
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    (tmp_path / "plugin.wasm").write_bytes(wat.plugin(wat.on_message("", "(func $start unreachable) (start $start)")))
    for _ in range(2):
        status, result = as_json("check", tmp_path / "plugin.wasm")
        assert (status, result["accepted"]) == (1, False)
        assert result["reasons"][0].startswith("it does not start: invalid: wasm trap: ")


def test_a_name_of_a_file_cannot_steer_the_terminal(guildhook, tmp_path):
    plugin = tmp_path / "\x1b[2J\udcff.wasm"
    plugin.write_bytes(PING.read_bytes())
    assert guildhook("check", plugin)[1].startswith("accepted ␛[2J<0xFF>.wasm, ")


def test_check_warns_of_frozen_random_numbers(guildhook, as_json, tmp_path):
    snapshot = '(core module $m (memory 1) (data (i32.const 0) "__cqjs"))'
    (tmp_path / "plugin.wasm").write_bytes(wat.plugin(wat.on_message(""), lowered=snapshot))
    status, result = as_json("check", tmp_path / "plugin.wasm")
    assert (status, result["accepted"]) == (0, True)
    assert "Math.random() gives the same numbers in every run" in result["warnings"][0]
    assert f"warning  {result['warnings'][0]}" in guildhook("check", tmp_path / "plugin.wasm")[1]
