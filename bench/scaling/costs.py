"""The costs of an installation: the fixed costs of a month, and the costs of a million messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.scaling.log import LogBytes
from bench.scaling.model import Scenario, SimulationResult
from bench.scaling.parameters import PageUse, Prices

HOURS = 730
DAYS = HOURS / 24
GB = 1e9


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    usd_a_month: float
    usd_a_million: float


@dataclass(frozen=True, slots=True)
class Bill:
    guilds: int
    messages_a_month: float
    parts: Sequence[Part]
    tracing: Part
    """The cost if tracing is switched on."""
    database: Sequence[Part]
    """The cost if the stack has its own database and network."""
    proxy: Part
    """The cost of RDS Proxy in front of that database."""

    def usd_a_month(self, parts: Sequence[Part]) -> float:
        return sum(part.usd_a_month + part.usd_a_million * self.messages_a_month / 1e6 for part in parts)


def of_a_mean_day(scenario: Scenario) -> Scenario:
    """The costs are for all hours, not for the busiest minutes."""
    return replace(scenario, workload=replace(scenario.workload, peak=1))


def bill(scenario: Scenario, outcome: SimulationResult, log: LogBytes) -> Bill:
    """`outcome` is that of simulating `scenario`."""
    workload = scenario.workload
    million = _Million(scenario, outcome)
    return Bill(
        guilds=scenario.guilds,
        messages_a_month=scenario.guilds * workload.messages_per_guild_day * DAYS,
        parts=[
            Part("Lambda: requests", 0, million.batches * scenario.prices.lambda_request),
            Part("Lambda: compute", 0, million.seconds * _memory_gb(scenario) * scenario.prices.lambda_gb_second),
            Part("Lambda: `/tmp`", 0, million.seconds * _tmp_gb(scenario) * scenario.prices.tmp_gb_second),
            _sweeps(scenario),
            _queues(scenario, million),
            _bucket(scenario, million),
            _log(scenario, million, log),
            _watching(scenario),
            Part("Secrets Manager", scenario.installation.secrets * scenario.prices.secret_month, 0),
        ],
        tracing=_tracing(scenario, outcome, million),
        database=_database(scenario, outcome, million),
        proxy=_capacity(
            "RDS Proxy",
            _acus(scenario, outcome),
            scenario.prices.proxy_least_acus,
            scenario.prices.proxy_acu_hour,
            outcome,
        ),
    )


@dataclass(frozen=True, slots=True)
class EdgeBill:
    """The cost of CloudFront in front of the admin page."""

    guilds: int
    visits_a_month: float
    cloudfront: float
    """USD a month."""
    web_acl: float
    """USD a month besides."""


def edge_bill(guilds: int, use: PageUse, prices: Prices) -> EdgeBill:
    visits = guilds * use.visits_per_guild_month
    requests = visits * (use.page_files + use.api_requests)
    gigabytes = visits * (use.page_bytes + use.api_requests * use.answer_bytes) / GB
    return EdgeBill(
        guilds=guilds,
        visits_a_month=visits,
        cloudfront=requests * (prices.edge_request + prices.edge_function) + gigabytes * prices.edge_gb,
        web_acl=prices.web_acl_month + prices.web_acl_rule_month + requests * prices.web_acl_request,
    )


def stranger_costs(use: PageUse, prices: Prices) -> Mapping[str, float]:
    """USD for a million requests without a token, by the part that answers them."""
    function = prices.lambda_request + use.refusal_seconds * use.memory_mb / 1024 * prices.lambda_gb_second
    edge = prices.edge_request + prices.edge_function + use.refusal_bytes / GB * prices.edge_gb
    million = 1e6
    return {
        "without CloudFront: API Gateway and a function": million * (prices.api_request + function),
        "CloudFront's cache or function": million * edge,
        "CloudFront, API Gateway and a function": million * (edge + prices.api_request + function),
        "the web ACL, which refuses": million * prices.web_acl_request,
    }


class _Million:
    """The resources that a million messages use."""

    def __init__(self, scenario: Scenario, outcome: SimulationResult) -> None:
        self.messages = 1e6
        self.batches = self.messages / outcome.batch
        self.seconds = self.messages * outcome.sandboxes / outcome.messages_per_second
        runs = self.messages * scenario.workload.plugins_per_guild
        self.gets = runs * outcome.s3_hits
        self.answers = runs * scenario.workload.replies
        self.statements = self.batches * scenario.platform.statements_per_batch
        self.guild_months = self.messages / (scenario.workload.messages_per_guild_day * DAYS)


def _memory_gb(scenario: Scenario) -> float:
    return scenario.deployment.memory_mb / 1024


def _tmp_gb(scenario: Scenario) -> float:
    return max(0, scenario.deployment.tmp_mb - 512) / 1024


def _sweeps(scenario: Scenario) -> Part:
    prices, installation = scenario.prices, scenario.installation
    one = prices.lambda_request + installation.sweep_seconds * installation.sweep_mb / 1024 * prices.lambda_gb_second
    return Part("Lambda: sweep", installation.sweeps_a_month * one, 0)


def _queues(scenario: Scenario, million: _Million) -> Part:
    prices, installation = scenario.prices, scenario.installation
    polls = installation.polled_queues * installation.pollers * HOURS * 3600 / installation.poll_seconds
    # Each message is sent by itself; a batch is received and deleted.
    requests = million.messages + 2 * million.batches
    usd = requests * (prices.sqs_request + prices.fair_request)
    return Part("SQS: asking empty queues; messages", polls * prices.sqs_request, usd)


def _plugin_gb(scenario: Scenario, million: _Million) -> float:
    """The storage of the plugins of the guilds that send a million messages. A wasm is about as large as its object."""
    workload = scenario.workload
    own = workload.plugins_per_guild * (1 - workload.shared)
    mean = sum(toolchain.share * toolchain.object_bytes for toolchain in workload.toolchains)
    return million.guild_months * (own + workload.catalogue_per_guild) * mean / GB


def _bucket(scenario: Scenario, million: _Million) -> Part:
    prices = scenario.prices
    usd = million.gets * prices.s3_get + _plugin_gb(scenario, million) * prices.s3_gb_month
    return Part("S3: GETs, and the compiled plugins", 0, usd)


def _log(scenario: Scenario, million: _Million, log: LogBytes) -> Part:
    prices, installation = scenario.prices, scenario.installation
    size = million.batches * (log.a_batch + installation.invocation_log_bytes) + million.messages * log.a_message
    kept = installation.log_months * prices.log_gb_month
    return Part("CloudWatch: log", 0, size / GB * (prices.log_gb + kept))


def _watching(scenario: Scenario) -> Part:
    prices, installation = scenario.prices, scenario.installation
    usd = installation.metrics * prices.metric_month
    usd += installation.alarm_metrics * prices.alarm_metric_month + prices.dashboard_month
    return Part("CloudWatch: metrics, alarms, dashboard", usd, 0)


def _tracing(scenario: Scenario, outcome: SimulationResult, million: _Million) -> Part:
    installation = scenario.installation
    rate = outcome.messages_per_second / outcome.batch
    sampled = min(rate, installation.traced_a_second)
    sampled += max(0, rate - installation.traced_a_second) * installation.traced_of_the_rest
    return Part("X-Ray", 0, million.batches * sampled / rate * scenario.prices.trace)


def _database(scenario: Scenario, outcome: SimulationResult, million: _Million) -> Sequence[Part]:
    prices, installation = scenario.prices, scenario.installation
    acus = _acus(scenario, outcome)
    kept_gb = _plugin_gb(scenario, million) + million.answers * installation.run_bytes / GB
    ios = million.statements * installation.ios_per_statement
    alarms = installation.database_alarm_metrics * prices.alarm_metric_month
    return [
        _capacity("Aurora: capacity", acus, installation.least_acus, prices.acu_hour, outcome),
        Part("Aurora: storage, I/O", 0, kept_gb * prices.aurora_gb_month + ios * prices.aurora_io),
        Part("The owner's password, two alarms", prices.secret_month + alarms, 0),
    ]


def _acus(scenario: Scenario, outcome: SimulationResult) -> float:
    return outcome.statements_per_second / scenario.installation.statements_per_acu


def _capacity(name: str, acus: float, least: float, usd_an_hour: float, outcome: SimulationResult) -> Part:
    """The minimum capacity, and the capacity that the messages need in addition."""
    hours_of_a_million = 1e6 / outcome.messages_per_second / 3600
    return Part(name, least * usd_an_hour * HOURS, max(0, acus - least) * usd_an_hour * hours_of_a_million)
