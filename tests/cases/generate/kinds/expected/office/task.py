"""The experiment: what is computed for one sample."""

from pathlib import Path

from scythe_runtime import ExperimentRegistry, TaskNotWritten

from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input, tempdir: Path) -> Output:
    """Return the outputs of one sample.

    Args:
        input_spec: Its inputs.
        tempdir: A folder of its own, empty at first; it is gone afterwards.
    """
    # Each input is an attribute:
    #     input_spec.start  # date
    #     input_spec.offset  # number or None
    #     input_spec.corner  # tuple
    #     input_spec.layers  # array
    #     input_spec.glazing  # object
    #     input_spec.shape  # enum
    #     input_spec.code  # string
    #
    # A simulator is a program that is called in tempdir. With check=True its failure is this
    # sample's failure, which is recorded with the inputs and does not stop the others:
    #     subprocess.run(["simulator", "model.in"], cwd=tempdir, check=True)
    #
    # In the end:
    #     return Output(
    #         ok=...,
    #         at=...,
    #     )
    raise TaskNotWritten(
        "office/task.py: simulate is still the stub. Write it, then: scythe run -n 1"
    )
