"""Measures the slowest inspections of uploads: `python -m bench.inspection`.

Each case is as large as an upload may be, and goes as far towards one limit as it can before it is refused. It is
inspected in a process of its own; the growth is of that process's peak.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import process
from guildhook.sandbox import MAX_WASM_BYTES, inspect
from guildhook.sandbox.binary.tally import PartKind

COMPONENT, MODULE = b"\0asm\x0d\0\x01\0", b"\0asm\x01\0\0\0"
EMPTY = b"\0\x81\x80\x80\x80\0\0"
"""A custom section without a name."""


def number(value: int) -> bytes:
    """A number in the longest form of LEB128, which is the slowest to read."""
    return bytes(value >> shift & 0x7F | 0x80 for shift in range(0, 28, 7)) + bytes([value >> 28])


def section(section_id: int, contents: bytes) -> bytes:
    return bytes([section_id]) + number(len(contents)) + contents


def repeated(section_id: int, entry: bytes, count: int) -> bytes:
    return section(section_id, number(count) + entry * count)


def named(length: int) -> bytes:
    return number(length) + b"n" * length


def filled(*parts: bytes) -> bytes:
    """A component of these parts, and as many debugger's bytes as still fit."""
    wasm = COMPONENT + b"".join(parts)
    room = MAX_WASM_BYTES - len(wasm) - len(section(0, named(1)))
    return wasm + section(0, named(1) + bytes(room))


def module(*parts: bytes) -> bytes:
    return section(1, MODULE + b"".join(parts))


def functions(count: int, declarations: int) -> bytes:
    body = number(declarations) + (number(0) + b"\x7b") * declarations
    return section(3, number(count) + bytes(count)) + repeated(10, number(len(body)) + body, count)


def function_names(count: int) -> bytes:
    name_bytes = PartKind.NAME_BYTES.most // (count + 1) - len(number(0)) * 2
    return section(0, number(4) + b"name" + repeated(1, number(0) + named(name_bytes), count))


def imports(count: int, name_bytes: int) -> bytes:
    return repeated(10, b"\0" + named(name_bytes) + b"\5" + number(0), count)


def nested(depth: int, contents: bytes) -> bytes:
    return contents if depth == 0 else section(4, COMPONENT + nested(depth - 1, contents))


def everything() -> bytes:
    code = functions(PartKind.FUNCTIONS.most, PartKind.LOCALS.most // PartKind.FUNCTIONS.most)
    names = function_names(PartKind.FUNCTION_NAMES.most)
    return filled(EMPTY * (PartKind.SECTIONS.most - 20), module(code, names), imports(PartKind.DEFINITIONS.most, 900))


CASES: dict[str, Callable[[], bytes]] = {
    "sections": lambda: COMPONENT + EMPTY * (MAX_WASM_BYTES // len(EMPTY) - 2),
    "sections of a module": lambda: COMPONENT + module(EMPTY * (MAX_WASM_BYTES // len(EMPTY) - 4)),
    "functions past the limit": lambda: filled(module(functions(2_900_000, 0))),
    "functions": lambda: filled(module(functions(PartKind.FUNCTIONS.most, 0))),
    "locals": lambda: filled(module(functions(50_000, 7))),
    "locals past the limit": lambda: filled(module(functions(1_000, 4_000))),
    "function names": lambda: filled(module(function_names(PartKind.FUNCTION_NAMES.most))),
    "imports": lambda: filled(imports(PartKind.DEFINITIONS.most, 1_000)),
    "nesting past the limit": lambda: filled(nested(500, b"")),
    "everything": everything,
}


def measure(path: Path) -> str:
    """The seconds that the file took, the MiB by which the peak grew, and the verdict."""
    wasm = path.read_bytes()
    process.forget_peak()
    before = process.peak()
    started = time.perf_counter()
    reason = (*inspect(wasm).reasons, "accepted")[0]
    seconds = time.perf_counter() - started
    return f"{seconds:7.3f} {process.peak() - before:6.1f}  {reason[:75]}"


def main() -> None:
    print(f"{'case':26} {'seconds':>7} {'MiB':>6}  verdict")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "upload.wasm")
        for case, build in CASES.items():
            path.write_bytes(build())
            command = [sys.executable, "-m", "bench.inspection", str(path)]
            row = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{case:26} {row.stdout}", end="")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(Path(sys.argv[1])))
    else:
        main()
