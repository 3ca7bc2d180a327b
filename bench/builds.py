"""The plugins that are measured, built from bench/plugins when they are first needed, and compiled.

The results are kept in .bench/, under the digest of their sources.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import wasmtime

from guildhook.model import CompiledModule, MemoryType
from guildhook.sandbox import Engine, inspect
from guildhook.sandbox.compiling.child_process import CompileLimits

PROJECT = Path(__file__).parents[1]
SOURCES = PROJECT / "bench" / "plugins"
WIT = PROJECT / "wit"
BIN = Path(sys.executable).parent
CACHE = PROJECT / ".bench"
PATIENT = CompileLimits(cpu_seconds=600, timeout_seconds=600)
"""The timeout is longer than in production, since a busy machine takes longer over the largest plugin."""


def c() -> bytes:
    return (PROJECT / "plugins" / "ping" / "ping.wasm").read_bytes()


def quickjs() -> bytes:
    return _javascript("quickjs")


def spidermonkey() -> bytes:
    return _javascript("spidermonkey")


def python() -> bytes:
    def build(out: Path) -> None:
        # componentize-py runs in a folder of its own, since it bundles every file beside the program.
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(SOURCES / "echo.py", folder)
            options = ["-w", "plugin", "componentize", "--stub-wasi", "echo"]
            _run([BIN / "componentize-py", "-d", WIT, *options, "-o", out], Path(folder))

    return _built("python.wasm", [SOURCES / "echo.py"], build)


def extism() -> bytes:
    """The C plugin for Extism: a core module."""

    def build(out: Path) -> None:
        options = ["--target=wasm32-freestanding", "-Os", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all"]
        _run([sys.executable, "-m", "ziglang", "cc", *options, "-o", out, SOURCES / "extism.c"], out.parent)

    plugins = PROJECT / "plugins"
    return _built("extism.wasm", [SOURCES / "extism.c", plugins / "ping" / "ping.c", plugins / "guildhook.h"], build)


def limit() -> Path:
    """The program of limit.c."""
    library = Path(wasmtime.__file__).parent / "linux-x86_64"

    def build(out: Path) -> None:
        link = [f"-L{library}", "-l:_libwasmtime.so", f"-Wl,-rpath,{library}", "-ldl"]
        _run(
            [
                sys.executable,
                "-m",
                "ziglang",
                "cc",
                "-O2",
                "-Wall",
                "-Wextra",
                "-o",
                out,
                SOURCES.parent / "limit.c",
                *link,
            ],
            out.parent,
        )

    return _path("limit", [SOURCES.parent / "limit.c", library / "_libwasmtime.so"], build)


PLUGINS: dict[str, Callable[[], bytes]] = {
    "C": c,
    "QuickJS": quickjs,
    "SpiderMonkey": spidermonkey,
    "Python": python,
}


def compiled(engine: Engine, wasm: bytes) -> CompiledModule:
    """The artifact, which is kept as well, since the largest take ten seconds."""

    def build(out: Path) -> None:
        out.write_bytes(Engine(PATIENT).compile(wasm).artifact)

    name = f"{sha256(wasm + engine.fingerprint.encode()).hexdigest()[:32]}.cwasm"
    return CompiledModule(_path(name, [], build).read_bytes(), memories(wasm))


def memories(wasm: bytes) -> tuple[MemoryType, ...]:
    return inspect(wasm).memories


def _javascript(engine: str) -> bytes:
    """The JavaScript plugin, as docs/plugins.md builds it for this engine."""
    if not shutil.which("npm"):
        raise SystemExit("bench: the JavaScript plugins are built with Node 20 and npm, which are not on the PATH")
    folder, source = PROJECT / "plugins" / engine, SOURCES / "echo.js"

    def build(out: Path) -> None:
        _run(["npm", "ci", "--no-audit", "--no-fund"], folder)
        _run(["node", folder / "build.mjs", source, "-o", out], out.parent)

    return _built(f"{engine}.wasm", [source, *sorted(folder.glob("*.*"))], build)


def _built(name: str, sources: Iterable[Path], build: Callable[[Path], None]) -> bytes:
    return _path(name, sources, build).read_bytes()


def _path(name: str, sources: Iterable[Path], build: Callable[[Path], None]) -> Path:
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    path = CACHE / digest / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"building {name} …", file=sys.stderr)
        build(path)
    return path


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
