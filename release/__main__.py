"""Makes a release of the build in .aws-sam: `make release`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from release.archive import File, files_in, zipped
from release.bill_of_materials import Wheel, bill, layer_components, page_components, wheels_of
from release.contents import deployed
from release.errors import ReleaseError
from release.version import version_of

_ROOT: Final = Path(__file__).parents[1]
_BUILD: Final = _ROOT / ".aws-sam" / "build"
_OUTPUT: Final = _ROOT / "dist"
_MACHINES: Final = {"DependenciesLayer": "x86_64", "DependenciesArmLayer": "aarch64"}
_COMMAND_LINE: Final = "command-line"


def main() -> None:
    version = version_of(_ROOT)
    name = f"guildhook-{version}"
    files = [*deployed(_BUILD), *_documents(), *_command_line()]
    archive = zipped(File(f"{name}/{file.name}", file.content) for file in files)
    components = [
        component
        for layer, machine in _MACHINES.items()
        for component in layer_components(layer, files_in(_BUILD / layer), _selected_wheels(machine))
    ]
    page = _BUILD / "AdminApi" / "page" / "licenses.md"
    lock = json.loads((_ROOT / "web" / "package-lock.json").read_text())
    components += page_components(page.read_text(), lock)
    written = {f"{name}.zip": archive, f"{name}.cdx.json": bill(version, archive, components).encode()}
    sums = "".join(f"{sha256(content).hexdigest()}  {file}\n" for file, content in sorted(written.items()))
    shutil.rmtree(_OUTPUT, ignore_errors=True)
    _OUTPUT.mkdir()
    for file, content in {**written, "SHA256SUMS": sums.encode()}.items():
        (_OUTPUT / file).write_bytes(content)
    print(sums, end="")


def _documents() -> Iterator[File]:
    yield File("README.md", (_ROOT / "release" / "README.md").read_bytes())
    for name in ("LICENSE", "CHANGELOG.md", "samconfig.toml", "infra/boundary.json"):
        yield File(name, (_ROOT / name).read_bytes())
    for path in sorted((_ROOT / "docs").rglob("*.md")):
        yield File(path.relative_to(_ROOT).as_posix(), path.read_bytes())


def _command_line() -> Iterator[File]:
    """The wheel of the `guildhook` command, and the hashes of it and of everything that it needs."""
    with TemporaryDirectory() as folder:
        _run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder])
        (wheel,) = files_in(Path(folder))
    place = f"{_COMMAND_LINE}/{wheel.name}"
    own = f"./{place} --hash=sha256:{sha256(wheel.content).hexdigest()}\n"
    yield File(place, wheel.content)
    yield File(f"{_COMMAND_LINE}/requirements.txt", (_ROOT / "requirements" / "local.txt").read_bytes() + own.encode())


def _selected_wheels(machine: str) -> list[Wheel]:
    """The wheels of a layer. pip selects them again, with the options of layers/dependencies/Makefile."""
    with TemporaryDirectory() as folder:
        report = _run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run"),
                *("--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.13"),
                *(f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_28_{machine}"),
                *("--requirement", _ROOT / "requirements" / "layers.txt", "--target", folder, "--report=-"),
            ]
        )
    return wheels_of(json.loads(report))


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, cwd=_ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"{' '.join(map(str, command[1:4]))} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"No release was made: {error}.")
