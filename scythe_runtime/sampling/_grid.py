"""Full factorial designs: every combination of the variables' levels."""

import math
import warnings
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scythe_runtime.errors import DesignError
from scythe_runtime.sampling._columns import from_numpy, from_values, repeated
from scythe_runtime.sampling._inverse import real_values
from scythe_runtime.sampling._values import Continuous, IntUniform, LogUniform, Uniform, Variable


def grid_columns(
    variables: Sequence[Variable],
    levels: Mapping[str, tuple[Any, ...] | None],
    *,
    n: int,
    may_cut: bool,
) -> list[pa.Array]:
    """Return every combination of levels, the last variable changing fastest.

    Listed values are levels as they stand. Ranges share one number of levels, the most with which
    the grid has at most n rows, and at least 2. A uniform or loguniform range is cut at evenly
    spaced points (by difference or by ratio), both ends included; where an end is excluded, and
    for other distributions, its levels are the middles of equally probable parts.

    Args:
        variables: Each with a distribution.
        levels: The listed values of each variable by name; None for a range.
        n: The most rows.
        may_cut: Whether the first n rows are wanted, with a warning, when the smallest grid has
            more.

    Raises:
        DesignError: The smallest grid has more than n rows, and `may_cut` is false.
    """

    def count(variable: Variable, k: int) -> int:
        listed = levels[variable.name]
        if listed is not None:
            return len(listed)
        dist = variable.dist
        if isinstance(dist, IntUniform):
            return min(k, (dist.high - dist.low) // dist.step + 1)
        return k

    def size(k: int) -> int:
        return math.prod(count(variable, k) for variable in variables)

    k = max(2, 1 + bisect_right(range(2, n + 1), n, key=size))
    counts = [count(variable, k) for variable in variables]
    rows = math.prod(counts)
    if rows > n:
        _refuse_or_warn(variables, counts, rows, n, may_cut=may_cut)
    row = np.arange(min(rows, n))
    columns = []
    stride = rows
    for variable, own in zip(variables, counts, strict=True):
        stride //= own
        values = _levels(variable, levels[variable.name], own)
        columns.append(repeated(values, row // min(stride, len(row)) % own))
    return columns


def _refuse_or_warn(
    variables: Sequence[Variable], counts: Sequence[int], rows: int, n: int, *, may_cut: bool
) -> None:
    sizes = " x ".join(
        f"{variable.name} {own}" for variable, own in zip(variables, counts, strict=True) if own > 1
    )
    if not may_cut:
        message = f"the smallest grid has {rows} rows ({sizes}), more than n {n}. "
        raise DesignError(message + "Raise n in x-sampling, list fewer values, or use method lhs")
    if n > 1:
        message = f"the smallest grid has {rows} rows ({sizes}); these are its first {n}"
        warnings.warn(message, UserWarning, stacklevel=4)


def _levels(variable: Variable, listed: tuple[Any, ...] | None, count: int) -> pa.Array:
    """Return the levels of one variable as a column."""
    if listed is not None:
        return from_values(variable.kind, listed)
    dist = variable.dist
    if isinstance(dist, IntUniform):
        most = (dist.high - dist.low) // dist.step
        ranks = np.rint(np.linspace(0, most, count)).astype(np.int64)
        values = dist.low + dist.step * ranks
        return from_numpy(values.astype(np.float64) if variable.kind == "number" else values)
    assert isinstance(dist, Continuous)
    if isinstance(dist, Uniform | LogUniform) and not _ends_excluded(variable, dist):
        space = np.linspace if isinstance(dist, Uniform) else np.geomspace
        return from_numpy(space(dist.low, dist.high, count))
    return from_numpy(real_values(variable, dist, (np.arange(count) + 0.5) / count))


def _ends_excluded(variable: Variable, dist: Uniform | LogUniform) -> bool:
    return (variable.low_open and dist.low == variable.minimum) or (
        variable.high_open and dist.high == variable.maximum
    )
