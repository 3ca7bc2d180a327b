"""The list of the reference pages."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from reference import api, command_line, configuration, contract, limits, metrics

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "command-line": command_line.page,
    "configuration": configuration.page,
    "limits": limits.page,
    "contract": contract.page,
    "api": api.page,
    "metrics": metrics.page,
}
"""Functions that return the Markdown of a page, by the page's name."""
