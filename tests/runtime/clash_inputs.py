"""An experiment whose inputs are called like what errors.pq says of each failure."""

from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry


class ClashingInput(ExperimentInputSpec):
    """Inputs with names of ours."""

    seconds: float
    attempt: int
    error_type: str
    traceback: list[int]


class Plain(ExperimentOutputSpec):
    """A number."""

    y: float


@ExperimentRegistry.Register(name="clash_of_inputs", retries=0)
def clash_of_inputs(input_spec: ClashingInput) -> Plain:
    """Return the input; every second one raises."""
    if input_spec.attempt % 2:
        raise ValueError("odd")
    return Plain(y=input_spec.seconds)
