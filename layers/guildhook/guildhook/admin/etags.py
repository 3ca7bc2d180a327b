"""Entity tags, which are the revisions of stored records, and the condition of If-Match (RFC 9110)."""

import re
from typing import Final

from guildhook.admin.problems import ProblemError

_ANY: Final = "*"
_WEAK: Final = "W/"
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# A list may have empty elements (RFC 9110, 5.6.1.2).
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_REVISION: Final = re.compile(r"[1-9][0-9]{0,17}")
"""The first revision of a resource is 1."""
_SHOWN_CHARS: Final = 100


def etag_of(revision: int) -> str:
    return f'"{revision}"'


def check_condition(if_match: str, revision: int) -> None:
    """Raises ProblemError unless If-Match has the entity tag of this revision, which is the current one.

    `*` is true of every revision, and is refused: a change applies to a revision that the client has read.
    """
    if if_match.strip() == _ANY:
        raise ProblemError(
            "condition-missing",
            "If-Match is *, which holds for every revision; send the entity tag of the resource that you read",
        )
    if not _LIST.fullmatch(if_match):
        raise ProblemError(
            "malformed",
            f"If-Match is no list of entity tags: {if_match[:_SHOWN_CHARS]}; "
            f"send the tag with its quotation marks, such as {etag_of(1)}",
        )
    tags = re.findall(_TAG, if_match)
    if etag_of(revision) in tags:
        return
    if f"W/{etag_of(revision)}" in tags:
        raise ProblemError(
            "condition-failed",
            f"W/{etag_of(revision)} in If-Match is a weak entity tag, which never matches, and can come from a proxy "
            f"that compresses; send it without W/, as `etag` in the body has it",
        )
    revisions = [
        int(text) for text in (tag.removeprefix(_WEAK).strip('"') for tag in tags) if _REVISION.fullmatch(text)
    ]
    if not any(read < revision for read in revisions):
        raise ProblemError(
            "condition-failed",
            f"If-Match has no entity tag of this resource: {if_match[:_SHOWN_CHARS]}; read it and send its tag",
        )
    raise changed_meanwhile()


def is_fresh(if_none_match: str, etag: str) -> bool:
    """True if If-None-Match has the entity tag, also in its weak or its strong form, or is `*` (RFC 9110, 13.1.2)."""
    if if_none_match.strip() == _ANY:
        return True
    strong = etag.removeprefix(_WEAK)
    return any(tag.removeprefix(_WEAK) == strong for tag in re.findall(_TAG, if_none_match))


def changed_meanwhile() -> ProblemError:
    return ProblemError(
        "changed-meanwhile", "the resource has changed since the version that If-Match names; read it again"
    )
