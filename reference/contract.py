"""The reference of the contract between host and plugins, from wit/plugin.wit and its comments."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reference.markdown import code, whole_page

WIT: Final = Path(__file__).parents[1] / "wit" / "plugin.wit"


def page() -> str:
    return page_of(WIT.read_text())


def page_of(wit: str) -> str:
    """Return the page of a contract. Raises ValueError for a declaration that it does not know."""
    (package,) = re.findall(r"^package (\S+);", wit, re.MULTILINE)
    intro = (
        f"The package {code(package)} is in [`wit/plugin.wit`](../../wit/plugin.wit). A plugin has the exports "
        "of its world, and imports the interfaces that it needs. [Writing a plugin](../plugins.md) describes how to "
        "build one."
    )
    return whole_page("Contract", intro, *_parts(wit.splitlines()))


def _parts(lines: list[str]) -> Iterator[str]:
    """Turn declarations into headings and blocks, and the comments above them into text."""
    comment: list[str] = []
    imports: list[str] = []
    for line in map(str.strip, lines):
        if line.startswith("///"):
            comment.append(line.removeprefix("///").removeprefix(" "))
        elif opened := re.fullmatch(r"(interface|world) (\S+) \{", line):
            yield f"## {opened[1]} {opened[2]}"
            yield "\n".join(comment)
            comment = []
        elif imported := re.fullmatch(r"import (\S+);", line):
            imports.append(code(imported[1]))
        elif declared := re.fullmatch(r"(?:export )?(\S+): (func.*);", line):
            if imports:
                yield f"It imports {', '.join(imports[:-1])} and {imports[-1]}."
                imports = []
            yield f"### {declared[1]}"
            yield f"```text\n{line}\n```"
            yield "\n".join(comment)
            comment = []
        elif line and line != "}" and not line.startswith("package "):
            raise ValueError(f"the declaration {line!r} has no place on the page; extend reference/contract.py")
