"""From coordinates in (0, 1) to values: the inverse distribution functions."""

import math
from collections.abc import Sequence

import numpy as np

from scythe_runtime.sampling._points import Floats
from scythe_runtime.sampling._values import (
    Continuous,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    Triangular,
    TruncNormal,
    Uniform,
    Variable,
)

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


def real_values(variable: Variable, dist: Continuous, u: Floats) -> Floats:
    """Return the quantiles of a continuous distribution, in the variable's own unit.

    Args:
        variable: Says which bounds are excluded.
        dist: Of the values.
        u: Probabilities in (0, 1), shape (n,).

    Returns:
        Values of shape (n,) in [low, high), in (low, high) where the variable excludes its minimum.
    """
    match dist:
        case Uniform(low, high):
            values = low * (1 - u) + high * u
        case LogUniform(low, high):
            values = np.exp(math.log(low) * (1 - u) + math.log(high) * u)
        case Normal(mu, sigma):
            return _normal(u, mu, sigma)
        case TruncNormal(mu, sigma, low, high):
            values = _truncated(u, mu, sigma, low, high)
        case LogNormal(mu, sigma, low, high):
            logs = (
                None if low is None else math.log(low),
                None if high is None else math.log(high),
            )
            values = np.exp(_truncated(u, mu, sigma, *logs))
        case Triangular(low, mode, high):
            rising = low + np.sqrt(u * (high - low) * (mode - low))
            falling = high - np.sqrt((1 - u) * (high - low) * (high - mode))
            values = np.where(u * (high - low) < mode - low, rising, falling)
    return _within(variable, dist, values)


def integer_values(dist: IntUniform, u: Floats) -> Integers:
    """Return integers of which each takes an equally long part of (0, 1)."""
    count = (dist.high - dist.low) // dist.step + 1
    ranks = np.minimum((u * count).astype(np.int64), count - 1)
    return np.asarray(dist.low + dist.step * ranks, dtype=np.int64)


def ranks_by_weight(weights: Sequence[float], u: Floats) -> Integers:
    """Return which item each coordinate falls on; items take parts of (0, 1) by their weights."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    heavy = np.flatnonzero(weights)
    ranks = np.searchsorted(edges / edges[-1], u, side="right").astype(np.int64)
    within: Integers = np.minimum(ranks, heavy[-1])
    return within


def _normal(u: Floats, mu: float, sigma: float) -> Floats:
    from scipy import special

    return np.asarray(mu + sigma * special.ndtri(u))


def _truncated(u: Floats, mu: float, sigma: float, low: float | None, high: float | None) -> Floats:
    """Return quantiles of a normal distribution that is cut off, exact far out in its tails too.

    In logarithms, and from the nearer tail, as `scipy.stats.truncnorm` does, whose import takes
    longer than all else in a small run.
    """
    from scipy import special

    a = -math.inf if low is None else (low - mu) / sigma
    b = math.inf if high is None else (high - mu) / sigma
    if a > 0:
        return -_truncated(1 - u, -mu, sigma, None if high is None else -high, -(low or 0.0))
    logs = np.logaddexp(special.log_ndtr(a) + np.log1p(-u), special.log_ndtr(b) + np.log(u))
    return np.asarray(mu + sigma * special.ndtri_exp(np.minimum(logs, 0.0)))


def _within(variable: Variable, dist: Continuous, values: Floats) -> Floats:
    """Return the values with those that rounding pushed onto or over an end put back inside."""
    low: float | None = getattr(dist, "low", None)
    high: float | None = getattr(dist, "high", None)
    if low is not None and variable.low_open and low == variable.minimum:
        low = math.nextafter(low, math.inf)
    last = None if high is None else math.nextafter(high, -math.inf)
    return values if low is None and last is None else np.clip(values, low, last)
