"""Designs of experiments: how inputs are drawn, and drawing them."""

from scythe_runtime.sampling._draw import draw
from scythe_runtime.sampling._preview import preview
from scythe_runtime.sampling.rules import (
    Choice,
    Files,
    Fixed,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    Sampling,
    Triangular,
    TruncNormal,
    Uniform,
    Values,
    Variable,
)

__all__ = [
    "Choice",
    "Files",
    "Fixed",
    "IntUniform",
    "LogNormal",
    "LogUniform",
    "Normal",
    "Sampling",
    "Triangular",
    "TruncNormal",
    "Uniform",
    "Values",
    "Variable",
    "draw",
    "preview",
]
