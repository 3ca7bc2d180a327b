import io
import json
import zipfile
from uuid import uuid4

import pytest

from guildhook_local.aws import create_queue
from samples import event

REASON = ("--reason", "a test")


@pytest.fixture
def queues(operated):
    """A queue of events and its dead letters."""
    return create_queue(operated.aws, f"queue-{uuid4().hex}", 60, 10)


@pytest.fixture
def requeue(as_json, queues):
    def requeue(*arguments):
        options = ("--queue", queues.url, "--dead-letters", queues.dead_letter_url, "--per-second", 1000)
        return as_json("admin", "requeue", *options, *REASON, *arguments)

    return requeue


@pytest.fixture
def letters(operated, queues):
    """Adds dead letters, and tells which bodies are in the queue and which are still dead letters."""
    sqs = operated.aws.client("sqs")

    class Letters:
        def add(self, *bodies):
            for body in bodies:
                sqs.send_message(QueueUrl=queues.dead_letter_url, MessageBody=body)

        def waiting(self, url):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            hidden = attributes["ApproximateNumberOfMessagesNotVisible"]
            return int(attributes["ApproximateNumberOfMessages"]), int(hidden)

        def received(self):
            found = []
            while more := sqs.receive_message(QueueUrl=queues.url, MaxNumberOfMessages=10).get("Messages"):
                found += [message["Body"] for message in more]
            return found

    return Letters()


def test_dead_letters_of_a_guild_are_moved_and_others_stay(admin, requeue, letters, queues):
    theirs = uuid4()
    wanted = [json.dumps(event(theirs)) for _ in range(12)]
    others = [json.dumps(event(uuid4())), "no JSON", "[]", '{"guild_id": 7}', "[" * 100_000]
    letters.add(*wanted, *others)
    status, found = requeue("--guild", str(theirs).upper())
    assert (status, found) == (0, {"moved": 12, "matching": 12, "others": 5, "noted": True})
    assert sorted(letters.received()) == sorted(wanted)
    assert sum(letters.waiting(queues.dead_letter_url)) == 5
    entry = admin.operator().get("/audit").ok()["items"][0]
    assert (entry["action"], entry["detail"]) == ("dead_letters.requeued", {"reason": "a test", "events": 12})


def test_the_guild_of_a_dead_letter_is_found_in_the_envelopes_of_sns_and_eventbridge(requeue, letters):
    theirs = uuid4()
    of_rule = json.dumps({"detail-type": "message.created", "source": "chat", "detail": event(theirs)})
    wanted = [
        of_rule,
        *(json.dumps({"Type": "Notification", "Message": body}) for body in (of_rule, json.dumps(event(theirs)))),
    ]
    letters.add(*wanted, json.dumps({"Type": "Notification", "Message": json.dumps(event(uuid4()))}))
    assert requeue("--guild", theirs)[1]["moved"] == 3
    assert sorted(letters.received()) == sorted(wanted)


def test_all_dead_letters_are_moved_without_a_filter_and_a_second_time_there_are_none(requeue, letters, queues):
    letters.add(json.dumps(event()), "no JSON")
    assert requeue()[1]["moved"] == 2
    assert requeue()[1]["moved"] == 0
    assert sum(letters.waiting(queues.dead_letter_url)) == 0
    assert len(letters.received()) == 2


def test_a_dry_run_moves_nothing_and_hides_nothing(requeue, letters, queues):
    theirs = uuid4()
    letters.add(json.dumps(event(theirs)), json.dumps(event()))
    assert requeue("--guild", theirs, "--dry-run") == (0, {"moved": 0, "matching": 1, "others": 1})
    assert letters.waiting(queues.dead_letter_url) == (2, 0)
    assert letters.received() == []


def test_a_job_goes_on_after_its_limit(requeue, letters, queues):
    letters.add(*(json.dumps(event()) for _ in range(15)))
    assert requeue("--limit", 4)[1]["moved"] == 4
    assert letters.waiting(queues.dead_letter_url) == (11, 0)
    assert requeue()[1]["moved"] == 11
    assert len(letters.received()) == 15


def test_letters_are_chosen_by_the_time_at_which_they_were_sent(requeue, letters):
    letters.add(json.dumps(event()))
    assert requeue("--sent-before", "2026-01-01T00:00:00Z")[1]["others"] == 1
    letters.add(json.dumps(event()))
    assert requeue("--sent-after", "2026-01-01", "--sent-before", "2100-01-01T00:00:00Z")[1]["moved"] == 1


def test_a_change_that_cannot_be_noted_is_made_and_said(guildhook, environment, letters, queues):
    environment["GUILDHOOK_ADMIN_URL"] = "http://127.0.0.1:9"
    letters.add(json.dumps(event()))
    urls = ("--queue", queues.url, "--dead-letters", queues.dead_letter_url)
    status, out, err = guildhook("admin", "requeue", *urls, *REASON, "--json")
    assert (status, json.loads(out)["moved"], json.loads(out)["noted"]) == (0, 1, False)
    assert err.startswith("The change is not in the audit log: http://127.0.0.1:9 does not answer")


@pytest.fixture
def stack_name(operated):
    """The name of a stack in CloudFormation that has both queues."""
    name = f"stack-{uuid4().hex}"
    template = {"Resources": {each: {"Type": "AWS::SQS::Queue"} for each in ("Events", "DeadLetters")}}
    operated.aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    return name


def queue_of(operated, name, resource):
    stacks = operated.aws.client("cloudformation")
    found = stacks.describe_stack_resource(StackName=name, LogicalResourceId=resource)
    return found["StackResourceDetail"]["PhysicalResourceId"]


@pytest.fixture(params=["function", "alias"])
def deployed(operated, stack_name, request):
    """The name of a stack, and its event source mapping, of the function itself or of an alias."""
    name = stack_name
    role = operated.aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    url = queue_of(operated, name, "Events")
    sqs, functions = operated.aws.client("sqs"), operated.aws.client("lambda")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    functions.create_function(
        FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Code={"ZipFile": code.getvalue()}
    )
    called = name
    if request.param == "alias":
        version = functions.publish_version(FunctionName=name)["Version"]
        alias = functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
        called = alias["AliasArn"]
    mapping = functions.create_event_source_mapping(
        FunctionName=called, EventSourceArn=attributes["Attributes"]["QueueArn"]
    )
    yield name, mapping["UUID"]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def test_processing_is_stopped_and_goes_on_by_the_stacks_event_source_mapping(admin, operated, as_json, deployed):
    name, mapping = deployed
    functions = operated.aws.client("lambda")
    status, stopped = as_json("admin", "pause-all", "--stack", name, *REASON)
    assert (status, stopped["mapping"], stopped["enabled"], stopped["noted"]) == (0, mapping, False, True)
    assert functions.get_event_source_mapping(UUID=mapping)["State"] == "Disabled"
    assert as_json("admin", "resume-all", "--stack", name, *REASON)[1]["enabled"] is True
    assert functions.get_event_source_mapping(UUID=mapping)["State"] == "Enabled"
    actions = [entry["action"] for entry in admin.operator().get("/audit").ok()["items"][:2]]
    assert actions == ["processing.resumed", "processing.paused"]


def test_processing_is_stopped_without_the_admin_api(guildhook, environment, deployed, operated):
    del environment["GUILDHOOK_ADMIN_URL"]
    status, _, err = guildhook("admin", "pause-all", "--stack", deployed[0], *REASON)
    assert (status, "GUILDHOOK_ADMIN_URL and GUILDHOOK_ADMIN_TOKEN are not both set" in err) == (0, True)
    assert operated.aws.client("lambda").get_event_source_mapping(UUID=deployed[1])["State"] == "Disabled"


def test_dead_letters_of_a_stack_are_moved(operated, as_json, stack_name):
    sqs = operated.aws.client("sqs")
    sqs.send_message(QueueUrl=queue_of(operated, stack_name, "DeadLetters"), MessageBody="{}")
    assert as_json("admin", "requeue", "--stack", stack_name, *REASON)[1]["moved"] == 1
    (moved,) = sqs.receive_message(QueueUrl=queue_of(operated, stack_name, "Events"))["Messages"]
    assert moved["Body"] == "{}"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("pause-all", "--stack", "none", *REASON), 3, "AWS: "),
        (("requeue", "--stack", "none", *REASON), 3, "AWS: "),
        (("requeue", "--sent-after", "yesterday", *REASON), 2, "--sent-after: yesterday is not a time such as"),
        (("requeue", "--guild", "x", *REASON), 2, "Invalid value for '--guild'"),
    ],
)
def test_an_error_of_aws_or_of_the_usage_is_one_line(failure, arguments, status, said):
    ended, line = failure("admin", *arguments)
    assert (ended, said in line) == (status, True), line


def test_a_queue_that_nothing_takes_from_cannot_be_stopped(failure, queues):
    status, line = failure("admin", "pause-all", "--queue", queues.url, *REASON)
    assert (status, line.startswith("0 event source mappings take from")) == (1, True)
