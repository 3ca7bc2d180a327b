"""Idempotency keys: a repeated request creates nothing a second time."""

from uuid import UUID, uuid4, uuid5

from guildhook.admin.problems import ProblemError
from guildhook.admin.tokens import Actor


def new_id(actor: Actor, parent_id: UUID, key: str | None) -> UUID:
    """The id of a resource that is created below another one: always the same for an actor's key, else random."""
    return uuid4() if key is None else uuid5(parent_id, f"{actor.id}/{key}")


def key_used(for_what: str) -> ProblemError:
    return ProblemError("key-used", f"the Idempotency-Key was used for {for_what}; take another one")
