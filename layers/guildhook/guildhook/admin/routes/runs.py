"""What a plugin has done, and would do."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from guildhook.admin.call import CurrentCall
from guildhook.admin.endpoints import Access, Cursor, Endpoints, Id, IdFilter, PageLimit, TimeFilter
from guildhook.admin.models import Explanation, Number, ReplayRequest, Run, RunPage, TestRun, TestRunRequest, Usage
from guildhook.admin.problems import ProblemError
from guildhook.model import Outcome

endpoints = Endpoints("runs", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}")

Hours = Annotated[int, Query(ge=1, le=2_160, description="How far back, in hours of the clock.")]


@endpoints.add("GET", "/runs", "listRuns", RunPage)
def list_runs(
    call: CurrentCall,
    guild_id: Id,
    plugin_id: Id,
    outcome: Annotated[Outcome | None, Query()] = None,
    version: Annotated[Number | None, Query()] = None,
    message_id: IdFilter = None,
    since: TimeFilter = None,
    until: TimeFilter = None,
    shadow: Annotated[bool, Query(description="Runs of shadow versions instead of live ones.")] = False,  # noqa: FBT002
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Response[Any]:
    """Recorded runs, the newest first.

    A run that ended well and had nothing to say, send or remember is only counted.
    """
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/runs/{run_id}", "getRun", Run)
def get_run(call: CurrentCall, guild_id: Id, plugin_id: Id, run_id: Id) -> Response[Any]:
    """A run with its log, its host calls and what it sent."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "/runs/{run_id}/replay", "replayRun", TestRun, conflicts=True, cost=10)
def replay_run(call: CurrentCall, guild_id: Id, plugin_id: Id, run_id: Id, body: ReplayRequest) -> Response[Any]:
    """Run a version on the message of a recorded run, with its time and its seed, and send nothing."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "/test-runs", "testRun", TestRun, conflicts=True, cost=10)
def test_run(call: CurrentCall, guild_id: Id, plugin_id: Id, body: TestRunRequest) -> Response[Any]:
    """Run a version on a message that you write, in the real sandbox, and send nothing."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/usage", "getUsage", Usage)
def get_usage(call: CurrentCall, guild_id: Id, plugin_id: Id, hours: Hours = 48) -> Response[Any]:
    """How often it ran, with what outcome, fuel and time, hour by hour."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/explanations/{message_id}", "explainMessage", Explanation)
def explain_message(call: CurrentCall, guild_id: Id, plugin_id: Id, message_id: Id) -> Response[Any]:
    """Why the plugin answered a message, or did not."""
    raise ProblemError("not-implemented", "still to come")
