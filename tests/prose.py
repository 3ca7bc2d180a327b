"""Finds sentence fragments in comments, docstrings and documents: `python tests/prose.py FOLDER…` lists them.

A fragment begins with one of the words below and is not a question, such as "What the batch came to." in place of
"The result of the batch.".
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from project import ROOT

BEGINNINGS = ("Of", "What", "Who", "Whoever", "Whether", "Which")

_C = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""", re.DOTALL
)
_SQL = re.compile(r"(?P<comment>/\*.*?\*/|--[^\n]*)|'(?:''|[^'])*'", re.DOTALL)
_YAML = re.compile(r"""(?P<comment>(?:^|(?<=\s))#[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:''|[^'\n])*'""", re.MULTILINE)
_MARKS = re.compile(r"^\s*(?:/\*+|\*/|//+|\*|--+|#+)?\s?|\s*\*+/$")
_DESCRIPTION = re.compile(r"\bDescription: *(?:>-?\s+)?(?P<text>\S[^\n]*)")


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of one comment, docstring, paragraph, list item or table cell, and its first line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class _Comment:
    line: int
    column: int
    text: str
    alone: bool
    """True if no code is on its line."""

    @property
    def place_below(self) -> tuple[int, int]:
        return self.line + 1, self.column


def fragments(path: Path) -> list[Passage]:
    return [passage for passage in passages(path) if _is_fragment(passage.text)]


def passages(path: Path) -> list[Passage]:
    """All texts of a file that a person reads. Raises KeyError for a kind of file that holds none."""
    return list(_READERS[path.suffix](path.read_text()))


def files(folder: Path) -> list[Path]:
    """The files below a folder, or the file itself, that have passages."""
    found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    return [path for path in found if path.is_file() and path.suffix in _READERS and "node_modules" not in path.parts]


def _is_fragment(text: str) -> bool:
    begins = re.match(rf"(?:{'|'.join(BEGINNINGS)})\b", text)
    sentence = re.match(r".*?[.?](?=\s|$)", text, re.DOTALL)
    return bool(begins) and not (sentence and sentence[0].endswith("?"))


def _python(source: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield Passage(node.lineno, text.strip())
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token for token in tokens if token.type == tokenize.COMMENT]
    yield from _joined([_Comment(*each.start, each.string, not each.line[: each.start[1]].strip()) for each in found])


def _commented(pattern: re.Pattern[str], source: str) -> Iterator[Passage]:
    comments = []
    for match in pattern.finditer(source):
        if text := match["comment"]:
            begin = source.rfind("\n", 0, match.start()) + 1
            line = source.count("\n", 0, match.start()) + 1
            alone = not source[begin : match.start()].strip()
            comments.append(_Comment(line, match.start() - begin, text, alone))
    yield from _joined(comments)


def _joined(comments: Sequence[_Comment]) -> Iterator[Passage]:
    """Lines of comments that stand alone, one below the other, are one passage."""
    blocks: list[list[_Comment]] = []
    for comment in comments:
        above = blocks[-1][-1] if blocks else None
        if above and above.alone and comment.alone and above.place_below == (comment.line, comment.column):
            blocks[-1].append(comment)
        else:
            blocks.append([comment])
    for block in blocks:
        lines = (line for comment in block for line in comment.text.splitlines())
        yield Passage(block[0].line, "\n".join(_MARKS.sub("", line) for line in lines).strip())


def _c(source: str) -> Iterator[Passage]:
    yield from _commented(_C, source)


def _sql(source: str) -> Iterator[Passage]:
    yield from _commented(_SQL, source)


def _yaml(source: str) -> Iterator[Passage]:
    yield from _commented(_YAML, source)
    for match in _DESCRIPTION.finditer(source):
        yield Passage(source.count("\n", 0, match.start()) + 1, match["text"].strip("\"' "))


def _markdown(source: str) -> Iterator[Passage]:
    fenced = False
    begun: Passage | None = None
    for number, line in enumerate(source.splitlines(), 1):
        text = line.strip()
        fence = text.startswith("```")
        fenced = fenced != fence
        if fence or fenced or not text or text.startswith(("|", "<!--", "#")):
            if begun:
                yield begun
            begun = None
        if fence or fenced or not text or text.startswith("<!--"):
            continue
        if text.startswith("|"):
            yield from (Passage(number, cell.strip(" *")) for cell in re.split(r"(?<!\\)\|", text.strip("|")))
        elif text.startswith("#"):
            yield Passage(number, text.lstrip("# "))
        elif marker := re.match(r"(?:[-*]|\d+\.)\s+", text):
            if begun:
                yield begun
            begun = Passage(number, text[marker.end() :].lstrip("*"))
        else:
            begun = Passage(begun.line, f"{begun.text}\n{text}") if begun else Passage(number, text.lstrip("*"))
    if begun:
        yield begun


_READERS = {
    ".py": _python,
    ".ts": _c,
    ".tsx": _c,
    ".c": _c,
    ".h": _c,
    ".wit": _c,
    ".sql": _sql,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".md": _markdown,
}


def main() -> None:
    found = [(path, fragments(path)) for folder in sys.argv[1:] for path in files(ROOT / folder)]
    for path, passages_ in found:
        for passage in passages_:
            print(f"{path.relative_to(ROOT)}:{passage.line}: {passage.text.splitlines()[0]}")
    print(f"{sum(len(passages_) for _, passages_ in found)} fragments in {len(found)} files")


if __name__ == "__main__":
    main()
