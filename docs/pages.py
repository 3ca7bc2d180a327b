"""The site's extension of Sphinx: where a page's file lies, and links that only a forge can follow.

The files are read where they lie, so that their links hold in the repository, on a forge and on the site alike. Only
the names of the pages differ: README.md is the site's first page, and the pages of docs/ lie at its top.
"""

from collections.abc import Mapping
from fnmatch import fnmatch
from os import PathLike
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.project import Project


class Site(Project):
    """The pages of the site, by their names there instead of by the paths of their files."""

    pages: Mapping[str, str]
    """Names of the pages whose files lie outside of docs/, by path."""

    def path2doc(self, filename: str | PathLike[str]) -> str | None:
        path = super().path2doc(filename)
        if not path:
            return None
        name = self.pages.get(f"{path}.md", path.removeprefix("docs/"))
        return f"{name.removesuffix('README')}index" if name.endswith("/README") else name


def name_pages(app: Sphinx) -> None:
    site = Site(app.srcdir, app.config.source_suffix)
    site.pages = app.config.pages
    app.project = app.env.project = site


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the lists of pages to the first page, so that README.md itself has no Sphinx in it."""
    if fnmatch(page, app.config.records):
        app.env.metadata[page]["orphan"] = ""
    if page == app.config.root_doc:
        for caption, pages in app.config.navigation.items():
            listed = "\n".join(f"/{name}" for name in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n"


def unlink_folders(app: Sphinx, page: nodes.document) -> None:
    """Show links to folders of the repository as text: a forge lists a folder, and the site has no page of one."""
    folder = Path(app.env.doc2path(app.env.current_document.docname)).parent
    for reference in list(page.findall(pending_xref)):
        is_page = reference["refdomain"] == "doc"
        if not is_page and folder.joinpath(reference["reftarget"]).is_dir():
            reference.replace_self(reference.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("pages", {}, "env")
    app.add_config_value("navigation", {}, "env")
    app.add_config_value("records", "", "env")
    app.connect("builder-inited", name_pages)
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", unlink_folders)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
