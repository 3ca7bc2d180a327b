"""The commands of `guildhook admin` that ask the admin API."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from guildhook_local.cli.admin.session import OperatorSession
from guildhook_local.cli.admin.tables import put_object, put_rows
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.streams import flush, note, put, put_json
from guildhook_local.cli.visible_text import visible
from guildhook_local.cli.whole_help import WholeHelpCommand

_POLL_SECONDS: Final = 2

GuildId = Annotated[UUID, typer.Argument(metavar="GUILD", show_default=False)]
PluginId = Annotated[UUID, typer.Argument(metavar="PLUGIN", show_default=False)]
OfGuild = Annotated[UUID | None, typer.Option("--guild", metavar="ID", show_default=False, help="Only of this guild.")]
WithReason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", show_default=False, help="The reason, for the guild's audit log.")
]
Most = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Show so many at the most.")]
WithinHours = Annotated[int, typer.Option("--hours", metavar="N", min=1, max=720, help="The last hours.")]

admin = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@admin.callback()
def levers(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", show_default=False, help="The admin API, instead of GUILDHOOK_ADMIN_URL."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            show_default=False,
            help="File with an operator's access token, instead of GUILDHOOK_ADMIN_TOKEN; - is standard input.",
        ),
    ] = None,
) -> None:
    """Act on all guilds as an operator of the installation.

    An operator has an access token of the identity provider, for the audience OperatorAudience. Every change needs a
    reason, which the guild's audit log shows to its admins.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitStatus.USAGE)
    context.obj = OperatorSession(context.obj, url, token_file)


@admin.command(cls=WholeHelpCommand)
def guilds(
    context: typer.Context,
    over_hours: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=720, show_default=False, help="Only guilds over their budget in N hours."),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Only paused guilds.")] = False,
    limit: Most = 50,
    as_json: AsJson = False,
) -> None:
    """List the guilds that have plugins, with their counts."""
    found = _client(context).items("/guilds", limit, over_hours=over_hours, paused=paused)
    columns = ("id", "plugins", "enabled", "disabled_by_operator", "quarantined", "paused", "raised", "over_budget_at")
    _show_list(({**each, "over_budget_at": each["budget"]["over_at"]} for each in found), limit, columns, as_json)


@admin.command(cls=WholeHelpCommand)
def guild(context: typer.Context, guild_id: GuildId, as_json: AsJson = False) -> None:
    """Show a guild's counts, its budget and its pause."""
    _show(_client(context).get(f"/guilds/{guild_id}"), as_json)


@admin.command(cls=WholeHelpCommand)
def plugins(context: typer.Context, guild_id: OfGuild = None, limit: Most = 50, as_json: AsJson = False) -> None:
    """List the plugins of a guild, or of all guilds."""
    found = _client(context).items("/plugins", limit, guild_id=guild_id)
    _show_list(found, limit, _PLUGIN_COLUMNS, as_json)


@admin.command(cls=WholeHelpCommand)
def plugin(context: typer.Context, plugin_id: PluginId, as_json: AsJson = False) -> None:
    """Show a plugin without its settings."""
    _show(_client(context).get(f"/plugins/{plugin_id}"), as_json)


@admin.command(cls=WholeHelpCommand)
def disable(context: typer.Context, plugin_id: PluginId, reason: WithReason, as_json: AsJson = False) -> None:
    """Let no version of a plugin run, whatever its admins choose. It never gets the messages of that time."""
    _show(_client(context).post(f"/plugins/{plugin_id}/disable", reason=reason), as_json)


@admin.command(cls=WholeHelpCommand)
def enable(context: typer.Context, plugin_id: PluginId, reason: WithReason, as_json: AsJson = False) -> None:
    """Let a plugin run again that an operator has disabled."""
    _show(_client(context).post(f"/plugins/{plugin_id}/enable", reason=reason), as_json)


@admin.command(cls=WholeHelpCommand)
def quarantine(
    context: typer.Context,
    plugin_id: PluginId,
    reason: WithReason,
    minutes: Annotated[
        int, typer.Option(metavar="N", min=1, max=43_200, help="Minutes after which one run is tried.")
    ] = 1_440,
    as_json: AsJson = False,
) -> None:
    """Quarantine the live version of a plugin. Its admins can end it."""
    _show(_client(context).post(f"/plugins/{plugin_id}/quarantine", reason=reason, minutes=minutes), as_json)


@admin.command(cls=WholeHelpCommand)
def lift(
    context: typer.Context,
    reason: WithReason,
    plugin_id: Annotated[UUID | None, typer.Argument(metavar="PLUGIN", show_default=False)] = None,
    hours: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=720, show_default=False, help="Lift all quarantines of the last hours instead."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End the quarantine of a plugin, or all that began lately."""
    if (plugin_id is None) == (hours is None):
        raise CommandError(ExitStatus.USAGE, "give either a plugin or --hours; `guildhook admin lift --help` says more")
    client = _client(context)
    if plugin_id is not None:
        _show(client.post(f"/plugins/{plugin_id}/lift", reason=reason), as_json)
        return
    lifted: list[Any] = []
    while more := client.post("/quarantines/lift", reason=reason, hours=hours)["items"]:
        lifted += more
    _show_list(({"id": each} for each in lifted), len(lifted), ("id",), as_json)


@admin.command(cls=WholeHelpCommand)
def budget(context: typer.Context, guild_id: GuildId, as_json: AsJson = False) -> None:
    """Show a guild's budget: its use in this minute, its limits, and until when they are raised."""
    found = _client(context).get(f"/guilds/{guild_id}")
    _show({"id": found["id"], **found["budget"], "raised": found["raised"]}, as_json)


@admin.command(cls=WholeHelpCommand)
def raise_budget(
    context: typer.Context,
    guild_id: GuildId,
    reason: WithReason,
    hours: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=2_160, show_default=False, help="Raise it for so many hours."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default=False, help="Raise it until then, such as 2026-12-24T18:00:00Z."),
    ] = None,
    fuel: Annotated[int | None, typer.Option(metavar="N", min=1, show_default=False, help="Fuel in a minute.")] = None,
    sends: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default=False, help="Messages in a minute.")
    ] = None,
    log_bytes: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default=False, help="Bytes of logs in a minute.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Raise limits of a guild's budget until a date. They replace those that were raised before."""
    if (hours is None) == (until is None):
        raise CommandError(ExitStatus.USAGE, "give either --hours or --until")
    end = until or (datetime.now(UTC) + timedelta(hours=hours or 0)).isoformat(timespec="seconds")
    limits = {"fuel_per_minute": fuel, "sends_per_minute": sends, "log_bytes_per_minute": log_bytes}
    _show(_client(context).post(f"/guilds/{guild_id}/raise-budget", reason=reason, until=end, **limits), as_json)


@admin.command(cls=WholeHelpCommand)
def reset_budget(context: typer.Context, guild_id: GuildId, reason: WithReason, as_json: AsJson = False) -> None:
    """Let the configured limits of a guild hold again."""
    _show(_client(context).post(f"/guilds/{guild_id}/reset-budget", reason=reason), as_json)


@admin.command(cls=WholeHelpCommand)
def pause(context: typer.Context, guild_id: GuildId, reason: WithReason, as_json: AsJson = False) -> None:
    """Let the messages of a guild wait in the queue.

    Each wait uses up one of the ten receives of a message. After six to thirteen hours messages become dead letters.
    """
    _show(_client(context).post(f"/guilds/{guild_id}/pause", reason=reason), as_json)


@admin.command(cls=WholeHelpCommand)
def resume(context: typer.Context, guild_id: GuildId, reason: WithReason, as_json: AsJson = False) -> None:
    """End the pause of a guild. Its messages come back within two hours."""
    _show(_client(context).post(f"/guilds/{guild_id}/resume", reason=reason), as_json)


@admin.command(cls=WholeHelpCommand)
def failures(
    context: typer.Context,
    hours: WithinHours = 24,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Only quarantined plugins.")] = False,
    limit: Most = 50,
    as_json: AsJson = False,
) -> None:
    """List the plugins that failed lately, the latest failure first."""
    found = _client(context).items("/failures", limit, hours=hours, quarantined=quarantined)
    columns = ("id", "guild_id", "name", "last_failed_at", "failures_in_a_row", "quarantine", "last_error")
    _show_list(found, limit, columns, as_json)


@admin.command(cls=WholeHelpCommand)
def causes(context: typer.Context, hours: WithinHours = 2, as_json: AsJson = False) -> None:
    """Count the quarantines that began lately, by the outcome of the last failure and by the wasm."""
    found = _client(context).get("/quarantines/causes", hours=hours)["items"]
    _show_list(found, len(found), ("outcome", "plugins", "first_at", "wasm_sha256"), as_json)


@admin.command(cls=WholeHelpCommand)
def runs(
    context: typer.Context,
    guild_id: OfGuild = None,
    plugin_id: Annotated[
        UUID | None, typer.Option("--plugin", metavar="ID", show_default=False, help="Only of this plugin.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(metavar="OUTCOME", show_default=False, help="Such as trap.")] = None,
    limit: Most = 50,
    as_json: AsJson = False,
) -> None:
    """List the recorded runs of a guild or of a plugin, the newest first, without messages and logs."""
    found = _client(context).items("/runs", limit, guild_id=guild_id, plugin_id=plugin_id, outcome=outcome)
    columns = ("id", "created_at", "plugin_id", "plugin_name", "outcome", "fuel_used", "duration_us", "detail")
    _show_list(found, limit, columns, as_json)


@admin.command(cls=WholeHelpCommand)
def run(
    context: typer.Context,
    plugin_id: PluginId,
    run_id: Annotated[UUID, typer.Argument(metavar="RUN", show_default=False)],
    reason: WithReason,
    as_json: AsJson = False,
) -> None:
    """Show a run with its message, its logs and its sends, for a reason."""
    client = _client(context)
    plugin_of_run = client.get(f"/plugins/{plugin_id}")
    client.post(f"/guilds/{plugin_of_run['guild_id']}/open-content", reason=reason)
    found = client.get(f"/plugins/{plugin_id}/runs/{run_id}")
    _show(found if as_json else found["run"], as_json)


@admin.command(cls=WholeHelpCommand)
def tail(
    context: typer.Context,
    guild_id: OfGuild = None,
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", show_default=False, help="Show the logs of the plugins too, for a reason."),
    ] = None,
    minutes: Annotated[int, typer.Option(metavar="N", min=0, max=59, help="Begin so many minutes ago.")] = 0,
    for_seconds: Annotated[
        float | None, typer.Option(metavar="N", min=0, show_default=False, help="End after N seconds.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the runs of a guild or of all guilds until it is interrupted.

    With --json each run is an object on a line of its own.
    """
    client = _client(context)
    if reason is not None:
        if guild_id is None:
            raise CommandError(ExitStatus.USAGE, "logs are shown of one guild: give --guild with --reason")
        client.post(f"/guilds/{guild_id}/open-content", reason=reason)
    ends = None if for_seconds is None else time.monotonic() + for_seconds
    query: dict[str, Any] = {"guild_id": guild_id, "logs": reason is not None}
    page = client.get("/tail", **query, since=_minutes_ago(minutes) if minutes else None)
    while True:
        for each in page["items"]:
            _show_run(each, as_json)
        flush()
        if ends is not None and time.monotonic() >= ends:
            return
        if not page["items"]:
            time.sleep(_POLL_SECONDS if ends is None else min(_POLL_SECONDS, max(ends - time.monotonic(), 0)))
        page = client.get("/tail", **query, cursor=page["cursor"])


@admin.command(cls=WholeHelpCommand)
def given_up(context: typer.Context, hours: WithinHours = 24, as_json: AsJson = False) -> None:
    """Count the messages of plugins that were given up, by guild, channel and reason."""
    found = _client(context).get("/sends-given-up", hours=hours)["items"]
    _show_list(found, len(found), ("guild_id", "channel_id", "sends", "first_at", "detail"), as_json)


@admin.command(cls=WholeHelpCommand)
def compiles(context: typer.Context, limit: Most = 50, as_json: AsJson = False) -> None:
    """List the compiles that failed through no fault of the plugin."""
    found = _client(context).items("/failed-compiles", limit)
    _show_list(found, limit, ("wasm_sha256", "live_in", "tries", "tried_at", "next_try_at", "reason"), as_json)


@admin.command(cls=WholeHelpCommand)
def retry_compiles(
    context: typer.Context,
    reason: WithReason,
    wasm_sha256: Annotated[
        str | None, typer.Option("--wasm", metavar="SHA256", show_default=False, help="Only this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Request failed compiles again: all, or that of one wasm."""
    client = _client(context)
    asked: list[str] = []
    cursor = None
    while True:
        page = client.post("/failed-compiles/retry", reason=reason, wasm_sha256=wasm_sha256, cursor=cursor)
        asked += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    _show_list(({"wasm_sha256": each} for each in asked), len(asked), ("wasm_sha256",), as_json)


@admin.command(cls=WholeHelpCommand)
def audit(context: typer.Context, guild_id: OfGuild = None, limit: Most = 50, as_json: AsJson = False) -> None:
    """List the changes by operators, the newest first."""
    found = _client(context).items("/audit", limit, guild_id=guild_id)
    _show_list(found, limit, ("at", "actor_name", "action", "guild_id", "plugin_id", "detail"), as_json)


_PLUGIN_COLUMNS: Final = ("id", "guild_id", "name", "enabled", "disabled_by_operator", "live", "quarantine")


def _client(context: typer.Context) -> Any:
    session: OperatorSession = context.obj
    return session.client()


def _minutes_ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def _show(item: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        put_json(item)
    else:
        put_object(item)


def _show_list(items: Iterable[Mapping[str, Any]], limit: int, columns: Sequence[str], as_json: bool) -> None:
    found = iter(items)
    shown = list(islice(found, limit))
    more = next(found, None) is not None
    if as_json:
        put_json({"items": shown, "more": more})
        return
    put_rows(columns, shown)
    if more:
        note(f"There are more than {limit}; --limit shows more.")


def _show_run(run_found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        put_json(run_found)
        return
    names = ("created_at", "guild_id", "plugin_name", "outcome", "detail")
    put("  ".join(visible(str(run_found[name])) for name in names if run_found[name]))
    for line in run_found["logs"] or ():
        put(f"    {visible(line)}")
