"""The fenced blocks of the documents, and the documents themselves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from project import ROOT

DOCUMENTS = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "tests" / "hostile" / "README.md",
)

_FENCE = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    document: Path
    line: int
    """The number of the line that opens the block."""
    language: str
    markers: tuple[str, ...]
    """The words behind the language in the line that opens the block."""
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    lines = iter(enumerate(document.read_text().splitlines(), start=1))
    for number, line in lines:
        if opened := _FENCE.match(line):
            indent, (language, *markers) = opened[1], opened[2].split() or [""]
            content = []
            for _, inner in lines:
                if inner == f"{indent}```":
                    break
                content.append(f"{inner.removeprefix(indent)}\n")
            else:
                raise ValueError(f"{document}:{number}: the block is not closed")
            yield Block(document, number, language, tuple(markers), "".join(content))


def all_blocks() -> list[Block]:
    return [block for document in DOCUMENTS for block in blocks(document)]
