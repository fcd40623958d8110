"""An experiment that imports nothing but the runtime."""

from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry


class Point(ExperimentInputSpec):
    """A point."""

    x: float
    y: float
    name: str
    flag: bool


class Norm(ExperimentOutputSpec):
    """Its distance from the origin."""

    norm: float


@ExperimentRegistry.Register()
def norm(input_spec: Point) -> Norm:
    """Return the distance."""
    return Norm(norm=(input_spec.x**2 + input_spec.y**2) ** 0.5)
