"""The library's rooms, which are the folders and files at its top, and the imports between them: `make structure`."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "layers" / "guildhook" / "guildhook"
EMBEDDED_STACK = Path(__file__).parents[1] / "local" / "guildhook_local"

Arrows = Mapping[str, frozenset[str]]
"""The rooms that each room imports from."""


def imports(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == LIBRARY.name:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def library_imports(folder: Path = LIBRARY) -> dict[str, set[str]]:
    """Imports by file, as paths below the library."""
    return {str(path.relative_to(LIBRARY)): set(imports(path)) for path in sorted(folder.rglob("*.py"))}


def arrows() -> Arrows:
    rooms: dict[str, set[str]] = {}
    for path, names in library_imports().items():
        room = _room(path.removesuffix(".py"), "/")
        if room == "__init__":
            continue
        found = rooms.setdefault(room, set())
        found |= {_room(name.removeprefix("guildhook."), ".") for name in names if name.startswith("guildhook.")}
    return {room: frozenset(found & rooms.keys() - {room}) for room, found in rooms.items()}


def layers(between: Arrows) -> list[list[str]]:
    """Rooms by their height, the lowest first: each imports from lower ones only. Raises ValueError for a circle."""
    placed: list[list[str]] = []
    left = dict(between)
    while left:
        layer = sorted(room for room, found in left.items() if not found & left.keys())
        if not layer:
            raise ValueError(f"these rooms import each other in a circle: {', '.join(sorted(left))}")
        placed.append(layer)
        left = {room: found for room, found in left.items() if room not in layer}
    return placed


def classes(folder: Path) -> Iterator[tuple[str, str]]:
    """The name and the file of each public class."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, f"{folder.name}/{path.relative_to(folder)}"


def aliases(folder: Path) -> Iterator[tuple[str, str]]:
    """The name and the file of each type alias and type variable at the top of a file."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name) and _is_type(target.id):
                yield target.id, f"{folder.name}/{path.relative_to(folder)}"


def _is_type(name: str) -> bool:
    return name[0].isupper() and not name.isupper()


def _room(path: str, separator: str) -> str:
    return path.split(separator, maxsplit=1)[0]


def main() -> None:
    between = arrows()
    for height, layer in reversed(list(enumerate(layers(between)))):
        for room in layer:
            print(f"{height}  {room:16} {', '.join(sorted(between[room])) or '-'}")
    print(f"{len(between)} rooms, {sum(map(len, between.values()))} arrows, no circle")


if __name__ == "__main__":
    main()
