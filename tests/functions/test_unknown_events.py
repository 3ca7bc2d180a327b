"""An invocation with records that a function does not know fails, so that their sender keeps them."""

import time

import pytest

from guildhook.errors import UnknownEventError
from guildhook_local.function import LambdaContext, invoked_function
from guildhook_local.stack import ADMIN_API, COMPILE_PLUGIN, ERASE, MIGRATE, ON_MESSAGE, PREFLIGHT, SWEEP, TEST_RUN
from samples import event, sqs_event

(RECORD,) = sqs_event(event())["Records"]
S3_RECORD = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Post", "s3": {"object": {"key": "uploads/a"}}}
SNS_RECORD = {"EventSource": "aws:sns", "Sns": {"Message": "{}"}}
KINESIS_RECORD = {"eventSource": "aws:kinesis", "eventID": "1", "kinesis": {"data": "e30="}}

# As pipes, rules, topics, buckets and people send them.
NEITHER_RECORDS_NOR_EMPTY = {
    "array of records": [RECORD],
    "array of bodies": [event()],
    "array of texts": ["{}"],
    "empty array": [],
    "event of the chat server": event(),
    "event of EventBridge": {"version": "0", "detail-type": "message.created", "source": "chat", "detail": event()},
    "text": "text",
    "number": 7,
    "true": True,
    "no records": {"Records": []},
    "null for records": {"Records": None},
    "text for records": {"Records": "text"},
    "object for records": {"Records": {"a": 1}},
    "record of null": {"Records": [None]},
    "record with a body alone": {"Records": [{"body": "{}"}]},
    "record with a body of null": {"Records": [{**RECORD, "body": None}]},
    "record without an id": {"Records": [{name: value for name, value in RECORD.items() if name != "messageId"}]},
    "records of S3": {"Records": [S3_RECORD]},
    "records of SNS": {"Records": [SNS_RECORD]},
    "records of Kinesis": {"Records": [KINESIS_RECORD]},
    "one good record and one that is none": {"Records": [RECORD, {}]},
    "records under another name": {"records": [RECORD]},
    "action that is none": {"action": "dance"},
    "action that is a list": {"action": ["recompile"]},
    "action with an option that is none": {"action": "recompile", "refused_for_CPU": True},
    "action with an option of another type": {"action": "recompile", "refused_for_cpu": "yes"},
    "action with records of a rule": {"action": "prune", "detail": {"Records": [RECORD]}},
    "event named as one of a schedule": {"detail-type": "Scheduled Event", "source": "chat", "detail": event()},
    "event of a schedule with a detail": {"detail-type": "Scheduled Event", "source": "aws.events", "detail": event()},
    "request in payload format 1.0": {"version": "1.0", "httpMethod": "GET", "path": "/", "requestContext": {}},
    "request of VPC Lattice": {"version": "2.0", "method": "GET", "path": "/", "requestContext": {"serviceArn": "a"}},
    "request of an authorizer": {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}},
    "request without a context": {"version": "2.0", "rawPath": "/", "requestContext": None},
    "failure destination": {"version": "1.0", "requestContext": {}, "requestPayload": {"Records": [RECORD]}},
    "warmer": {"warmer": True, "concurrency": 3},
}
A_BATCH = {"batch of SQS": {"Records": [RECORD]}}
EMPTY = {"null": None, "empty object": {}}
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
A_SCHEDULE = {"schedule": SCHEDULED}
A_SCHEDULE_WITH_RECORDS = {"schedule with records": {**SCHEDULED, "Records": [RECORD]}}

UNKNOWN = {
    ON_MESSAGE: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_SCHEDULE},
    COMPILE_PLUGIN: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_SCHEDULE},
    SWEEP: {**NEITHER_RECORDS_NOR_EMPTY, **A_BATCH, **A_SCHEDULE_WITH_RECORDS},
    MIGRATE: {**NEITHER_RECORDS_NOR_EMPTY, **A_BATCH, **A_SCHEDULE},
    ADMIN_API: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_BATCH, **A_SCHEDULE},
    TEST_RUN: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_BATCH, **A_SCHEDULE},
    PREFLIGHT: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_BATCH, **A_SCHEDULE},
    ERASE: {**NEITHER_RECORDS_NOR_EMPTY, **EMPTY, **A_BATCH, **A_SCHEDULE},
}


@pytest.fixture(scope="module", params=UNKNOWN, ids=lambda folder: folder.name)
def function(request, shared_system):
    """A function's folder and handler."""
    with invoked_function(request.param, shared_system.environment) as handler:
        yield request.param, handler


def test_an_event_of_another_shape_fails_the_invocation(function, subtests):
    folder, handler = function
    context = LambdaContext(folder.name, "request", deadline=time.monotonic() + 3_600)
    for name, unknown in UNKNOWN[folder].items():
        with subtests.test(name), pytest.raises(UnknownEventError, match="this function takes"):
            handler(unknown, context)


def test_sweep_takes_an_empty_event_and_those_of_both_schedulers(shared_system):
    context = LambdaContext(SWEEP.name, "request", deadline=time.monotonic() + 3_600)
    with invoked_function(SWEEP, shared_system.environment) as handler:
        for due in (None, {}, SCHEDULED, {**SCHEDULED, "source": "aws.scheduler", "detail": "{}"}):
            assert "requeued" in handler(due, context)
