"""How a field is sampled: `x-sample` and `x-sampling` as values. Pure: no numpy, no I/O."""

from scythe_runtime.sampling._values import (
    Choice,
    Distribution,
    Files,
    Fixed,
    IntUniform,
    Kind,
    LogNormal,
    LogUniform,
    Method,
    Normal,
    Problem,
    Sampling,
    Triangular,
    TruncNormal,
    Uniform,
    Values,
    Variable,
)
from scythe_runtime.sampling._variable import variable_from_schema
from scythe_runtime.sampling._x_sampling import sampling_from_schema

__all__ = [
    "Choice",
    "Distribution",
    "Files",
    "Fixed",
    "IntUniform",
    "Kind",
    "LogNormal",
    "LogUniform",
    "Method",
    "Normal",
    "Problem",
    "Sampling",
    "Triangular",
    "TruncNormal",
    "Uniform",
    "Values",
    "Variable",
    "sampling_from_schema",
    "variable_from_schema",
]
