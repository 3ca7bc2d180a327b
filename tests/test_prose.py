"""Comments, docstrings and documents consist of sentences, as CONTRIBUTING.md asks."""

import pytest

import prose
from project import ROOT

CHECKED = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "bench",
    "docs",
    "functions",
    "infra",
    "layers",
    "local",
    "plugins",
    "reference",
    "template.yaml",
    "tests",
    "wasi",
    "web",
    "wit",
]
"""All folders and documents but the migrations: a released migration is never edited."""

FILES = sorted({path for name in CHECKED for path in prose.files(ROOT / name)})

PYTHON = '''
"""Of a module."""


def handle(batch):
    """Handles the batch."""
    first = 1  # what follows in lower case is no sentence and begins with no capital
    # Whether it is the last one:
    # a second line of the same comment.
    second = 2  # Which one?
    return first + second


RETRIES = 3
"""Who tries again."""
'''
C = """
/* What the guest sees. */
int a; // Of the host
const char *url = "https://example.org"; // A comment
/*
 * Whoever calls this
 */
"""
SQL = """
-- Of the guild
SELECT '-- What is quoted is no comment';
"""
YAML = """
# Whether it is on
key: "# What is quoted is no comment"
Description: >-
  Of the functions
"""
MARKDOWN = """
# What it costs

Why is it so? What a question.
What continues a paragraph begins nothing.

- Of the list
- A point

What is asked is a question, is it not?

| Who | A cell |
| --- | --- |

```
What is code is not read.
```
"""


@pytest.mark.parametrize(
    ("name", "source", "lines"),
    [
        ("a.py", PYTHON, [2, 8, 15]),
        ("a.c", C, [2, 3, 5]),
        ("a.ts", C, [2, 3, 5]),
        ("a.sql", SQL, [2]),
        ("a.yaml", YAML, [2, 4]),
        ("a.md", MARKDOWN, [2, 7, 12]),
    ],
)
def test_fragments_are_found_in_every_kind_of_file(tmp_path, name, source, lines):
    path = tmp_path / name
    path.write_text(source)
    assert sorted(passage.line for passage in prose.fragments(path)) == lines


def test_the_files_that_are_checked_are_there():
    assert len(FILES) > 90


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_passage_begins_as_a_fragment(path):
    found = [f"{passage.line}: {passage.text.splitlines()[0]}" for passage in prose.fragments(path)]
    assert not found, "begin it with its subject"
