"""The closed form against the physics that it stands for."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from borehole.model import borehole_flow

LOW = (0.05, 100.0, 63070.0, 990.0, 63.1, 700.0, 1120.0, 9855.0)
HIGH = (0.15, 50000.0, 115600.0, 1110.0, 116.0, 820.0, 1680.0, 12045.0)
NAMES = (
    "radius",
    "influence_radius",
    "upper_transmissivity",
    "upper_head",
    "lower_transmissivity",
    "lower_head",
    "length",
    "conductivity",
)


def two_heads(point: tuple[float, ...]) -> float:
    """Return the flow from the heads at both ends of the borehole, found from the balance of water at each.

    Thiem's radial flow in the aquifers, 2 pi T dH / ln(r / rw); Darcy's in the borehole, pi rw^2 K dH / L.
    """
    rw, r, tu, hu, tl, hl, length, kw = point
    upper = 2 * np.pi * tu / np.log(r / rw)
    lower = 2 * np.pi * tl / np.log(r / rw)
    down = np.pi * rw**2 * kw / length
    top, bottom = np.linalg.solve(
        [[upper + down, -down], [-down, lower + down]], [upper * hu, lower * hl]
    )
    return float(down * (top - bottom))


def test_flow_balances_at_both_ends() -> None:
    """In all 256 corners of the input space the flow agrees to 1e-9 with the solved heads."""
    for point in product(*zip(LOW, HIGH, strict=True)):
        flow = borehole_flow(**dict(zip(NAMES, point, strict=True)))
        assert flow == pytest.approx(two_heads(point), rel=1e-9)


def test_mean_flow_over_the_distributions() -> None:
    """The mean of 8192 Sobol points of the published distributions is within 0.05 % of an integral.

    The integral is our own, 73.7005 m3/year: Gauss-Legendre with 10 nodes in each of the six inputs that resist the
    flow, times the mean difference of the heads. With 14 nodes it changes by 1e-6 of itself.
    """
    radius = stats.truncnorm(*cuts(0.05, 0.15, 0.10, 0.0161812), loc=0.10, scale=0.0161812)
    log_influence = stats.truncnorm(
        *cuts(np.log(100), np.log(50000), 7.71, 1.0056), loc=7.71, scale=1.0056
    )
    others = [stats.uniform(low, high - low) for low, high in zip(LOW[2:], HIGH[2:], strict=True)]
    tu, hu, tl, hl, length, kw = others

    grids, weights = zip(
        *(nodes(dist) for dist in (radius, log_influence, tu, tl, length, kw)), strict=True
    )
    x = np.meshgrid(*grids, sparse=True, indexing="ij")
    spread = x[1] - np.log(x[0])
    flow_per_metre = 1 / (
        spread / (2 * np.pi * x[2])
        + spread / (2 * np.pi * x[3])
        + x[4] / (np.pi * x[0] ** 2 * x[5])
    )
    integral = np.einsum("abcdef,a,b,c,d,e,f->", flow_per_metre, *weights, optimize=True)
    integral *= hu.mean() - hl.mean()
    assert integral == pytest.approx(73.7005, abs=1e-4)

    points = stats.qmc.Sobol(8, seed=1).random_base2(13)
    columns = [
        dist.ppf(column)
        for dist, column in zip([radius, log_influence, *others], points.T, strict=True)
    ]
    columns[1] = np.exp(columns[1])
    flows = [
        borehole_flow(**dict(zip(NAMES, point, strict=True)))
        for point in np.transpose(columns).tolist()
    ]
    assert np.mean(flows) == pytest.approx(integral, rel=5e-4)


def cuts(low: float, high: float, mu: float, sigma: float) -> tuple[float, float]:
    """Return the bounds in standard deviations, as scipy wants them."""
    return (low - mu) / sigma, (high - mu) / sigma


def nodes(dist: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return 10 Gauss-Legendre nodes of a distribution's support and their weights, density included."""
    x, weights = np.polynomial.legendre.leggauss(10)
    low, high = dist.support()
    values = (low + high) / 2 + (high - low) / 2 * x
    return values, weights * dist.pdf(values) * (high - low) / 2
