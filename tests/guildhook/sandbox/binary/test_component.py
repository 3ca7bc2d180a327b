import pytest
from wasmtime import wat2wasm

from guildhook.model import MemoryType
from guildhook.sandbox.binary.component import COMPONENT_HEADER, Component, read_component, without_section
from guildhook.sandbox.binary.reading import RefusedBinaryError
from wasm import section

MEMORY_AND_TABLE = "(core module $m (memory 3 5) (table 7 funcref)) (core instance (instantiate $m))"


def read(component: str) -> Component:
    return read_component(bytes(wat2wasm(f"(component {component})")))


def instantiated(times: int, depth: int, inside: str) -> str:
    """Return `depth` nested components, each of which instantiates the next one `times` times."""
    for _ in range(depth):
        inside = f"(component $c {inside}) {'(instance (instantiate $c))' * times}"
    return inside


def test_an_instance_counts_the_modules_that_it_instantiates():
    component = read("(core module $unused (memory 1) (table 9 funcref))" + MEMORY_AND_TABLE)
    assert component.memories == [MemoryType(3, 5)]
    assert component.tables == [7]
    assert component.instances == 1
    assert component.definitions == 1


def test_nested_instances_multiply_their_memories_and_tables():
    component = read(instantiated(2, 3, MEMORY_AND_TABLE))
    assert component.memories == [MemoryType(3, 5)] * 8
    assert component.tables == [7] * 8
    assert component.instances == 2 + 4 + 8 + 8
    assert component.definitions == component.instances


def test_every_kind_of_definition_counts():
    component = read(
        """(type $s (list u8)) (import "host" (instance $host (export "f" (func))))
           (core module $m (import "host" "f" (func)))
           (core func $f (canon lower (func $host "f")))
           (core instance $i (instantiate $m (with "host" (instance (export "f" (func $f))))))
           (instance (export "g" (func $host "f"))) (export "h" (func $host "f"))"""
    )
    assert component.imports == ["host"]
    assert component.exports == ["h"]
    assert component.uses == {"f"}
    # 2 types, 1 import, 3 aliases of "f", 1 lowered function, 2 core instances and 1 other with 1 item each, 1 export,
    # and the import of the module that is instantiated.
    assert component.definitions == 2 + 1 + 3 + 1 + 2 * 2 + 2 + 1 + 1


def test_the_debug_names_of_every_module_are_found():
    wasm = bytes(wat2wasm("(component (core module $m (func $f)) (component (core module $n (func $g))))"))
    component = read_component(wasm)
    assert [wasm[at : at + 4] for at in component.name_sections] == [b"name"] * 2
    assert wasm.count(b"\x04name") == 2


def lowered(options: str) -> str:
    return f"""(import "f" (func $f (param "x" string)))
        (core module $m (memory (export "memory") 1)) (core instance $m (instantiate $m))
        (core func $f (canon lower (func $f) {options} (memory (core memory $m "memory"))))"""


def test_text_in_utf_8_is_read():
    assert read(lowered("")).imports == read(lowered("string-encoding=utf8")).imports == ["f"]


@pytest.mark.parametrize("encoding", ["utf16", "latin1+utf16"])
def test_text_in_another_encoding_is_refused(encoding):
    with pytest.raises(RefusedBinaryError, match="an encoding other than UTF-8"):
        read(lowered(f"string-encoding={encoding}"))


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        (b"\x01\x05", "canonical function 0x05 of component async"),  # task.cancel
        (b"\x01\x01\x00\x00\x01\x06", "canonical option 0x06 of component async"),  # an async lower
    ],
)
def test_component_async_is_refused(functions, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        read_component(COMPONENT_HEADER + section(8, functions))


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (
            instantiated(1, 1, "(core module $m (memory 1))" + "(core instance (instantiate $m))" * 65),
            "at least 65 memories",
        ),
        (
            MEMORY_AND_TABLE + "(core module $t" + "(table 0 funcref)" * 100 + ") (core instance (instantiate $t))",
            "at least 101 tables; the limit is 100",
        ),
        (
            "(core module $t (table 500001 funcref))" + "(core instance (instantiate $t))" * 2,
            "at least 1000002 table elements; the limit is 1000000",
        ),
        (
            "(core module $m)" + "(core instance (instantiate $m))" * 1_001,
            "at least 1001 inner instances; the limit is 1000",
        ),
        (instantiated(10, 7, ""), "at least 1110 inner instances; the limit is 1000"),
        (
            instantiated(9, 1, '(import "f" (func $f))' + '(export "e" (func $f))' * 2_300),
            "definitions, including its inner instances; the limit is 20000",
        ),
        (
            # Imports are resolved for each instance of the module.
            '(core module $f (func (export "f"))) (core instance $f (instantiate $f))'
            "(core module $m"
            + '(import "m" "f" (func))' * 9_000
            + ")"
            + '(core instance (instantiate $m (with "m" (instance $f))))' * 3,
            "definitions, including its inner instances; the limit is 20000",
        ),
        ('(import "f" (func $f))' + '(export "e" (func $f))' * 20_000, "at least 20002 imports, exports, aliases"),
        (f"(type (tuple {'u8 ' * 1_000}))" * 200, "bytes of types; the limit is 200000"),
        ("(core module (func))" * 5_001, "at least 10001 sections; the limit is 10000"),
        (instantiated(0, 8, ""), "nested at least 9 deep; the limit is 8"),
        (f"(component (core module {'(func)' * 30_001}))" * 2, "at least 60002 functions; the limit is 60000"),
    ],
)
def test_input_over_the_compilers_limits_is_refused(component, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        read(component)


def test_debug_names_of_components_are_bounded():
    with pytest.raises(RefusedBinaryError, match="at least 6000001 bytes of debug names"):
        read_component(COMPONENT_HEADER + section(0, b"\x0ecomponent-name" + bytes(6_000_001)))


def test_a_nested_component_or_module_of_another_version_is_refused():
    with pytest.raises(RefusedBinaryError, match="a component in it has a version other than 13"):
        read_component(COMPONENT_HEADER + section(4, b"\0asm\x0e\0\1\0"))
    with pytest.raises(RefusedBinaryError, match="a core module in it has a version other than 1,"):
        read_component(COMPONENT_HEADER + section(1, b"\0asm\x02\0\0\0"))


NAME = "guildhook:settings-schema"


def custom(content: bytes, name: str = NAME) -> bytes:
    return section(0, bytes([len(name)]) + name.encode() + content)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\0", b"x" * 65_536])
def test_the_settings_schema_of_a_component_is_read_unchanged(content):
    assert read_component(COMPONENT_HEADER + custom(content)).settings_schema == content


def test_sections_of_nested_components_and_other_names_are_no_settings_schema():
    nested = section(4, COMPONENT_HEADER + custom(b"nested"))
    module = section(1, b"\0asm\1\0\0\0" + custom(b"module"))
    others = nested + module + custom(b"other", "guildhook:settings") + custom(b"other", f"{NAME}s")
    assert read_component(COMPONENT_HEADER + others).settings_schema is None
    assert read_component(COMPONENT_HEADER + others + custom(b"own") + nested).settings_schema == b"own"


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        (custom(b"x" * 65_537), "its section guildhook:settings-schema has 65537 bytes; the limit is 65536"),
        (custom(b"") * 2, "it has the section guildhook:settings-schema twice; keep one"),
        (custom(b"{}")[:-1], "cut off"),
    ],
)
def test_a_section_that_is_too_long_or_there_twice_is_refused(sections, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        read_component(COMPONENT_HEADER + sections)


def test_sections_are_taken_out_by_name_and_all_else_stays():
    nested = section(4, COMPONENT_HEADER + custom(b"nested"))
    kept = [custom(b"1", "other"), nested, custom(b"2", "")]
    wasm = COMPONENT_HEADER + custom(b"a") + kept[0] + custom(b"b") + kept[1] + kept[2] + custom(b"c" * 70_000)
    assert without_section(wasm, NAME) == COMPONENT_HEADER + b"".join(kept)
    assert without_section(COMPONENT_HEADER, NAME) == COMPONENT_HEADER
