"""The files of a release that a deploy needs: the templates as `sam build` wrote them, and an archive for each function
and each layer.

A folder would be packed by the CLI that deploys it, and the AWS CLI packs times and the order of the file system. An
archive is uploaded as it is, under the digest of its bytes, so that a layer which did not change keeps its version.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from release.archive import File, files_in, zipped
from release.errors import ReleaseError

_TEMPLATE: Final = "template.yaml"
_REFERENCE: Final = re.compile(r"^( +(?:CodeUri|ContentUri): )(\w+)$", re.MULTILINE)
_BYTECODE: Final = bytes.fromhex("f30d0d0a01000000")
"""The beginning of the bytecode of CPython 3.13 that no time of a source invalidates."""


def deployed(build: Path) -> Iterator[File]:
    """The files of a release from the output of `sam build`. Raises ReleaseError if it is not complete."""
    folders = {path.name: path for path in sorted(build.iterdir()) if path.is_dir()}
    nested = {name for name, path in folders.items() if (path / _TEMPLATE).exists() and len(list(path.iterdir())) == 1}
    packed = folders.keys() - nested
    template = (build / _TEMPLATE).read_text()
    if (named := {name for _, name in _REFERENCE.findall(template)}) != packed:
        raise ReleaseError(
            f"the template in {build} names other folders than there are: {', '.join(sorted(named ^ packed))}. Delete"
            " .aws-sam and build it anew"
        )
    yield File(_TEMPLATE, _REFERENCE.sub(r"\1\2.zip", template).encode())
    for name in sorted(nested):
        yield File(f"{name}/{_TEMPLATE}", (folders[name] / _TEMPLATE).read_bytes())
    for name in sorted(packed):
        files = list(files_in(folders[name]))
        if name.endswith("Layer"):
            check_bytecode(name, {file.name: file.content for file in files})
        yield File(f"{name}.zip", zipped(files))


def check_bytecode(layer: str, files: Mapping[str, bytes]) -> None:
    """Raises ReleaseError if a module of the layer has no bytecode for Lambda's Python."""
    for name in files:
        folder, _, module = name.rpartition("/")
        if module.endswith(".py"):
            compiled = f"{folder}/__pycache__/{module.removesuffix('.py')}.cpython-313.pyc"
            if not files.get(compiled, b"").startswith(_BYTECODE):
                raise ReleaseError(
                    f"{layer} has no bytecode of CPython 3.13 for {name}, so each cold start would compile it. Delete"
                    " .aws-sam, install Python 3.13, and run: make release PYTHON=/path/to/python3.13"
                )
