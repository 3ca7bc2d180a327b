"""Tests the output of `sam build`, if it was built from these sources."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from infra.lambdas_python import find_lambdas_python
from infra.templates import read_template
from project import ROOT
from requirement import skipped_without
from sam_local.sam import DockerMissingError

BUILD = ROOT / ".aws-sam" / "build"
MOST_BYTES = 130 * 1000 * 1000
"""The limit of both layers, unpacked. Lambda allows 250 MiB together with the function."""
OWN = {"app.py", "function.py"}
FUNCTIONS = [name for name, each in read_template()["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
LIBRARY = ROOT / "layers" / "guildhook" / "guildhook"
IMPORTS = '''
import ast, importlib, pkgutil, sys
from pathlib import Path

class ThisPython(ast.NodeTransformer):
    """Leaves out the branches for other Pythons."""

    def visit_If(self, node):
        self.generic_visit(node)
        if ast.unparse(node.test).startswith("sys.version_info"):
            return node.body if eval(ast.unparse(node.test)) else node.orelse
        return node

def import_all(name):
    module = importlib.import_module(name)
    for node in ast.walk(ThisPython().visit(ast.parse(Path(module.__file__).read_text()))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            package = importlib.import_module(node.module)
            for alias in node.names:
                hasattr(package, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")

sys.path[:0] = sys.argv[1:3]
assert not [folder for folder in sys.path if folder.endswith("-packages")]
import guildhook
for module in ("guildhook", *(each.name for each in pkgutil.walk_packages(guildhook.__path__, "guildhook."))):
    import_all(module)
    print(module)
for folder in sys.argv[3:]:
    sys.path.insert(0, folder)
    import_all("function")
    assert sys.modules.pop("function").__file__.startswith(folder)
    sys.path.remove(folder)
'''
"""Imports every module of the library and of the functions, and what they import inside of functions. Takes the folders
of both layers, and then those of the functions."""
MACHINES = {"DependenciesLayer": ("x86_64", 62), "DependenciesArmLayer": ("aarch64", 183)}
"""Architecture, and its number in an ELF header."""


def is_current() -> bool:
    return subprocess.run(["make", "--question", ".aws-sam/stamp"], cwd=ROOT, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    os.environ.get("GUILDHOOK_DOCKER") != "required" and not is_current(),
    reason="there is no build of these sources: run `make sam`",
)


def files(folder: Path) -> set[str]:
    """The files of a folder, without bytecode."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("layer", MACHINES)
def test_the_layers_are_small(layer):
    assert 0 < size(BUILD / layer) + size(BUILD / "GuildhookLayer") < MOST_BYTES


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_has_the_locked_packages_and_nothing_else(layer):
    lock = (ROOT / "requirements" / "layers.txt").read_text()
    locked = re.findall(r"^([\w.-]+)==([^ ]+)", lock, re.MULTILINE)
    built = [path.name.removesuffix(".dist-info").split("-") for path in (BUILD / layer / "python").glob("*.dist-info")]
    assert sorted((canonicalize_name(name), version) for name, version in built) == sorted(locked)


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_has_no_commands_which_would_name_the_python_that_installed_them(layer):
    assert not (BUILD / layer / "python" / "bin").exists()
    records = list((BUILD / layer / "python").glob("*.dist-info/RECORD"))
    assert records
    # The digest of a command that names its Python would differ from checkout to checkout.
    assert [path for path in records if "/bin/" in path.read_text()] == []


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_is_for_its_architecture_and_python(layer):
    architecture, number = MACHINES[layer]
    libraries = [path for path in (BUILD / layer).rglob("*.so*") if path.is_file()]
    assert libraries
    for path in libraries:
        (machine,) = struct.unpack_from("<H", path.read_bytes(), 18)
        assert machine == number, path
        assert f"cpython-313-{architecture}" in path.name or "cpython" not in path.name, path


def test_the_librarys_layer_has_the_library_and_nothing_else():
    assert [path.name for path in (BUILD / "GuildhookLayer").iterdir()] == ["python"]
    assert [path.name for path in (BUILD / "GuildhookLayer" / "python").iterdir()] == ["guildhook"]
    source = ROOT / "layers" / "guildhook" / "guildhook"
    built = BUILD / "GuildhookLayer" / "python" / "guildhook"
    assert files(built) == files(source)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        ("OnMessage", OWN),
        ("CompilePlugin", OWN),
        ("Sweep", OWN),
        *(
            (function, {*OWN, *(f"page/{name}" for name in files(ROOT / "functions" / "admin_api" / "page"))})
            for function in ("AdminApi", "AdminPage", "OperatorApi")
        ),
        ("TestRun", OWN),
        ("DeploySteps", OWN),
        ("OnMessageSource", {*OWN, "template.yaml"}),
        ("AccountPreflight", OWN),
        ("NetworkPreflight", OWN),
        ("Erase", OWN),
        (
            "Migrate",
            {*OWN, *(f"migrations/{path.name}" for path in (ROOT / "migrations").glob("*.sql"))},
        ),
    ],
)
def test_a_function_is_its_own_files_alone(function, wanted):
    assert files(BUILD / function) == wanted


def test_the_page_is_built_from_these_sources():
    sources = subprocess.run([sys.executable, ROOT / "web" / "page_sources.py"], check=True, capture_output=True)
    assert (BUILD / "AdminApi" / "page" / "sources.sha256").read_bytes() == sources.stdout


def test_every_module_of_every_function_imports_from_the_layers_alone_on_lambdas_python():
    with skipped_without(DockerMissingError, "GUILDHOOK_DOCKER"):
        python = find_lambdas_python(BUILD)
    (dependencies,) = [layer for layer, (machine, _) in MACHINES.items() if machine == python.machine]
    folders = (f"{dependencies}/python", "GuildhookLayer/python", *FUNCTIONS)
    done = python.run(IMPORTS, *(python.folder / folder for folder in folders))
    assert done.returncode == 0, done.stderr
    modules = {str(path.relative_to(LIBRARY.parent).with_suffix("")) for path in LIBRARY.rglob("*.py")}
    assert set(done.stdout.split()) == {path.removesuffix("/__init__").replace("/", ".") for path in modules}
