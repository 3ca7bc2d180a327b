"""The borders inside the library that docs/architecture.md promises. `make structure` draws them."""

import re
from collections import defaultdict
from inspect import Parameter, signature
from pathlib import Path

import pytest

from guildhook_local.web_server import serving_app, serving_wsgi
from structure import EMBEDDED_STACK, LIBRARY, aliases, arrows, classes, layers, library_imports

BORDERS = {
    # The shared modules import no other room; an error may hold a type that rooms share.
    "model": set(),
    "errors": {"model"},
    "stage": set(),
    # This room imports no function: it receives the one that it starts.
    "startup": {"errors"},
    "uuids": set(),
    "user_ids": {"uuids"},
    "http_bodies": set(),
    "surrogates": set(),
    "whole_numbers": set(),
    "http_deadlines": set(),
    # The parts import neither each other nor a room above them.
    "aws": {"errors", "http_bodies", "http_deadlines"},
    "sandbox": {"errors", "model", "uuids", "whole_numbers"},
    "plugin_settings": {"aws", "errors", "whole_numbers"},
    "modules": {"aws", "errors", "model"},
    "store": {"aws", "errors", "model"},
    "chat": {"aws", "errors", "http_bodies", "http_deadlines", "model", "surrogates", "uuids"},
    # The journeys import the parts, and no other journey.
    "events": {
        "chat",
        "errors",
        "model",
        "modules",
        "plugin_settings",
        "sandbox",
        "stage",
        "store",
        "surrogates",
        "user_ids",
        "uuids",
        "whole_numbers",
    },
    "versions": {"aws", "errors", "model", "modules", "plugin_settings", "sandbox", "stage", "store", "uuids"},
    "trials": {"aws", "errors", "model", "modules", "sandbox"},
    # The configuration builds the rules of the journeys; it is read by the functions.
    "configuration": {"aws", "errors", "events", "model", "modules", "sandbox", "store", "uuids"},
    # These rooms start the work of several journeys, or report it.
    "admin": {
        "aws",
        "chat",
        "errors",
        "events",
        "http_bodies",
        "http_deadlines",
        "model",
        "plugin_settings",
        "sandbox",
        "store",
        "trials",
        "uuids",
        "versions",
        "whole_numbers",
    },
    "preflight": {"admin", "aws", "chat", "configuration", "errors", "http_bodies", "http_deadlines", "model", "store"},
    "sweeper": {"aws", "configuration", "events", "stage", "store", "versions"},
    "erasure": {"aws", "configuration", "errors", "store", "user_ids", "uuids"},
    "observability": {"admin", "errors", "events", "model", "modules", "store", "sweeper", "trials", "versions"},
}
"""The rooms that each room may import from. A new import of the library is a decision, and a line here."""

VAGUE = {
    "answer",
    "answers",
    "common",
    "data",
    "found",
    "given",
    "helpers",
    "info",
    "misc",
    "queries",
    "ran",
    "records",
    "rows",
    "stored",
    "stuff",
    "things",
    "todo",
    "util",
    "utils",
    "wanted",
}
"""Names that say nothing about the file or the type."""


def test_each_room_imports_only_its_permitted_rooms():
    assert {room: set(found) for room, found in arrows().items()} == BORDERS


def test_no_rooms_import_each_other_in_a_circle():
    assert sum(map(len, layers(arrows()))) == len(BORDERS)


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("wasmtime", {"sandbox"}),
        ("psycopg", {"store"}),
        ("boto3", {"aws"}),
        ("botocore", {"aws", "modules"}),
        ("urllib3", {"admin", "aws", "chat", "http_bodies.py", "http_deadlines.py", "preflight"}),
        ("jwt", {"admin"}),
        ("aws_lambda_powertools", {"admin", "aws", "observability"}),
        ("pydantic", {"admin"}),
    ],
)
def test_each_package_is_used_where_it_belongs(package, rooms):
    users = {path for path, names in library_imports().items() if package in {n.split(".")[0] for n in names}}
    assert {Path(path).parts[0] for path in users} == rooms


def test_no_class_has_the_name_of_another_class_or_of_an_alias():
    places = defaultdict(list)
    for folder in (LIBRARY, EMBEDDED_STACK):
        for name, path in classes(folder):
            places[name].append(path)
    assert len(places) > 150
    for folder in (LIBRARY, EMBEDDED_STACK):
        for name, path in aliases(folder):
            if name in places:
                places[name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_file_class_or_alias_has_a_name_that_could_stand_anywhere():
    names = [path.stem for folder in (LIBRARY, EMBEDDED_STACK) for path in folder.rglob("*.py")]
    names += [name for folder in (LIBRARY, EMBEDDED_STACK) for name, _ in (*classes(folder), *aliases(folder))]
    assert [name for name in names if name.lower() in VAGUE] == []


def test_nothing_of_the_embedded_stack_listens_without_a_guard():
    """One file starts servers, and each way to start one has a guard in front of it."""
    starts = re.compile(
        r"\buvicorn\.|make_server\(|create_server\(|start_server\(|HTTPServer\(|TCPServer\(|UDPServer\(|run_simple\("
        r"|\.listen\(\d*\)|\.run\(host|serve_forever"
    )
    users = {path.name for path in EMBEDDED_STACK.rglob("*.py") if starts.search(path.read_text())}
    assert users == {"web_server.py"}
    for start in (serving_app, serving_wsgi):
        guards = [parameter for name, parameter in signature(start).parameters.items() if name.startswith("guard")]
        assert [parameter.default for parameter in guards] == [Parameter.empty]
    raw = {path.name for path in EMBEDDED_STACK.rglob("*.py") if re.search(r"[^_]\bserving\(server", path.read_text())}
    assert raw == {"web_server.py"}


def test_the_library_does_not_import_the_embedded_stack():
    assert not any("guildhook_local" in name for names in library_imports().values() for name in names)
