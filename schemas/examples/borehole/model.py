"""Flow of water through a borehole that joins two aquifers, in closed form."""

from math import log, pi


def borehole_flow(
    *,
    radius: float,
    influence_radius: float,
    upper_transmissivity: float,
    upper_head: float,
    lower_transmissivity: float,
    lower_head: float,
    length: float,
    conductivity: float,
) -> float:
    """Return the flow in m3/year; arguments in m, m2/year (transmissivities) and m/year (conductivity).

    Source: Harper and Gupta (1983), BMI/ONWI-516; Morris, Mitchell and Ylvisaker (1993), Technometrics 35, 243-255.
    """
    spread = log(influence_radius / radius)
    borehole = 2 * length * upper_transmissivity / (spread * radius**2 * conductivity)
    lower = upper_transmissivity / lower_transmissivity
    head = upper_head - lower_head
    return 2 * pi * upper_transmissivity * head / (spread * (1 + borehole + lower))
