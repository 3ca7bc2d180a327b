"""Configuration of the documentation site: `make docs` builds it with Sphinx from the repository's Markdown files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "guildhook"
author = "the authors of guildhook"

# Files outside of docs/ that have a page, and its name. All other pages are the files in docs/.
pages = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security-policy",
    "CHANGELOG.md": "changelog",
    "tests/hostile/README.md": "hostile-plugins",
}
# The lists of pages at the side, by their captions. The build refuses a page that is in no list.
navigation = {
    "Try it": ["local"],
    "Guild admins and plugin authors": ["plugins", "api"],
    "Operators": [
        "deployment",
        "first-deploy",
        "configuration",
        "upgrades",
        "observability",
        "runbooks",
        "restore",
        "privacy",
        "scaling",
    ],
    "Developers of a chat server": ["chat-api"],
    "How it works": [
        "architecture",
        "glossary",
        "reliability",
        "security",
        "performance",
        "decisions/index",
    ],
    "Reference": ["reference/*"],
    "Contributors": ["contributing", "hostile-plugins", "security-policy", "changelog"],
}
# Pages that a table of docs/decisions/README.md lists, and not the side of every page.
records = "decisions/[0-9]*"

root_doc = "index"
include_patterns = [*pages, "docs/**"]
exclude_patterns = [".*", "bench", "functions", "layers", "local", "site", "web"]
extensions = ["myst_parser", "pages"]
nitpicky = True
# Headings have the anchors that a forge gives them.
myst_heading_anchors = 6

html_theme = "furo"
html_title = "guildhook"
html_favicon = "../web/src/icon.svg"
html_use_index = False
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
