import io
import json
import sys

import pytest

from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.files import MAX_TEXT_BYTES, read_message, read_object, read_texts
from guildhook_local.sample import GUILD_ID

OTHER_GUILD = "6a1d0000-0000-4000-8000-0000000000ff"
MESSAGE = {
    "id": "6a1d0000-0000-4000-8000-0000000000f1",
    "channel_id": "6a1d0000-0000-4000-8000-0000000000f2",
    "author": {"id": "u", "username": "ben", "display_name": "Ben", "bot": False},
    "content": "!ping",
}
EVENT = {"type": "message.created", "guild_id": OTHER_GUILD, "message": MESSAGE}


@pytest.fixture
def write(tmp_path):
    """Writes a file; returns the argument that names it."""

    def write(text, name="message.json", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return f"@{tmp_path / name}"

    return write


def content(argument):
    return json.loads(read_message("--message", argument).payload)["content"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_message_object_is_read_in_the_encodings_of_editors(write, encoding):
    assert content(write(json.dumps({"content": "hé"}), encoding=encoding)) == "hé"
    assert content(write("hé\n", "text", encoding=encoding)) == "hé"


def test_a_whole_event_is_read_as_its_message(write):
    message = read_message("--message", write(json.dumps(EVENT)))
    assert (str(message.id), str(message.guild_id)) == (MESSAGE["id"], OTHER_GUILD)
    assert json.loads(message.payload)["author"]["username"] == "ben"
    part = read_message("--message", write(json.dumps({"message": {"content": "!ping"}})))
    assert (part.guild_id, json.loads(part.payload)["content"]) == (GUILD_ID, "!ping")


def test_a_field_that_is_null_is_one_that_is_missing(write):
    fields = dict.fromkeys(("guild_id", "id", "channel_id", "author", "created_at", "reply_to"))
    message = read_message("--message", write(json.dumps({"content": "!ping", **fields, "mood": None})))
    assert json.loads(message.payload) == {**json.loads(read_message("--message", "!ping").payload), "mood": None}
    event = {"type": None, "guild_id": None, "message": {"content": "!ping"}}
    assert read_message("--message", write(json.dumps(event))).guild_id == GUILD_ID


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"content": "!ping",}', "is not JSON: "),
        ('// hello\n{"content": "!ping"}', "is not JSON: "),
        ('{"content": "a", "content": "b"}', 'the name "content" is there twice, line 1, column 18'),
        ('[{"content": "!ping"}]', "is JSON, but neither a message object"),
        ("{}", "is JSON, but neither a message object"),
        ('{"contentt": "!ping"}', "is JSON, but neither a message object"),
        (json.dumps({**EVENT, "type": "member.joined"}), "is an event of the type 'member.joined'"),
        (json.dumps({"Records": [{"body": json.dumps(EVENT)}]}), "is an envelope of the queue, SNS or EventBridge"),
        (json.dumps({"id": "e", "detail-type": "chat", "detail": EVENT}), "with the field 'detail-type'"),
        (json.dumps({"channel_id": "general"}), "is no message: "),
        (json.dumps({"guild_id": 7, "content": "x"}), "guild_id is 7; a UUID is wanted"),
        (json.dumps({"message_type": "system", "author": {}}), "is no message: no plugin gets it: system message"),
    ],
)
def test_json_that_is_no_message_is_refused(write, text, reason):
    for name in ("message.json", "message"):
        with pytest.raises(CommandError) as refused:
            read_message("--message", write(text, name))
        assert refused.value.status is ExitStatus.USAGE
        assert str(refused.value).startswith("--message: ")
        assert reason in str(refused.value)


def test_a_file_named_json_is_json(write):
    with pytest.raises(CommandError, match=r"is not JSON: Expecting value, line 1, column 1$"):
        read_message("--message", write("!ping", "message.JSON"))


@pytest.mark.parametrize("text", ["[bold] !ping", "/* shrug", "// see above", '"quoted"', "12", "!ping {"])
def test_other_text_of_a_file_is_content(write, text):
    assert content(write(text, "message.txt")) == text


@pytest.mark.parametrize("source", ["inline", "file", "stdin"])
def test_settings_come_inline_from_a_file_or_from_stdin(write, monkeypatch, source):
    def read(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return read_object("--settings", {"inline": text, "file": write(text, "s"), "stdin": "-"}[source])

    assert read('{"a": 1}') == {"a": 1}
    assert read('\ufeff{"a": 1}') == {"a": 1}
    for text, reason in (('{"a" 1}', "line 1, column 6"), ('{"a": NaN}', "NaN"), ("[]", "is not a JSON object")):
        with pytest.raises(CommandError, match=reason) as refused:
            read(text)
        assert refused.value.status is ExitStatus.USAGE


@pytest.mark.parametrize("text", ['{"a": 1}', '{"": "b"}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"\\udfff": "b"}'])
def test_a_state_has_texts_that_can_be_stored(text):
    with pytest.raises(CommandError, match="texts without NUL characters"):
        read_texts("--state", text)


def test_a_source_without_end_is_not_read_to_its_end():
    with pytest.raises(CommandError, match=f"more than {MAX_TEXT_BYTES:,} bytes"):
        read_message("--message", "@/dev/zero")


@pytest.mark.parametrize(
    ("argument", "reason"), [("@missing", "No such file"), ("@/", "Is a directory"), ("@", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_wrong_usage(argument, reason):
    with pytest.raises(CommandError, match=reason) as refused:
        read_message("--message", argument)
    assert refused.value.status is ExitStatus.USAGE
