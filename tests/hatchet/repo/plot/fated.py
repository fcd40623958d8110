"""What the conformance tests of engines run, in this repository's own package."""

from scythe_runtime import ExperimentRegistry
from scythe_runtime.testing_engine import Doubled, Fated, double


@ExperimentRegistry.Register(name="fated", retries=0, execution_timeout=4)
def fated(input_spec: Fated) -> Doubled:
    """Return twice the number, or do what its fate says."""
    return double(input_spec)
