"""Entity tags, which are the revisions of stored records."""

import re
from typing import Final

_ETAG: Final = re.compile(r'"([0-9]{1,18})"')


def etag_of(revision: int) -> str:
    return f'"{revision}"'


def revision_of(etag: str) -> int | None:
    """The revision, or None if the text is not an entity tag of this API."""
    found = _ETAG.fullmatch(etag.strip())
    return int(found[1]) if found else None
