import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, Page

from browser.browsing import BrowserMissingError, Complaints, check_what_is_needed, enter, opened_page
from guildhook_local.issuer import Person
from guildhook_local.serve import Served, serving
from guildhook_local.stack import LocalGuild
from requirement import skipped_without


@pytest.fixture(scope="session")
def browser(browser: Browser) -> Browser:
    """The browser, if the pages are built as well."""
    with skipped_without(BrowserMissingError, "GUILDHOOK_BROWSER"):
        check_what_is_needed()
    return browser


@pytest.fixture(scope="session")
def served(browser: Browser) -> Iterator[Served]:
    """The whole system, with the sample guilds and a day of theirs. All tests of a process share it."""
    # Functions print their log.
    with redirect_stdout(io.StringIO()), serving("127.0.0.1") as served:
        yield served


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """A complaint of a page fails the test, unless the test has announced it with `complaints.expect`."""
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def open_page(
    browser: Browser, served: Served, complaints: Complaints, steady_network: None
) -> Iterator[Callable[..., Page]]:
    """Opens a page in a context of its own, which has opened the printed link, and in which nobody is signed in;
    options are the context's.
    """
    with ExitStack() as pages:

        def open_page(**options: object) -> Page:
            page = pages.enter_context(opened_page(browser, complaints, **options))
            enter(page, served)
            return page

        yield open_page


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@dataclass(frozen=True, slots=True)
class OwnGuild:
    """A guild that no other test touches."""

    id: UUID
    name: str
    channel_id: UUID
    admin_id: UUID
    admin: str
    """Whom to sign in as."""


@pytest.fixture
def own_guild(served: Served) -> OwnGuild:
    """A new guild without plugins. Its admin manages no other guild."""
    word = uuid4().hex[:8]
    guild, admin_id = LocalGuild(), uuid4()
    own = OwnGuild(guild.id, f"Guild {word}", guild.channel_id, admin_id, f"Dana {word}")
    served.system.add_guild(guild, own.name)
    served.system.chat.add_person(admin_id, Person(own.admin))
    served.system.chat.add_member(own.id, admin_id, {"MANAGE_GUILD"})
    return own
