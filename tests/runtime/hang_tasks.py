"""An experiment whose module hangs while it is imported, where SCYTHE_TEST_HANG is set."""

import os
import time

from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry

while "SCYTHE_TEST_HANG" in os.environ:
    time.sleep(0.05)


class Wait(ExperimentInputSpec):
    """Nothing but what all specs have."""


class Waited(ExperimentOutputSpec):
    """A number."""

    y: float


@ExperimentRegistry.Register(schedule_timeout="4s")
def hang(input_spec: Wait) -> Waited:
    """Return 1."""
    return Waited(y=input_spec.sort_index + 1.0)
