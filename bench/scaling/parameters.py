"""The inputs of the simulation: assumptions, measurements, and public limits and prices."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The share of plugins that are built with it, and their figures by `make bench`."""

    name: str
    share: float
    native_bytes: int
    object_bytes: int
    run_seconds: float


@dataclass(frozen=True, slots=True)
class Workload:
    """The load of a chat server. These are assumptions; replace them with your own figures."""

    messages_per_guild_day: float = 100
    peak: float = 3
    """Messages in the busiest minutes, against the day's mean."""
    guild_exponent: float = 1.0
    """The exponent of Zipf's law: the guild of rank r has 1/r^exponent of the messages."""
    burst_messages: float = 5
    """Messages of a guild in one go, a few seconds apart."""
    plugins_per_guild: int = 2
    shared: float = 0.8
    """The share of installed plugins that come from a catalogue; the others are the guild's own."""
    catalogue_exponent: float = 1.1
    catalogue_per_guild: float = 0.05
    """Plugins in the catalogue for each guild, and fifty at least."""
    replies: float = 0.1
    """The share of runs that send a message."""
    toolchains: tuple[Toolchain, ...] = (
        Toolchain("C, Rust", 0.3, 60_000, 20_000, 0.0001),
        Toolchain("QuickJS", 0.5, 6_000_000, 1_900_000, 0.0003),
        Toolchain("SpiderMonkey", 0.1, 43_000_000, 13_500_000, 0.0008),
        Toolchain("Python", 0.1, 40_000_000, 13_200_000, 0.0012),
    )


@dataclass(frozen=True, slots=True)
class Deployment:
    """The values of template.yaml and configuration.py."""

    batch_size: int = 10
    window_seconds: float = 0
    memory_mb: int = 1769
    memory_cache_bytes: int = 128 * MIB
    disk_cache_bytes: int = 4_000 * MIB
    tmp_mb: int = 4_608


@dataclass(frozen=True, slots=True)
class Platform:
    """Measured with one whole virtual CPU, unless it says otherwise."""

    batch_cpu_seconds: float = 0.004
    """The processor time of the handler for a batch: parse, three statements, answer."""
    message_cpu_seconds: float = 0.0012
    statements_per_batch: int = 3
    statement_seconds: float = 0.002
    """Round trip to a database in the same region. An assumption."""
    chat_seconds: float = 0.02
    """The time of a send; sends to different channels run at the same time. An assumption."""
    load_seconds: float = 0.0005
    """Mapping a module that is on the disk."""
    s3_first_byte_seconds: float = 0.03
    s3_bytes_per_second: float = 80e6
    unpack_bytes_per_second: float = 600e6
    """The rate for native code: hash, decompress and write."""
    cold_start_seconds: float = 0.9
    full_cpu_mb: int = 1769
    """Memory at which Lambda gives one whole virtual CPU."""
    idle_seconds: float = 600
    """After which Lambda takes an unused sandbox away. Not documented; about this."""
    receive_wait_seconds: float = 0.02
    """How long messages gather before a poller takes them when there is no window."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Defaults of a new account where they can be raised, November 2026."""

    lambda_concurrency: int = 1_000
    event_source_concurrency: int = 1_000
    s3_gets_per_second: int = 5_500
    """For each prefix: all artifacts of one engine have the same."""
    database_connections: int = 1_600
    """The approximate limit of PostgreSQL on 16 GiB of memory."""
    database_statements_per_second: int = 20_000
    """An assumption: 4 virtual CPUs of PostgreSQL."""
    chat_sends_per_second: int = 2_000
    """An assumption."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The fixed parts of a stack. Tests compare them with the templates and the code."""

    metrics: int = 50
    """That the functions count, with one of each function for its cold starts."""
    alarm_metrics: int = 23
    """That the alarms watch, those of a database of the stack's own left out."""
    database_alarm_metrics: int = 2
    canary_metrics: int = 6
    """That are counted by version besides, with a canary."""
    canary_alarm_metrics: int = 16
    secrets: int = 3
    """The chat server's token and the key of settings; with a database of its own, the owner's password besides."""
    polled_queues: int = 2
    pollers: int = 5
    """Pollers of Lambda for each queue when there are few messages."""
    poll_seconds: float = 20
    sweeps_a_month: float = 12 * 730
    sweep_seconds: float = 0.5
    """An assumption."""
    sweep_mb: int = 512
    invocation_log_bytes: int = 270
    """START, END and REPORT, which Lambda itself writes."""
    log_months: float = 1
    """The template's 30 days."""
    traced_a_second: float = 1
    traced_of_the_rest: float = 0.05
    """X-Ray's default sampling, where tracing is switched on."""
    least_acus: float = 0.5
    statements_per_acu: float = 1_250
    """The statements in a second. This is an assumption, as the limit above: 16 units are about 4 virtual CPUs."""
    ios_per_statement: float = 4
    """An assumption."""
    run_bytes: float = 2_000
    """The size of a run that sent a message, with its intent and indices. It is kept for the 30 days of
    GUILDHOOK_KEEP_RUNS_DAYS. An assumption.
    """


@dataclass(frozen=True, slots=True)
class PageUse:
    """The use of the admin page. These are assumptions, but for the size of the page, which a test compares."""

    visits_per_guild_month: float = 20
    """Each downloads all files of the page."""
    page_files: int = 55
    page_bytes: int = 1_070_000
    """All files, compressed."""
    api_requests: int = 100
    """In a visit."""
    answer_bytes: int = 3_000
    """An answer of the API, with its headers."""
    refusal_bytes: int = 700
    """A refusal of CloudFront's function, with its headers."""
    refusal_seconds: float = 0.001
    """The time of a function for a request without a token, rounded up to what Lambda bills."""
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars in us-east-1, x86, before free tiers and discounts, November 2026. They drift, and other regions cost
    up to a third more: look them up, each at its page below aws.amazon.com.
    """

    # lambda/pricing
    lambda_gb_second: float = 0.0000166667
    lambda_request: float = 0.20e-6
    tmp_gb_second: float = 0.0000000309
    """Above 512 MB."""
    # sqs/pricing
    sqs_request: float = 0.40e-6
    fair_request: float = 0.10e-6
    """More for a request with message groups on a standard queue."""
    # s3/pricing
    s3_get: float = 0.40e-6
    s3_gb_month: float = 0.023
    # cloudwatch/pricing
    log_gb: float = 0.50
    log_gb_month: float = 0.03
    metric_month: float = 0.30
    alarm_metric_month: float = 0.10
    dashboard_month: float = 3
    # cloudfront/pricing, to Europe and North America: HTTPS requests, data to the internet, CloudFront Functions
    edge_request: float = 1.0e-6
    edge_gb: float = 0.085
    edge_function: float = 0.10e-6
    # api-gateway/pricing
    api_request: float = 1.0e-6
    # waf/pricing: a web ACL with one rule
    web_acl_month: float = 5
    web_acl_rule_month: float = 1
    web_acl_request: float = 0.60e-6
    # xray/pricing
    trace: float = 5e-6
    # secrets-manager/pricing
    secret_month: float = 0.40
    # rds/aurora/pricing
    acu_hour: float = 0.12
    aurora_gb_month: float = 0.10
    aurora_io: float = 0.20e-6
    # rds/proxy/pricing
    proxy_acu_hour: float = 0.015
    proxy_least_acus: float = 8
