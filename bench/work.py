"""The same work as ours: specs, outputs and registered functions."""

from peer_work import SLOTS, rows, try_out
from pydantic import Field

from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry

__all__ = ["SLOTS", "Lasted", "Out", "Spec", "Trial", "last", "last_long", "rows", "trivial"]


class Spec(ExperimentInputSpec):
    """The same six inputs."""

    a: float = Field(ge=0, le=1)
    b: float = Field(ge=0, le=1)
    c: float = Field(ge=0, le=1)
    d: float = Field(ge=0, le=1)
    n: int = Field(ge=0)
    kind: str


class Out(ExperimentOutputSpec):
    """The same four outputs."""

    w: float
    x: float
    y: float
    z: float


@ExperimentRegistry.Register(retries=0)
def trivial(input_spec: Spec) -> Out:
    """Return the outputs, as our task."""
    s = input_spec
    return Out(w=s.a + s.b, x=s.c * s.d, y=s.a - s.d, z=float(s.n % 7))


class Trial(ExperimentInputSpec):
    """A spec that lasts, and what goes wrong with it."""

    k: int
    seconds: float
    fate: str = "fine"


class Lasted(ExperimentOutputSpec):
    """Its number."""

    k: int


@ExperimentRegistry.Register(retries=0, execution_timeout=1)
def last(input_spec: Trial) -> Lasted:
    """Return the number, within a second."""
    return Lasted(k=try_out(input_spec.k, input_spec.seconds, input_spec.fate))


@ExperimentRegistry.Register(retries=0)
def last_long(input_spec: Trial) -> Lasted:
    """Return the number."""
    return Lasted(k=try_out(input_spec.k, input_spec.seconds, input_spec.fate))
