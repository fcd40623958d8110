"""An experiment with a number and a file."""

from pathlib import Path

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)


class Cell(ExperimentInputSpec):
    """A number and a file."""

    x: float
    data: FileReference


class Grown(ExperimentOutputSpec):
    """What came of them."""

    y: float


@ExperimentRegistry.Register()
def grow(input_spec: Cell) -> Grown:
    """Return x and the file's length."""
    return Grown(y=input_spec.x + len(Path(str(input_spec.data)).read_text()))
