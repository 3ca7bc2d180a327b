"""The Markdown of which the reference pages consist."""

import textwrap
from collections.abc import Iterable, Sequence

NOTE = "<!-- This page is made from the source by `make reference`. Edit the source instead. -->"


def whole_page(title: str, *parts: str) -> str:
    """Return a page: the title, a note that the page is generated, and its parts with blank lines between them."""
    return "\n\n".join([f"# {title}", NOTE, *map(_wrapped, filter(None, parts))]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or an empty text if it has no rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *lines]) if lines else ""


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """Return the text with a full stop at its end."""
    return text if not text or text.endswith((".", ":", "!", "?")) else f"{text}."


def amount(name: str, value: float) -> str:
    """Return a number with separators, and bytes also in KiB, MiB or GiB. The unit is in the name."""
    text = f"{value:,}"
    if "bytes" in name.lower():
        for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if value >= size and value % size == 0:
                return f"{text} ({int(value // size):,} {unit})"
    return text


def _wrapped(part: str) -> str:
    is_prose = not part.startswith(("#", "|", "```", "<!--"))
    return "\n\n".join(map(_filled, part.split("\n\n"))) if is_prose else part


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, width=120, break_long_words=False, break_on_hyphens=False)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
