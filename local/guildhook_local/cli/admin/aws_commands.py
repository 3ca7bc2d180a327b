"""The commands of `guildhook admin` that use the operator's own rights in AWS, and no database."""

from collections.abc import Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from guildhook_local.cli.admin.commands import WithReason, admin
from guildhook_local.cli.admin.session import OperatorSession
from guildhook_local.cli.admin.tables import put_object
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.streams import note, put_json
from guildhook_local.cli.visible_text import visible
from guildhook_local.cli.whole_help import WholeHelpCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guildhook_local.cli.admin.aws_stack import AwsStack

StackName = Annotated[str, typer.Option("--stack", metavar="NAME", help="The stack in CloudFormation.")]
EventQueue = Annotated[
    str | None,
    typer.Option(
        "--queue",
        metavar="URL",
        show_default=False,
        help="The queue of events, instead of the resource Events.",
    ),
]


@admin.command(cls=WholeHelpCommand)
def pause_all(
    context: typer.Context,
    reason: WithReason,
    stack: StackName = "guildhook",
    queue: EventQueue = None,
    as_json: AsJson = False,
) -> None:
    """Stop processing: events wait in the queue, for up to fourteen days, and use up no receives.

    It disables the queue's event source mapping with your rights in AWS. Batches that are under way end first.
    """
    _switch(context, stack, queue, enabled=False, reason=reason, as_json=as_json)


@admin.command(cls=WholeHelpCommand)
def resume_all(
    context: typer.Context,
    reason: WithReason,
    stack: StackName = "guildhook",
    queue: EventQueue = None,
    as_json: AsJson = False,
) -> None:
    """Go on with processing."""
    _switch(context, stack, queue, enabled=True, reason=reason, as_json=as_json)


@admin.command(cls=WholeHelpCommand)
def requeue(
    context: typer.Context,
    reason: WithReason,
    guild: Annotated[
        list[UUID] | None, typer.Option(metavar="ID", show_default=False, help="Only of this guild. Repeatable.")
    ] = None,
    sent_after: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Only events that were sent later.")
    ] = None,
    sent_before: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Only events that were sent earlier.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Move so many at the most.")] = 100_000,
    per_second: Annotated[int, typer.Option(metavar="N", min=1, max=1_000, help="Move so many in a second.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and move nothing.")] = False,
    stack: StackName = "guildhook",
    queue: EventQueue = None,
    dead_letters: Annotated[
        str | None,
        typer.Option(metavar="URL", show_default=False, help="The dead letters, instead of the resource DeadLetters."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move dead letters back into the queue: all, or those of a filter.

    It uses your rights in AWS, and needs no database. It can be interrupted and started again: an event that was moved
    twice is handled once. Events that are not wanted stay dead letters; they are hidden for up to ten minutes.
    """
    from guildhook_local.cli.admin.dead_letters import DeadLetterFilter, DeadLetters  # noqa: PLC0415

    wanted = DeadLetterFilter(
        guilds=frozenset(map(str, guild or ())),
        sent_after=_time("--sent-after", sent_after),
        sent_before=_time("--sent-before", sent_before),
    )
    session: OperatorSession = context.obj
    with _asking_aws():
        aws = _stack(session, stack)
        letters = DeadLetters(
            aws.client("sqs"), aws.queue_url("DeadLetters", dead_letters), aws.queue_url("Events", queue)
        )
        moved = letters.count(wanted, limit) if dry_run else letters.requeue(wanted, limit, per_second)
    result = {"moved": 0 if dry_run else moved.matching, "matching": moved.matching, "others": moved.others}
    if not dry_run:
        result |= _noted(session, "dead_letters.requeued", reason, moved.matching)
    _show(result, as_json)


def _switch(
    context: typer.Context, stack: str, queue: str | None, *, enabled: bool, reason: str, as_json: bool
) -> None:
    session: OperatorSession = context.obj
    with _asking_aws():
        aws = _stack(session, stack)
        mapping = aws.mapping_of(aws.queue_url("Events", queue))
        state = aws.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=enabled)["State"]
    action = "processing.resumed" if enabled else "processing.paused"
    _show({"mapping": mapping, "enabled": enabled, "state": state, **_noted(session, action, reason)}, as_json)


def _stack(session: OperatorSession, name: str) -> "AwsStack":
    # Only here: boto3 takes long to import.
    from guildhook_local.cli.admin.aws_stack import AwsStack  # noqa: PLC0415

    return AwsStack(session.environment, name)


@contextmanager
def _asking_aws() -> "Iterator[None]":
    """Turn errors of AWS into an ending of the command."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CommandError(ExitStatus.UNAVAILABLE, f"AWS: {error}") from None


def _noted(session: OperatorSession, action: str, reason: str, events: int | None = None) -> dict[str, bool]:
    """Note the change in the audit log if that is possible: it was made, whether or not the admin API answers."""
    why = "GUILDHOOK_ADMIN_URL and GUILDHOOK_ADMIN_TOKEN are not both set"
    if session.can_ask:
        try:
            session.client().post("/audit", action=action, reason=reason, events=events)
        except CommandError as error:
            why = str(error)
        else:
            return {"noted": True}
    note(f"The change is not in the audit log: {visible(why)}. CloudTrail has it.")
    return {"noted": False}


def _time(option: str, text: str | None) -> datetime | None:
    """Raises CommandError."""
    if text is None:
        return None
    with suppress(ValueError):
        time = datetime.fromisoformat(text)
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    raise CommandError(ExitStatus.USAGE, f"{option}: {text} is not a time such as 2026-12-24T18:00:00Z")


def _show(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        put_json(result)
    else:
        put_object(result)
