from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker

from builds import dummy_component, rebuild
from project import ROOT


def test_the_committed_component_equals_the_build_of_the_source(tmp_path):
    committed = ROOT / "layers" / "guildhook" / "guildhook" / "sandbox" / "compiling" / "wasi.wasm"
    assert rebuild(ROOT / "wasi", tmp_path / "wasi.wasm") == committed.read_bytes()


def test_its_types_are_those_of_wasmtimes_own_wasi(tmp_path):
    # Linking compares the types of functions. Those of wasmtime's WASI are typed, unlike host functions of its C API.
    wit = (ROOT / "wasi" / "wasi.wit").read_text().replace("import host;", "").replace("export wasi:", "import wasi:")
    wit = wit.replace(
        "        exit-with-code: func(status-code: u8);\n", ""
    )  # unstable, and switched off in wasmtime's WASI
    engine = Engine(Config())
    linker, store = Linker(engine), Store(engine)
    linker.add_wasip2()
    store.set_wasi(WasiConfig())
    assert linker.instantiate(store, Component(engine, dummy_component(wit, "wasi", tmp_path)))
