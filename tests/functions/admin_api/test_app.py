import json
import subprocess
import sys
import time

import pytest

from guildhook import __version__
from guildhook.store.needed_migrations import MIGRATIONS
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import ADMIN_API
from invocation import invoke
from samples import http_request

CONTEXT = LambdaContext("admin_api", "request", deadline=time.monotonic() + 3_600)
UNAVAILABLE = (503, "unavailable")


@pytest.fixture
def admin(shared_system):
    return shared_system.admin_handler


def ask(handler, method="GET", path="/api/health"):
    """The status, and the body or the kind of the problem."""
    answer = handler(http_request(method, path), CONTEXT)
    assert answer["headers"]["Cache-Control"] == ("public, max-age=10" if answer["statusCode"] == 200 else "no-store")
    body = json.loads(answer["body"])
    if answer["statusCode"] < 400:
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], body
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    return answer["statusCode"], body["type"].removeprefix("urn:guildhook:problem:")


def test_health_says_the_version_and_the_schema(admin):
    assert ask(admin) == (200, {"status": "ok", "version": __version__, "schema": MIGRATIONS[-1]})


def test_a_schema_that_is_newer_than_this_version_is_healthy(system, query):
    query("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '29990101000000_later')")
    status, body = ask(system.admin_handler)
    assert (status, body["schema"]) == (200, "29990101000000_later")


def test_a_schema_without_a_needed_migration_is_unavailable(system, query, capsys):
    query("DELETE FROM _yoyo_migration WHERE migration_id LIKE '%add_plugin_runs'")
    assert ask(system.admin_handler) == UNAVAILABLE
    assert "migrations are missing: 20260301000001_add_plugin_runs" in capsys.readouterr().out


def test_a_database_that_was_never_migrated_is_unavailable(shared_system, empty_database):
    with loaded_function(ADMIN_API, {**shared_system.environment, "GUILDHOOK_DATABASE_URL": empty_database}) as handler:
        assert ask(handler) == UNAVAILABLE


def test_a_database_out_of_reach_is_told_to_the_log_alone(shared_system, capsys):
    url = "postgresql://someone:s3cret@127.0.0.1:1/chat"
    with loaded_function(ADMIN_API, {**shared_system.environment, "GUILDHOOK_DATABASE_URL": url}) as handler:
        assert ask(handler) == UNAVAILABLE
    out = capsys.readouterr().out
    assert "database at 127.0.0.1:1/chat" in out
    assert "s3cret" not in out


def test_a_connection_that_died_while_the_function_was_frozen_is_opened_again(system, query):
    assert ask(system.admin_handler)[0] == 200
    query(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'guildhook'"""
    )
    assert ask(system.admin_handler)[0] == 200


@pytest.mark.parametrize("path", ["/api", "/api/health/", "/api/healthy", "/api/plugins", "/api/%2e%2e"])
def test_an_unknown_path_is_not_found(admin, path):
    assert ask(admin, path=path) == (404, "not-found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_health_refuses_methods_that_change(admin, method):
    assert ask(admin, method) == (405, "method-not-allowed")


def test_a_fault_of_ours_is_told_to_the_log_alone(system, query, capsys):
    query("ALTER TABLE _yoyo_migration ALTER migration_id TYPE JSONB USING '{}'")
    assert ask(system.admin_handler) == (500, "internal")
    assert "unhashable" in capsys.readouterr().out


def test_no_environment_variable_makes_the_function_print_requests(shared_system):
    request = http_request("GET", "/api/health")
    request["headers"]["authorization"] = "Bearer s3cret"
    # A process of its own is needed, because Powertools reads this variable from the process.
    invoked = invoke(ADMIN_API, {**shared_system.environment, "POWERTOOLS_DEV": "true"}, request)
    assert invoked.answers[0]["statusCode"] == 200
    assert "s3cret" not in invoked.out + invoked.err


def test_a_missing_variable_ends_the_start_with_one_line():
    ended = subprocess.run([sys.executable, ADMIN_API / "app.py"], env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("guildhook: wrong environment: GUILDHOOK_DATABASE_URL: ")
