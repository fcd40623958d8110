"""The front door of sampling. Cheap to import: numpy, scipy and arrow come with the first draw."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scythe_runtime.errors import DesignError
from scythe_runtime.sampling._checks import is_integer
from scythe_runtime.sampling._values import (
    Choice,
    Continuous,
    Fixed,
    IntUniform,
    Sampling,
    Variable,
)

if TYPE_CHECKING:
    from typing import Any

    import pyarrow as pa

    from scythe_runtime.sampling._points import Floats


def draw(
    variables: Sequence[Variable],
    sampling: Sampling,
    *,
    n: int | None = None,
    seed: int | None = None,
    root: Path | None = None,
) -> "pa.Table":
    """Return a design of experiments, one row a sample.

    Args:
        variables: The inputs; those with nothing to draw from are left out when they are optional.
        sampling: Method, n, seed and path of the definition.
        n: Number of samples instead of the definition's. For a grid the most rows; for csv the
            first n rows of the file (all of them when None).
        seed: Instead of the definition's.
        root: The folder in which relative paths and patterns of files begin; the working directory
            when None.

    Returns:
        Table of n rows, columns in the order of `variables`: float64, int64, bool or string
        (dates, times and files as text). Numbers are in [low, high), in the input's own unit.

    Raises:
        DesignError: The design cannot be drawn; the message has a line for each reason.

    Source:
        McKay, Beckman & Conover (1979), Technometrics 21, 239-245 (lhs); Sobol' (1967), USSR
        Comput. Math. Math. Phys. 7, 86-112; Halton (1960), Numer. Math. 2, 84-90.
    """
    _refuse_names_that_repeat(variables)
    count = _whole("n", sampling.n if n is None else n, least=1)
    seed = _whole("seed", sampling.seed if seed is None else seed, least=0)
    root = Path.cwd() if root is None else Path(root)
    if sampling.method == "csv":
        from scythe_runtime.sampling._csv import csv_table

        if sampling.path is None:
            raise DesignError("method csv needs the path of a file")
        return csv_table(variables, sampling.path, root, n=None if n is None else count)

    variables = [item for item in variables if item.required or item.dist is not None]
    levels = _levels(variables, root)
    import pyarrow as pa

    if sampling.method == "grid":
        from scythe_runtime.sampling._grid import grid_columns

        columns = grid_columns(variables, levels, n=count, may_cut=n is not None)
    else:
        from scythe_runtime.sampling._points import unit_points

        if sampling.method == "sobol" and count & (count - 1):
            message = (
                f"sobol points are balanced only for a power of two, which {count} is not; "
                f"take n {1 << count.bit_length()} or {1 << count.bit_length() - 1}"
            )
            warnings.warn(message, UserWarning, stacklevel=2)
        axes = [item.name for item in variables if not isinstance(item.dist, Fixed)]
        points = unit_points(sampling.method, axes, count, seed=seed)
        columns = [
            _column(item, levels[item.name], points.pop(item.name, None), count)
            for item in variables
        ]
    return pa.table(columns, names=[item.name for item in variables])


def _column(
    variable: Variable, levels: "tuple[Any, ...] | None", u: "Floats | None", n: int
) -> "pa.Array":
    """Return a column of n values; u are its coordinates, None for a constant."""
    import numpy as np

    from scythe_runtime.sampling._columns import from_numpy, from_values, repeated
    from scythe_runtime.sampling._inverse import integer_values, ranks_by_weight, real_values

    dist = variable.dist
    if levels is not None:
        if u is None:
            return repeated(from_values(variable.kind, levels), np.zeros(n, dtype=np.int64))
        weights = dist.weights if isinstance(dist, Choice) else None
        ranks = ranks_by_weight(weights or [1.0] * len(levels), u)
        return repeated(from_values(variable.kind, levels), ranks)
    assert u is not None
    if isinstance(dist, IntUniform):
        values = integer_values(dist, u)
        return from_numpy(values.astype(np.float64) if variable.kind == "number" else values)
    assert isinstance(dist, Continuous)
    return from_numpy(real_values(variable, dist, u))


def _levels(variables: Sequence[Variable], root: Path) -> "dict[str, tuple[Any, ...] | None]":
    """Return the listed values of each variable, None for a range.

    Raises:
        DesignError: Variables cannot be drawn; all of them are named.
    """
    from scythe_runtime.sampling._levels import levels_of

    found = {variable.name: levels_of(variable, root) for variable in variables}
    problems = [message for _, messages in found.values() for message in messages]
    if not found:
        problems.append("there is no input to sample")
    if problems:
        raise DesignError("\n".join(problems))
    return {name: levels for name, (levels, _) in found.items()}


def _refuse_names_that_repeat(variables: Sequence[Variable]) -> None:
    names = [variable.name for variable in variables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DesignError(f"variables stand twice: {', '.join(twice)}")


def _whole(name: str, value: object, *, least: int) -> int:
    if not is_integer(value) or value < least:
        raise DesignError(f"{name} {value!r} is not a whole number of at least {least}")
    return value
