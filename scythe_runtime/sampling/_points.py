"""Points in the unit cube, a variable an axis: the part of a design that spreads the samples."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np

from scythe_runtime.errors import DesignError
from scythe_runtime.sampling._values import Method

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

# Inverse distribution functions are infinite at 0 and 1.
_FIRST: Final = 2.0**-53
_LAST: Final = 1 - 2.0**-53
_SOBOL_BITS: Final = 30


def unit_points(method: Method, names: Sequence[str], n: int, *, seed: int) -> dict[str, Floats]:
    """Return n coordinates in (0, 1) for each axis.

    lhs and random draw each axis from its own stream, named by seed and axis, so that an axis keeps
    its values when others come, go or change places. sobol and halton give axis i the i-th
    dimension of their sequence, scrambled.

    Args:
        method: lhs, sobol, halton or random.
        names: Of the axes.
        n: Number of points, at least 1.
        seed: At least 0.

    Raises:
        DesignError: The sequence has no that many axes or points.

    Source:
        lhs: McKay, Beckman & Conover (1979), Technometrics 21, 239-245.
        sobol: Sobol' (1967), USSR Comput. Math. Math. Phys. 7, 86-112, with the directions of
        Joe & Kuo (2008), SIAM J. Sci. Comput. 30, 2635-2654, scrambled after Matousek (1998),
        J. Complexity 14, 527-556.
        halton: Halton (1960), Numer. Math. 2, 84-90, scrambled after Owen (2017),
        arXiv:1706.02808.
    """
    if method == "random":
        return {name: _inside(_stream(seed, name).random(n)) for name in names}
    if method == "lhs":
        return {name: _inside(_latin(_stream(seed, name), n)) for name in names}
    if not names:
        return {}
    from scipy.stats import qmc

    rng = np.random.default_rng(seed)
    if method == "halton":
        points = qmc.Halton(d=len(names), rng=rng).random(n)
    else:
        points = _sobol(len(names), n, rng)
    return {name: _inside(points[:, axis]) for axis, name in enumerate(names)}


def _latin(rng: np.random.Generator, n: int) -> Floats:
    """Return one coordinate in each of n equal parts of (0, 1), in random order.

    Axes are independent of each other, so a Latin hypercube is one of these an axis. Two lines in
    place of `qmc.LatinHypercube`: importing scipy.stats takes longer than all else in a small run.
    """
    return (rng.permutation(n) + rng.random(n)) / n


def _sobol(
    d: int, n: int, rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    from scipy.stats import qmc

    if d > qmc.Sobol.MAXDIM or n > 2**_SOBOL_BITS:
        message = (
            f"sobol has at most {qmc.Sobol.MAXDIM} variables and 2^{_SOBOL_BITS} samples, "
            f"not {d} and {n}; use method lhs or random"
        )
        raise DesignError(message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `draw` says it in words that help
        return qmc.Sobol(d=d, bits=_SOBOL_BITS, rng=rng).random(n)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Return a stream of random numbers that belongs to this seed and this name alone."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "little")])


def _inside(points: Floats) -> Floats:
    return np.clip(points, _FIRST, _LAST)
