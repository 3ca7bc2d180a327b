"""The metrics of the functions, with their units and meanings. docs/reference/metrics.md lists them."""

from enum import StrEnum
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit


class Metric(StrEnum):
    """The metrics by name. A name that ends in an outcome or a state is built from it: `Metric(f"runs_{outcome}")`."""

    RECORDS = "records"
    """Records that `on_message` received."""
    RECORDS_FAILED = "records_failed"
    """Records that come back."""
    RECORDS_SKIPPED = "records_skipped"
    """Records that no plugin received."""
    RECORDS_OF_UNKNOWN_TYPE = "records_of_unknown_type"
    """Skipped records whose event type or message type guildhook does not know. The log names the type."""
    RECORDS_REPAIRED = "records_repaired"
    """Records in which half a surrogate pair was replaced by U+FFFD."""
    MESSAGES_DELETED = "messages_deleted"
    """Messages that were deleted in the chat."""
    QUEUE_DELAY = "queue_delay"
    """The time from a record's first sending to the start of its batch. A record that comes back waits longer."""
    RUNS_OK = "runs_ok"
    """Runs with the outcome `ok`. The value is 0 for a batch in which all runs failed."""
    RUNS_TRAP = "runs_trap"
    """Runs with the outcome `trap`."""
    RUNS_OUT_OF_FUEL = "runs_out_of_fuel"
    """Runs with the outcome `out_of_fuel`."""
    RUNS_OUT_OF_MEMORY = "runs_out_of_memory"
    """Runs with the outcome `out_of_memory`."""
    RUNS_DEADLINE = "runs_deadline"
    """Runs with the outcome `deadline`."""
    RUNS_HOST_CALL_LIMIT = "runs_host_call_limit"
    """Runs with the outcome `host_call_limit`."""
    RUNS_INVALID = "runs_invalid"
    """Runs with the outcome `invalid`."""
    RUNS_INTERNAL = "runs_internal"
    """Runs that failed through a fault of guildhook."""
    RUN_FUEL = "run_fuel"
    """Fuel of each run."""
    RUN_DURATION = "run_duration"
    """Duration of each run, instantiation included."""
    RUNS_QUARANTINED = "runs_quarantined"
    """Messages that a quarantined plugin did not receive."""
    PLUGINS_QUARANTINED = "plugins_quarantined"
    """Plugins that were quarantined."""
    MODULES_MEMORY = "modules_memory"
    """Modules found in memory, once a batch."""
    MODULES_DISK = "modules_disk"
    """Modules found in `/tmp`."""
    MODULES_S3 = "modules_s3"
    """Modules found in S3."""
    MODULES_COMPILED = "modules_compiled"
    """Modules found nowhere, and compiled by the function that needed them."""
    MODULES_REFUSED = "modules_refused"
    """Plugins that cannot be compiled."""
    MODULES_UNAVAILABLE = "modules_unavailable"
    """Modules that could not be obtained; their messages come back."""
    MODULES_DISCARDED = "modules_discarded"
    """Artifacts without a valid signature, that did not match their digest, or that could not be loaded."""
    DELIVERIES_DELIVERED = "deliveries_delivered"
    """Messages sent. The value is 0 for a batch in which none of them was."""
    DELIVERIES_REFUSED = "deliveries_refused"
    """Messages that the chat server refused for good. The value is 0 for a batch in which it refused none."""
    DELIVERIES_PENDING = "deliveries_pending"
    """Messages that are tried again later."""
    CHAT_CIRCUIT_OPEN = "chat_circuit_open"
    """The value is 1 for a batch that ended with an open circuit breaker, else 0."""
    CHAT_CIRCUITS_OPENED = "chat_circuits_opened"
    """Times that the circuit breaker opened."""
    DELIVERIES_GIVEN_UP = "deliveries_given_up"
    """Messages that `sweep` gave up because they were pending for too long."""
    DELIVERIES_REQUEUED = "deliveries_requeued"
    """Events that `sweep` put back on the queue."""
    COMPILE_REQUESTS = "compile_requests"
    """Records that `compile_plugin` received."""
    PLUGINS_COMPILED = "plugins_compiled"
    """Plugins that `compile_plugin` compiled."""
    PLUGINS_REFUSED = "plugins_refused"
    """Plugins that `compile_plugin` refused."""
    VERSIONS_STUCK = "versions_stuck"
    """Versions whose check did not end, and that `sweep` took for lost."""
    REQUESTS_2XX = "requests_2xx"
    """Requests that `admin_api` answered with 2xx."""
    REQUESTS_3XX = "requests_3xx"
    """Requests answered with 3xx."""
    REQUESTS_4XX = "requests_4xx"
    """Requests that were refused."""
    REQUESTS_5XX = "requests_5xx"
    """Requests that failed."""
    REQUEST_DURATION = "request_duration"
    """Duration of each request, in the function."""
    TRIALS = "trials"
    """Test runs and replays that `test_run` performed."""
    TRIALS_FAILED = "trials_failed"
    """Test runs and replays that failed: the version is not compiled yet, or a service is out of reach."""

    @property
    def unit(self) -> MetricUnit:
        return _UNITS.get(self, MetricUnit.Count)


BY_VERSION: Final = frozenset(
    {
        Metric.RECORDS,
        Metric.RECORDS_FAILED,
        Metric.RUNS_OK,
        Metric.RUN_FUEL,
        Metric.DELIVERIES_DELIVERED,
        Metric.DELIVERIES_REFUSED,
    }
)
"""The metrics that a canary compares between two versions of `on_message`."""

_UNITS: Final = {
    Metric.QUEUE_DELAY: MetricUnit.Milliseconds,
    Metric.RUN_DURATION: MetricUnit.Microseconds,
    Metric.REQUEST_DURATION: MetricUnit.Milliseconds,
}
"""The units of the metrics that are no counts."""
