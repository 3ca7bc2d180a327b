"""The reference pages in docs/reference are up to date with the source."""

import pytest

from reference.pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_that_of_the_source(name):
    assert (FOLDER / f"{name}.md").read_text() == PAGES[name](), "run `make reference`"


def test_the_folder_has_no_other_page():
    assert {path.stem for path in FOLDER.iterdir()} == set(PAGES)
