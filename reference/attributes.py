"""The docstrings of attributes, which Python itself does not keep: texts that follow an assignment in the source."""

import ast
import inspect
from itertools import pairwise
from types import ModuleType


def described_attributes(owner: type | ModuleType) -> dict[str, str]:
    """Return the docstrings of the attributes of a class, with those of its bases, or of a module, by name."""
    if isinstance(owner, ModuleType):
        return _described(ast.parse(inspect.getsource(owner)).body)
    described: dict[str, str] = {}
    for base in reversed([base for base in owner.__mro__ if base.__module__ != "builtins"]):
        for statement in ast.parse(inspect.getsource(base)).body:
            if isinstance(statement, ast.ClassDef):
                described |= _described(statement.body)
    return described


def _described(statements: list[ast.stmt]) -> dict[str, str]:
    described = {}
    for statement, following in pairwise(statements):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                described[name] = inspect.cleandoc(text)
    return described
