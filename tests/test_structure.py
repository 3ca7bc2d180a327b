"""What the architecture promises about the source tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "layers" / "guildhook" / "guildhook"
PARTS = ("sandbox", "modules", "store", "chat")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def library_imports(folder: Path) -> dict[str, set[str]]:
    found = {str(path.relative_to(LIBRARY)): set(imports(path)) for path in sorted(folder.rglob("*.py"))}
    assert found
    return found


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_do_not_know_each_other_nor_what_is_above_them(part):
    allowed = {f"guildhook.{name}" for name in ("model", "errors", "sqs", "aws", "secret", "answers")}
    for path, names in library_imports(LIBRARY / part).items():
        ours = {name for name in names if name.split(".")[0] in ("guildhook", "guildhook_local")}
        assert {name for name in ours if name.split(".")[1] != part} <= allowed, path


@pytest.mark.parametrize(
    ("package", "parts"),
    [
        ("wasmtime", {"sandbox"}),
        ("psycopg", {"store"}),
        ("boto3", {"modules", "sqs.py"}),
        ("botocore", {"modules", "store", "sqs.py", "aws.py", "lambda_functions.py"}),
        ("urllib3", {"admin", "answers.py", "chat", "modules", "aws.py", "cloudformation.py", "lambda_functions.py"}),
        ("jwt", {"admin"}),
        ("aws_lambda_powertools", {"admin", "observability", "secret.py"}),
        ("pydantic", {"admin"}),
    ],
)
def test_each_package_is_used_where_it_belongs(package, parts):
    users = {path for path, names in library_imports(LIBRARY).items() if package in {n.split(".")[0] for n in names}}
    assert {Path(path).parts[0] for path in users} == parts


def test_the_library_does_not_know_the_embedded_stack():
    assert not any("guildhook_local" in name for names in library_imports(LIBRARY).values() for name in names)
