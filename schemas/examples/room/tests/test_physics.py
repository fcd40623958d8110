"""The model against figures that were not computed with it."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from room import model, weather

GREENSBORO = Path(__file__).parents[1] / "artifacts" / "weather" / "greensboro.csv"


USUAL = model.Room(
    orientation="south",
    construction="medium",
    window_share=0.5,
    u_wall=0.3,
    air_changes=1.0,
    occupants=2,
    night_ventilation=True,
    heating_setpoint=20.0,
)


@pytest.mark.parametrize(
    ("utc", "latitude_deg", "longitude_deg", "zenith_deg", "azimuth_deg"),
    [
        # Reda and Andreas (2004), Solar Position Algorithm for Solar Radiation Applications, NREL/TP-560-34302,
        # the report's example: azimuth, and the elevation before refraction, 39.872046 degrees.
        ("2003-10-17T19:30:30", 39.742476, -105.1786, 90 - 39.872046, 194.34024),
        # The same algorithm as written in pvlib 0.16.1.
        ("1988-06-21T15:00", 36.1, -79.95, 33.0078, 102.6354),
        ("1997-12-21T21:30", 55.317, -160.517, 80.1801, 163.6508),
        ("1999-03-20T18:00", 36.1, -79.95, 37.0168, 193.6507),
        ("2005-01-15T16:00", 36.1, -79.95, 60.9071, 156.0428),
        ("1991-07-04T20:00", 55.317, -160.517, 44.6340, 119.4514),
    ],
)
def test_sun_stands_where_the_almanac_says(
    utc: str, latitude_deg: float, longitude_deg: float, zenith_deg: float, azimuth_deg: float
) -> None:
    """Our sun is at most 0.02 degrees from NREL's algorithm, which is exact to 0.0003."""
    east, north, up = weather.sun_direction(
        np.array([utc], "datetime64[s]"), latitude_deg, longitude_deg
    )[:, 0]
    assert np.degrees(np.arccos(up)) == pytest.approx(zenith_deg, abs=0.02)
    assert np.degrees(np.arctan2(east, north)) % 360 == pytest.approx(azimuth_deg, abs=0.02)


@pytest.mark.parametrize(
    ("orientation", "kwh_per_m2"),
    [("north", 517.592), ("east", 877.946), ("south", 1084.801), ("west", 888.781)],
)
def test_sun_on_a_wall_adds_up_to_what_pvlib_finds(orientation: str, kwh_per_m2: float) -> None:
    """A year in Greensboro is within 0.05 % of pvlib 0.16.1: NREL's sun, even sky, albedo 0.2, no beam below the horizon."""
    irradiance = weather.facade_irradiance(weather.read_weather(GREENSBORO), orientation)
    assert irradiance.sum() / 1000 == pytest.approx(kwh_per_m2, rel=5e-4)


@cache
def three_balances(room: model.Room) -> tuple[float, float, float, float, int]:
    """Return the five outputs, found by solving the three heat balances of each hour as they stand.

    Written from the network and the values in EN ISO 13790:2008, without the closed formulas of its Annex C, and with
    none of the model's constants: the only thing shared is the sunshine, which is checked above.
    """
    year = weather.read_weather(GREENSBORO)
    mass_area, capacity = {
        "very_light": (50.0, 1.60e6),
        "light": (50.0, 2.20e6),
        "medium": (50.0, 3.30e6),
        "heavy": (60.0, 5.20e6),
        "very_heavy": (70.0, 7.40e6),
    }[room.construction]
    window_area = 10.8 * room.window_share
    h_is, h_ms, h_w = 310.5, 9.1 * mass_area, 1.3 * window_area
    wall = room.u_wall * (10.8 - window_area)
    h_em = wall * h_ms / (h_ms - wall)
    clock = np.arange(8760) % 24
    people = np.where((clock >= 8) & (clock < 18), 155.0 * room.occupants, 0.0)
    sun = 0.378 * window_area * weather.facade_irradiance(year, room.orientation)
    inside = people / 2 + sun
    sources = np.stack(
        [
            people / 2,
            inside * (1 - mass_area / 90 - h_w / (9.1 * 90)),
            inside * mass_area / 90,
        ],
        axis=1,
    )

    def system(air_changes: float) -> tuple[np.ndarray, np.ndarray]:
        h_ve = 18.0 * air_changes
        return np.linalg.inv(
            [
                [h_ve + h_is, -h_is, 0],
                [-h_is, h_is + h_w + h_ms, -h_ms / 2],
                [0, -h_ms, capacity / 3600 + (h_em + h_ms) / 2],
            ]
        ), np.array([h_ve, h_w, h_em])

    day, night = system(room.air_changes), system(room.air_changes + 4)
    before = np.array([0, h_ms / 2, capacity / 3600 - (h_em + h_ms) / 2])
    air, mass = room.heating_setpoint, room.heating_setpoint
    heat, warm = [], 0
    for hour in [*range(8760 - 336, 8760), *range(8760)]:
        outdoor = year.outdoor[hour]
        is_open = (
            room.night_ventilation
            and (clock[hour] >= 22 or clock[hour] < 6)
            and outdoor > 12
            and air > 22
            and air > outdoor + 2
        )
        inverse, to_outdoor = night if is_open else day
        free = inverse @ (sources[hour] + to_outdoor * outdoor + before * mass)
        power = (np.clip(free[0], room.heating_setpoint, 25) - free[0]) / inverse[0, 0]
        air, surface, mass = free + inverse[:, 0] * power
        heat.append(power / 20)
        warm += bool(0.3 * air + 0.7 * surface > 26)
        if hour == 8759 and len(heat) == 336:
            heat, warm = [], 0
    watts = np.array(heat)
    heating, cooling = watts.clip(min=0), -watts.clip(max=0)
    return heating.sum() / 1000, cooling.sum() / 1000, heating.max(), cooling.max(), warm


@pytest.mark.parametrize(
    "case",
    [
        replace(USUAL, construction="very_light", orientation="west", u_wall=1.2),
        replace(USUAL, construction="light", window_share=0.8, night_ventilation=False),
        replace(USUAL, construction="medium", orientation="north", air_changes=2.5, occupants=4),
        replace(USUAL, construction="heavy", occupants=0, heating_setpoint=18.0),
        replace(USUAL, construction="very_heavy", orientation="east"),
    ],
    ids=lambda case: case.construction,
)
def test_year_is_what_the_three_balances_give(case: model.Room) -> None:
    """All outputs of a year agree to 1e-6 with an independent solution of the same network."""
    hours = model.balance(case, weather.read_weather(GREENSBORO))
    ours = model.yearly_results(hours)
    heating, cooling, peak_heating, peak_cooling, warm = three_balances(case)
    assert ours.heating_demand == pytest.approx(heating, rel=1e-6)
    assert ours.cooling_demand == pytest.approx(cooling, rel=1e-6)
    assert ours.peak_heating == pytest.approx(peak_heating, rel=1e-6)
    assert ours.peak_cooling == pytest.approx(peak_cooling, rel=1e-6)
    assert ours.hours_above_26 == warm


def test_no_heat_is_lost_or_made() -> None:
    """What flows into the room in an hour is what its mass takes up, to 1e-9 of the flows."""
    hours = model.balance(USUAL, weather.read_weather(GREENSBORO))
    inflow = hours.hvac + hours.gains + hours.ventilation + hours.window + hours.wall
    stored = hours.capacity * (hours.mass_end - hours.mass_start) / 3600
    assert np.abs(inflow - stored).max() < 1e-9 * np.abs(hours.gains).max()


def test_steady_frost_needs_the_power_of_a_hand_calculation() -> None:
    """At 0 degC without sun and people the heating makes up for ventilation, window and wall, to 1e-9."""
    dark, frost = np.zeros(8760), np.zeros(8760)
    start = np.datetime64("2001-01-01T00") + np.arange(8760)
    winter = weather.Weather(36.1, -79.95, -5.0, start, frost, dark, dark, dark)
    hours = model.balance(replace(USUAL, occupants=0), winter)
    # 1 air change of 54 m3; 5.4 m2 of window at 1.3 and of wall at 0.3 W/(m2 K) behind the film of 90 m2 of surface.
    conductance = 1200 * 54 / 3600 + 1 / (1 / (3.45 * 90) + 1 / (5.4 * 1.3 + 5.4 * 0.3))
    assert hours.hvac[-1] == pytest.approx(20 * conductance, rel=1e-9)
