import gzip

import pytest

from bench.scaling.costs import GB, bill, edge_bill, of_a_mean_day, stranger_costs
from bench.scaling.log import LogBytes, measure
from bench.scaling.model import Scenario, simulate
from bench.scaling.parameters import Installation, PageUse, Prices
from emitted import emitted
from guildhook.observability.metrics import BY_VERSION
from infra.templates import read_template
from project import ROOT

FEW = 6_000
LOG = LogBytes(a_batch=800, a_message=40)


def billed(guilds, log=LOG, **installation):
    scenario = of_a_mean_day(Scenario(guilds, installation=Installation(**installation)))
    return bill(scenario, simulate(scenario, FEW), log)


def test_the_bill_agrees_with_the_simulation_on_lambda_queue_and_bucket():
    scenario = of_a_mean_day(Scenario(1_000))
    outcome = simulate(scenario, FEW)
    parts = [part for part in bill(scenario, outcome, LOG).parts if part.name.startswith(("Lambda", "SQS", "S3"))]
    # The bill also has the storage of the compiled plugins, which costs cents.
    assert sum(part.usd_a_million for part in parts) == pytest.approx(outcome.usd_per_million, abs=0.02)


def test_fixed_costs_do_not_depend_on_the_number_of_guilds():
    few, many = billed(1_000), billed(10_000)
    for one, other in zip([*few.parts, *few.database], [*many.parts, *many.database], strict=True):
        assert (one.name, one.usd_a_month) == (other.name, other.usd_a_month)


def test_a_month_costs_the_fixed_costs_and_the_cost_of_its_messages():
    paid = billed(1_000)
    assert paid.messages_a_month == pytest.approx(1_000 * 100 * 365 / 12)
    (part,) = (part for part in paid.parts if part.name.startswith("SQS"))
    expected = part.usd_a_month + part.usd_a_million * paid.messages_a_month / 1e6
    assert paid.usd_a_month([part]) == pytest.approx(expected)


def test_a_thousand_guilds_cost_at_most_90_dollars_a_month_with_a_database():
    paid = billed(1_000)
    assert paid.usd_a_month([*paid.parts, *paid.database]) <= 90


def test_the_log_is_paid_by_its_bytes():
    def log(log):
        (part,) = (part for part in billed(1_000, log).parts if part.name == "CloudWatch: log")
        return part.usd_a_million

    batch, message = LogBytes(1_000, 0), LogBytes(0, 1_000)
    of_lambda = log(LogBytes(0, 0))
    assert log(message) - of_lambda == pytest.approx(1e6 * 1_000 / 1e9 * 0.53)
    assert 0 < log(batch) - of_lambda < log(message) - of_lambda


def test_only_the_first_traces_of_a_second_are_all_kept():
    assert billed(1_000).tracing.usd_a_million > 10 * billed(100_000).tracing.usd_a_million


def test_the_capacity_of_a_database_grows_when_the_minimum_is_not_enough():
    def beyond(statements_per_acu):
        paid = billed(1_000, statements_per_acu=statements_per_acu)
        (aurora,) = (part.usd_a_million for part in paid.database if part.name == "Aurora: capacity")
        return aurora, paid.proxy.usd_a_million

    # 1,000 guilds need three statements a second.
    assert beyond(10) == (0, 0)
    aurora, proxy = beyond(1)
    assert aurora > 0 == proxy
    assert min(beyond(0.1)) > 0


def test_a_batch_writes_a_line_and_more_for_each_message(system):
    log = measure(system)
    assert 300 < log.a_batch < 5_000
    assert 0 < log.a_message < 500


def test_metrics_and_alarms_are_those_of_the_code_and_the_template():
    functions = 6  # each says how often it starts
    assert Installation().metrics == len(emitted()) + functions
    resources = read_template("infra/observability.yaml")["Resources"].values()
    counted = {None: 0, "database": 0, "HasCanary": 0}
    for resource in resources:
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            metrics = [metric for metric in resource["Properties"].get("Metrics", ()) if "MetricStat" in metric]
            condition = resource.get("Condition")
            counted[condition if condition in counted else "database"] += len(metrics) or 1
    assert counted == {
        None: Installation().alarm_metrics,
        "database": Installation().database_alarm_metrics,
        "HasCanary": Installation().canary_alarm_metrics,
    }
    assert len(BY_VERSION) == Installation().canary_metrics


def test_the_cost_of_a_canary_is_documented():
    installation, prices = Installation(), Prices()
    usd = installation.canary_metrics * prices.metric_month
    usd += installation.canary_alarm_metrics * prices.alarm_metric_month
    assert f"**It costs** {usd:.2f} USD a month" in (ROOT / "docs" / "deployment.md").read_text()


def test_cloudfront_is_paid_by_requests_and_bytes():
    use = PageUse(visits_per_guild_month=10, page_files=0, page_bytes=0, api_requests=1, answer_bytes=int(GB))
    paid = edge_bill(100, use, Prices(edge_request=2e-6, edge_function=1e-6, edge_gb=0.5, web_acl_request=4e-6))
    assert (paid.guilds, paid.visits_a_month) == (100, 1_000)
    assert paid.cloudfront == pytest.approx(1_000 * 3e-6 + 1_000 * 0.5)
    assert paid.web_acl == pytest.approx(6 + 1_000 * 4e-6)


def test_a_request_that_reaches_a_function_costs_more_than_one_that_cloudfront_answers():
    alone, edge, through, refused = stranger_costs(PageUse(), Prices()).values()
    assert refused < edge < alone < through
    assert through == pytest.approx(alone + edge)


def test_the_size_of_the_page_is_that_of_the_built_one():
    page = ROOT / "functions" / "admin_api" / "page"
    files = [path for path in page.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")]
    if not files:
        pytest.skip("the page is not built; `make page` builds it, with Node 20.19 or newer")
    assert len(files) == pytest.approx(PageUse().page_files, rel=0.2)
    size = sum(len(gzip.compress(path.read_bytes())) for path in files)
    assert size == pytest.approx(PageUse().page_bytes, rel=0.2)
