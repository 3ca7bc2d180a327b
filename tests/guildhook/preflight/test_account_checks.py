import json

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.aws.account import Account, Zone
from guildhook.preflight import Verdict, ask_concurrency, ask_zones, check_concurrency, check_zones
from http_server import Answer, http_server

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_REGION": "us-east-1"}
ZONES = [Zone(f"us-east-1{letter}", f"use1-az{number}", True, True) for number, letter in enumerate("dabc", 1)]
"""us-east-1b is use1-az3 in this account."""


@pytest.mark.parametrize(
    ("unreserved", "own", "verdict"),
    [
        (1_000, 0, Verdict.PASSED),
        (135, 0, Verdict.PASSED),
        (134, 0, Verdict.FAILED),
        (10, 0, Verdict.FAILED),
        (100, 35, Verdict.PASSED),
        (100, 30, Verdict.FAILED),
    ],
)
def test_a_hundred_units_of_concurrency_stay_unreserved(unreserved, own, verdict):
    assert check_concurrency(35, unreserved, own).verdict is verdict


def test_missing_concurrency_is_counted():
    assert check_concurrency(35, 10, 0).sentence == (
        "Concurrency of the account: 10 are unreserved, the stack reserves 35, and Lambda keeps 100 unreserved; set "
        "ReserveConcurrency=false, or request a quota that is higher by 125"
    )


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["us-east-1a"], "give the names of two different zones"),
        (["us-east-1a", "us-east-1a"], "give the names of two different zones"),
        (["us-east-1a", "us-east-1c", "us-east-1d"], "give the names of two different zones"),
        (["us-east-1a", "us-east-1x"], "us-east-1x is no zone of this region and account"),
        (["us-east-1a", "us-east-1b"], "us-east-1b is use1-az3, which has neither Lambda's networks nor RDS Proxy"),
    ],
)
def test_zones_that_cannot_be_used_are_named_with_those_that_can(names, reason):
    finding = check_zones(names, ZONES)
    assert finding.verdict is Verdict.FAILED
    assert reason in finding.sentence
    if len(set(names)) == len(names) == 2:
        assert finding.sentence.endswith("set AvailabilityZones to two of us-east-1d, us-east-1a, us-east-1c")


def test_two_zones_that_exist_pass():
    assert check_zones(["us-east-1a", "us-east-1d"], ZONES).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        (Zone("us-east-1e", "use1-az5", False, True), "us-east-1e is not available"),
        (Zone("us-east-1-bos-1a", "use1-bos1-az1", True, False), "us-east-1-bos-1a is a local zone"),
    ],
)
def test_a_zone_must_be_available_and_no_local_one(zone, reason):
    assert reason in check_zones(["us-east-1a", zone.name], [*ZONES, zone]).sentence


def test_a_region_without_two_usable_zones_is_said_so():
    assert check_zones(["us-east-1a", "us-east-1x"], ZONES[1:2]).sentence.endswith("use another region")


def settings(unreserved):
    limits = {"ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": unreserved}
    return Answer(json.dumps({"AccountLimit": limits, "AccountUsage": {}}).encode())


def test_the_account_is_asked_for_its_concurrency_alone_where_there_is_enough():
    with http_server(settings(135)) as server:
        finding = ask_concurrency(Account(AwsAccess({**KEYS, "AWS_ENDPOINT_URL": server.url})), 35, "guildhook")
    assert finding.verdict is Verdict.PASSED
    assert server.requests == ["/2016-08-19/account-settings"]


def test_an_account_that_cannot_be_asked_may_pass_later():
    denied = Answer(b'{"Message": "not authorized to perform: lambda:GetAccountSettings"}', status=403)
    with http_server(denied) as server:
        account = Account(AwsAccess({**KEYS, "AWS_ENDPOINT_URL": server.url}))
        finding = ask_concurrency(account, 35, "guildhook")
        assert ask_zones(account, ["us-east-1a", "us-east-1c"]).verdict is Verdict.UNAVAILABLE
    assert finding.verdict is Verdict.UNAVAILABLE
    assert "not authorized to perform: lambda:GetAccountSettings" in finding.sentence
