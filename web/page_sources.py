"""Prints the digest of the admin page's sources: the names and contents of all files that its build reads.

`make page` records it in the built page. Times of files do not tell which sources a page was built from: a checkout of
another version removes files, and an archive sets any time.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

WEB = Path(__file__).parent
FILES = (
    "index.html",
    "api.html",
    "openapi.json",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "../docs/plugins.md",
)
GENERATED = WEB / "src" / "api" / "schema.d.ts"


def sources() -> Iterator[Path]:
    yield from (WEB / name for name in FILES)
    yield from sorted(path for path in (WEB / "src").rglob("*") if path.is_file() and path != GENERATED)


def digest() -> str:
    names_and_contents = sha256()
    for path in sources():
        content = sha256(path.read_bytes()).hexdigest()
        names_and_contents.update(f"{path.relative_to(WEB).as_posix()} {content}\n".encode())
    return names_and_contents.hexdigest()


if __name__ == "__main__":
    print(digest())
