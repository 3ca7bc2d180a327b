"""Reads SQL statements from files that psql takes as they are.

A statement begins with its name, and with the privileges that it needs, written as in GRANT:

    -- name: forget_audit
    -- grant: SELECT, DELETE ON plugin_audit
    DELETE FROM plugin_audit WHERE id = :'id';

A parameter is a psql variable, quoted by psql: :'id'. A line with nothing but a comment is not sent to Postgres.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_GRANT: Final = re.compile(r"^-- grant: (.+) ON (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^ *--.*\n", re.MULTILINE)
_VARIABLE: Final = re.compile(r":'(\w+)'")


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    """The statement as psql takes it, with its comments."""
    query: bytes
    """The statement as psycopg takes it."""

    @property
    def privileges(self) -> Mapping[str, str]:
        """The privileges that it needs, by table."""
        return {table: privileges for privileges, table in _GRANT.findall(self.text)}


def read_statements(*files: str) -> Mapping[str, Statement]:
    """Read files of this folder. Returns their statements by name. Raises ValueError as `parse_statements` does."""
    return parse_statements("".join((_FOLDER / file).read_text("utf-8") for file in files))


def parse_statements(text: str) -> Mapping[str, Statement]:
    """Return the statements of a text by name. Raises ValueError if two have the same name."""
    _, *parts = _NAME.split(text)
    names, texts = parts[::2], parts[1::2]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two statements have the name {', '.join(duplicates)}; choose another for one of them")
    return {name: Statement(text, _query(text)) for name, text in zip(names, texts, strict=True)}


def _query(text: str) -> bytes:
    return _VARIABLE.sub(r"%(\1)s", _COMMENT.sub("", text).replace("%", "%%")).strip().encode()
