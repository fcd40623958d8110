"""One room over a year: the simple hourly method of EN ISO 13790:2008 in numpy.

Heat flows between outdoor air and three points of the room: its air, its inner surfaces and the mass of its
construction. Outdoor air, which is also the supply air, and the heat sources are given for each hour.

    outdoor --h_ve-- air --h_is-- surface --h_ms-- mass (capacity) --h_em-- outdoor
                                  surface --h_w--- outdoor (window)

The hour is one Crank-Nicolson step of the mass temperature; heating and cooling keep the air of each hour
inside the set points, without a limit of power. Numbers of equations are those of the standard.

Left out: shading, solar heat on opaque walls, radiation to the sky, humidity, heat to neighbouring rooms (they are
equally warm).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .weather import Series, Weather, facade_irradiance

# The room: 4 m wide, 5 m deep, 2.7 m high, with one outer wall.
FLOOR_AREA_M2 = 20.0
VOLUME_M3 = 54.0
FACADE_AREA_M2 = 10.8

# Values that EN ISO 13790:2008 gives for the simple hourly method; the two tables are its table 12.
AIR_HEAT_CAPACITY = 1200.0  # J/(m3 K)
H_AIR_SURFACE = 3.45  # W/(m2 K)
H_SURFACE_MASS = 9.1  # W/(m2 K)
SURFACE_PER_FLOOR_AREA = 4.5
GAIN_TO_AIR = 0.5  # share of the internal gains
INCIDENCE_FACTOR = 0.9  # of the g-value, since the sun hardly ever stands square to the window
AIR_SHARE_OF_OPERATIVE = 0.3  # (C.12); the rest is that of the surfaces
MASS_AREA_PER_FLOOR_AREA = {
    "very_light": 2.5,
    "light": 2.5,
    "medium": 2.5,
    "heavy": 3.0,
    "very_heavy": 3.5,
}
CAPACITY_PER_FLOOR_AREA = {  # J/(m2 K)
    "very_light": 80e3,
    "light": 110e3,
    "medium": 165e3,
    "heavy": 260e3,
    "very_heavy": 370e3,
}

# Assumptions of this example.
WINDOW_U = 1.3  # W/(m2 K), double glazing with a low-emissivity coating
WINDOW_G = 0.6
GLAZED_SHARE = 0.7  # of the window; the rest is frame
PERSON_W = 75.0  # sensible heat, office work
DEVICES_W = 80.0  # per person
WORK_HOURS = (8, 18)
NIGHT_HOURS = (22, 6)
NIGHT_AIR_CHANGES = 4.0  # 1/h, on top of the usual
NIGHT_ROOM_ABOVE_DEGC = 22.0
NIGHT_OUTDOOR_COOLER_K = 2.0
NIGHT_OUTDOOR_ABOVE_DEGC = 12.0
COOLING_SETPOINT_DEGC = 25.0
WARM_DEGC = 26.0
WARM_UP_HOURS = 14 * 24  # the end of the year, run first, so that the start is not a guess


@dataclass(frozen=True, slots=True)
class Room:
    """What distinguishes one room from another; units as in io.yaml."""

    orientation: str
    construction: str
    window_share: float
    u_wall: float
    air_changes: float
    occupants: int
    night_ventilation: bool
    heating_setpoint: float


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """Temperatures (degC) and heat flows (W, positive into the room) of each hour.

    Attributes:
        mass_start: Temperature of the mass at the beginning of the hour; the other temperatures are means of the hour.
        mass_end: And at its end.
        hvac: Heating, or cooling where negative.
        gains: Sun and people.
        ventilation: Heat that comes in with the air.
        window: Heat that comes in through the window by conduction, and the share of the gains that
            it lets out again.
        wall: Heat that comes in through the wall.
        capacity: Heat that the mass takes up, J/K.
    """

    air: Series
    surface: Series
    mass_start: Series
    mass_end: Series
    hvac: Series
    gains: Series
    ventilation: Series
    window: Series
    wall: Series
    capacity: float


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """An hour as linear functions of the mass temperature before it, for one rate of ventilation.

    Without heating: mass after = decay * mass + drive, air = slope * mass + offset. A watt of heating adds
    `mass_per_watt` and `air_per_watt`.
    """

    h_ve: float
    decay: float
    drive: Series
    mass_per_watt: float
    slope: float
    offset: Series
    air_per_watt: float


class _Network:
    """The conductances of a room (W/K) and the heat sources at its points (W)."""

    def __init__(self, room: Room, weather: Weather) -> None:
        surface_area = SURFACE_PER_FLOOR_AREA * FLOOR_AREA_M2
        mass_area = MASS_AREA_PER_FLOOR_AREA[room.construction] * FLOOR_AREA_M2
        window_area = room.window_share * FACADE_AREA_M2
        self.capacity = CAPACITY_PER_FLOOR_AREA[room.construction] * FLOOR_AREA_M2
        self.h_is = H_AIR_SURFACE * surface_area
        self.h_ms = H_SURFACE_MASS * mass_area
        self.h_w = WINDOW_U * window_area
        self.h_em = 1 / (1 / (room.u_wall * (FACADE_AREA_M2 - window_area)) - 1 / self.h_ms)

        self.outdoor = weather.outdoor
        self.hour = weather.hour_start.astype(int) % 24
        working = (self.hour >= WORK_HOURS[0]) & (self.hour < WORK_HOURS[1])
        internal = (PERSON_W + DEVICES_W) * room.occupants * working
        aperture = WINDOW_G * INCIDENCE_FACTOR * GLAZED_SHARE * window_area
        solar = aperture * facade_irradiance(weather, room.orientation)
        self.gains = internal + solar
        self.to_air = GAIN_TO_AIR * internal  # (C.1)
        rest = self.gains - self.to_air
        self.to_mass = mass_area / surface_area * rest  # (C.2)
        lost = self.h_w / (H_SURFACE_MASS * surface_area) * rest
        self.to_surface = rest - self.to_mass - lost  # (C.3)

    def step(self, air_changes: float) -> _Step:
        """Return the hours as linear functions for that rate of ventilation (1/h): equations C.4 to C.11."""
        h_ve = AIR_HEAT_CAPACITY * air_changes * VOLUME_M3 / 3600
        h_1 = 1 / (1 / h_ve + 1 / self.h_is)
        h_2 = h_1 + self.h_w
        h_3 = 1 / (1 / h_2 + 1 / self.h_ms)
        storage = self.capacity / 3600
        inertia = storage + (h_3 + self.h_em) / 2
        at_surface = (
            self.to_surface + self.h_w * self.outdoor + h_1 * (self.outdoor + self.to_air / h_ve)
        )
        decay = (storage - (h_3 + self.h_em) / 2) / inertia
        drive = (self.to_mass + self.h_em * self.outdoor + h_3 / h_2 * at_surface) / inertia
        mass_per_watt = h_3 / h_2 * h_1 / h_ve / inertia
        air_per_surface = self.h_is / (self.h_is + h_ve) / (self.h_ms + h_2)
        return _Step(
            h_ve=h_ve,
            decay=decay,
            drive=drive,
            mass_per_watt=mass_per_watt,
            slope=air_per_surface * self.h_ms * (1 + decay) / 2,
            offset=air_per_surface * (self.h_ms * drive / 2 + at_surface)
            + (h_ve * self.outdoor + self.to_air) / (self.h_is + h_ve),
            air_per_watt=air_per_surface * (self.h_ms * mass_per_watt / 2 + h_1 / h_ve)
            + 1 / (self.h_is + h_ve),
        )


def balance(room: Room, weather: Weather) -> Balance:
    """Return the heat balance of each hour of the year.

    At night the window of a room with night ventilation is open for an hour when the room's air was warm in the
    hour before and outdoor air is cooler, but not cold.
    """
    net = _Network(room, weather)
    day = net.step(room.air_changes)
    night = net.step(room.air_changes + NIGHT_AIR_CHANGES) if room.night_ventilation else day
    at_night = (net.hour >= NIGHT_HOURS[0]) | (net.hour < NIGHT_HOURS[1])
    may_open = room.night_ventilation & at_night & (weather.outdoor > NIGHT_OUTDOOR_ABOVE_DEGC)
    opens_above = np.where(
        may_open,
        np.maximum(NIGHT_ROOM_ABOVE_DEGC, weather.outdoor + NIGHT_OUTDOOR_COOLER_K),
        np.inf,
    )
    air, hvac, is_open, mass = _march(day, night, opens_above, room.heating_setpoint)
    mass_start, mass_end = mass[:-1], mass[1:]
    ventilation = np.where(is_open, night.h_ve, day.h_ve) * (net.outdoor - air)
    surface = air - (net.to_air + hvac + ventilation) / net.h_is
    lost = net.gains - net.to_air - net.to_mass - net.to_surface
    return Balance(
        air=air,
        surface=surface,
        mass_start=mass_start,
        mass_end=mass_end,
        hvac=hvac,
        gains=net.gains,
        ventilation=ventilation,
        window=net.h_w * (net.outdoor - surface) - lost,
        wall=net.h_em * (net.outdoor - (mass_start + mass_end) / 2),
        capacity=net.capacity,
    )


def _march(
    day: _Step, night: _Step, opens_above: Series, heating_setpoint: float
) -> tuple[Series, Series, NDArray[np.bool_], Series]:
    """Return each hour's air temperature, heating power and open window, and the mass's temperature at their n + 1 ends.

    Plain floats in a plain loop: each hour needs the one before, and numpy is slow on single numbers.
    """

    def hours(values: Series) -> list[float]:
        return [*values[-WARM_UP_HOURS:].tolist(), *values.tolist()]

    mass = air = heating_setpoint
    airs, powers, opened, masses = [], [], [], [mass]
    for drive, offset, night_drive, night_offset, threshold in zip(
        hours(day.drive),
        hours(day.offset),
        hours(night.drive),
        hours(night.offset),
        hours(opens_above),
        strict=True,
    ):
        is_open = air > threshold
        if is_open:
            step = night
            air = night.slope * mass + night_offset
            mass = night.decay * mass + night_drive
        else:
            step = day
            air = day.slope * mass + offset
            mass = day.decay * mass + drive
        power = 0.0
        if air < heating_setpoint:
            power = (heating_setpoint - air) / step.air_per_watt
            air = heating_setpoint
        elif air > COOLING_SETPOINT_DEGC:
            power = (COOLING_SETPOINT_DEGC - air) / step.air_per_watt
            air = COOLING_SETPOINT_DEGC
        mass += power * step.mass_per_watt
        airs.append(air)
        powers.append(power)
        opened.append(is_open)
        masses.append(mass)
    year = slice(WARM_UP_HOURS, None)
    return (
        np.array(airs[year]),
        np.array(powers[year]),
        np.array(opened[year]),
        np.array(masses[year]),
    )


@dataclass(frozen=True, slots=True)
class YearlyResults:
    """The outputs; units as in io.yaml."""

    heating_demand: float
    cooling_demand: float
    peak_heating: float
    peak_cooling: float
    hours_above_26: int


def yearly_results(hours: Balance) -> YearlyResults:
    """Return demands (kWh/m2), peaks (W/m2) and warm hours of a year's balance."""
    power = hours.hvac / FLOOR_AREA_M2
    heating, cooling = np.maximum(power, 0), np.maximum(-power, 0)
    operative = AIR_SHARE_OF_OPERATIVE * hours.air + (1 - AIR_SHARE_OF_OPERATIVE) * hours.surface
    return YearlyResults(
        heating_demand=float(heating.sum()) / 1000,
        cooling_demand=float(cooling.sum()) / 1000,
        peak_heating=float(heating.max()),
        peak_cooling=float(cooling.max()),
        hours_above_26=int((operative > WARM_DEGC).sum()),
    )
