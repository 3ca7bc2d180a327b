"""The first start of a plugin, which decides whether the plugin can be instantiated within its limits."""

import time
from dataclasses import replace
from typing import Final

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import Outcome, RefusalKind
from guildhook.sandbox.engine import Engine, LoadedModule
from guildhook.sandbox.limits import Limits
from guildhook.sandbox.sandbox import Sandbox

_PATIENCE: Final = 20
"""The deadline of a first start in wall time, as a multiple of its limit in CPU time: the machine may be busy."""


def start_once(engine: Engine, module: LoadedModule, limits: Limits) -> None:
    """Instantiate the plugin. The limit on its time counts CPU time here, which a busy machine does not change.

    Raises InvalidPluginError if that does not end `ok` by the plugin's own fault, and InfrastructureError otherwise.
    """
    limit_ms = limits.deadline_ms
    began = time.process_time()
    outcome, detail = Sandbox(engine).start(module, replace(limits, deadline_ms=limit_ms * _PATIENCE))
    used_ms = round((time.process_time() - began) * 1000)
    if used_ms > limit_ms and outcome in (Outcome.OK, Outcome.DEADLINE):
        reason = f"it does not start: {Outcome.DEADLINE}: it used {used_ms} ms of CPU time; the limit is {limit_ms} ms"
        raise InvalidPluginError(reason, RefusalKind.CPU_SECONDS)
    if outcome in (Outcome.DEADLINE, Outcome.INTERNAL):
        raise InfrastructureError(f"its first start ended as {outcome}: {detail}")
    if outcome is not Outcome.OK:
        raise InvalidPluginError(f"it does not start: {outcome}: {detail}", RefusalKind.START)
