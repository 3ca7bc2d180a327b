"""The events in events/ fit the functions and the sample guild of `guildhook serve`."""

import json
from datetime import UTC, datetime
from hashlib import md5, sha256

import pytest

from guildhook.events.malformed_events import MalformedEventError
from guildhook.events.queue_events import Event, parse_event
from guildhook.versions.compile_queue import UploadNotice, WasmRequest, read_requests
from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from project import ROOT

PING = ROOT / "plugins" / "ping" / "ping.wasm"


def load(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def bodies(name):
    return [record["body"] for record in load(name)["Records"]]


def sample(body):
    """True for a message in the sample's guild and channel. Raises MalformedEventError."""
    event = parse_event(body, datetime.now(UTC))
    assert isinstance(event, Event)
    return (event.message.guild_id, event.message.channel_id) == (GUILD_ID, CHANNEL_ID)


def test_messages_are_of_the_samples_guild():
    (created,) = bodies("message-created")
    assert sample(created)
    first, _, last = bodies("mixed")
    assert sample(first)
    assert sample(last)


@pytest.mark.parametrize(("name", "position"), [("malformed", 0), ("mixed", 1)])
def test_malformed_samples_are_refused_as_malformed(name, position):
    with pytest.raises(MalformedEventError):
        sample(bodies(name)[position])


def test_the_sample_of_a_compile_request_asks_for_ping():
    (request,) = bodies("compile-request")
    assert read_requests(request) == [WasmRequest(sha256(PING.read_bytes()).digest())]


def test_the_sample_of_an_upload_names_a_version():
    (notice,) = bodies("upload")
    assert read_requests(notice) == [UploadNotice("uploads/6a1d0000-0000-4000-8000-00000000000a")]


def test_ids_are_not_used_twice_and_digests_are_right():
    records = [
        record
        for name in ("message-created", "malformed", "mixed", "compile-request", "upload")
        for record in load(name)["Records"]
    ]
    assert len({record["messageId"] for record in records}) == len(records)
    assert all(record["md5OfBody"] == md5(record["body"].encode()).hexdigest() for record in records)
