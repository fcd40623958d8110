"""The model against figures that were not computed with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pv import model

GREENSBORO = Path(__file__).parents[1] / "artifacts" / "weather" / "greensboro.csv"
USUAL = model.System(
    tilt=30, azimuth=180, mounting="rack", peak_power=10, inverter_ratio=1.2, losses=14
)
SYSTEMS = [
    USUAL,
    replace(USUAL, tilt=90, azimuth=100, mounting="roof", inverter_ratio=0.8, losses=0),
    replace(USUAL, tilt=0, mounting="insulated", inverter_ratio=1.8, peak_power=250),
    replace(USUAL, tilt=60, azimuth=270, losses=30),
]


def recomputed(system: model.System) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return irradiance, cell temperature and power of each hour in Greensboro, without pvlib and without the model's constants."""
    rows = [
        line.split(",") for line in GREENSBORO.read_text("utf-8").splitlines() if line[0] != "#"
    ]
    air, ghi, dni, dhi, wind = np.array([row[1:] for row in rows[1:]], float).T
    # The sun on a Kepler orbit: Meeus, Astronomical Algorithms, 2nd ed., chapters 12 and 25.
    utc = np.array([row[0] for row in rows[1:]], "datetime64[m]") + np.timedelta64(330, "m")
    days = (utc - np.datetime64("2000-01-01T12:00", "m")) / np.timedelta64(1, "D")
    mean = np.radians(280.4665 + 0.98564736 * days)
    anomaly = mean - np.radians(282.9373)
    length = mean + 2 * 0.016709 * np.sin(anomaly) + 1.25 * 0.016709**2 * np.sin(2 * anomaly)
    obliquity = np.radians(23.4393)
    declination = np.arcsin(np.sin(obliquity) * np.sin(length))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(length), np.cos(length))
    hour = np.radians(280.46062 + 360.98564737 * days - 79.95) - ascension
    latitude = np.radians(36.1)
    across = np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * across
    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * across
    height = np.degrees(np.arcsin(up))
    # Refraction: Saemundsson's formula in Meeus, chapter 16, for a sun that is up.
    lift = 1.02 / np.tan(np.radians(height + 10.3 / (height + 5.11))) / 60
    seen = np.sin(np.radians(np.where(height > -0.5, height + lift, height)))
    # Hay and Davies (1980): the share of the sky's light that comes from around the sun.
    orbit = (1 + 0.016709 * np.cos(anomaly)) / (1 - 0.016709**2)
    around = dni / (1366.1 * orbit**2)
    slope, azimuth = np.radians(system.tilt), np.radians(system.azimuth)
    facing = np.sin(slope) * (east * np.sin(azimuth) + north * np.cos(azimuth))
    incidence = np.maximum(facing + np.cos(slope) * seen, 0)
    ratio = incidence / np.maximum(seen, 0.01745)
    sky = dhi * (around * ratio + (1 - around) * (1 + np.cos(slope)) / 2)
    poa = dni * incidence + sky + 0.2 * ghi * (1 - np.cos(slope)) / 2
    # King, Boyson and Kratochvil (2004), SAND2004-3535, table of cell and module temperatures.
    a, b, rise = {
        "rack": (-3.56, -0.075, 3),
        "roof": (-2.98, -0.0471, 1),
        "insulated": (-2.81, -0.0455, 0),
    }[system.mounting]
    cell = air + poa * np.exp(a + b * wind) + poa / 1000 * rise
    # Dobos (2014), PVWatts version 5, NREL/TP-6A20-62641: modules, losses, inverter.
    made = system.peak_power * poa / 1000 * (1 - 0.0047 * (cell - 25)) * (1 - system.losses / 100)
    limit = system.peak_power / system.inverter_ratio
    load = np.maximum(made / (limit / 0.96), 1e-12)
    efficiency = 0.96 / 0.9637 * (-0.0162 * load - 0.0059 / load + 0.9858)
    return poa, cell, np.clip(made * efficiency, 0, limit)


def year_is_recomputed(system: model.System) -> None:
    """Sums of a year agree to 0.05 %, the mean of the cells to 0.01 K, 99 hours of 100 to 0.2 % of the peak."""
    year = model.simulate_year(system, model.read_weather(GREENSBORO))
    irradiance, cell, power = recomputed(system)
    assert year.irradiance.sum() == pytest.approx(irradiance.sum(), rel=5e-4)
    assert year.cell.mean() == pytest.approx(cell.mean(), abs=0.01)
    assert year.power.sum() == pytest.approx(power.sum(), rel=5e-4)
    assert np.quantile(abs(year.power - power), 0.99) < 0.002 * system.peak_power


@pytest.mark.parametrize("system", SYSTEMS)
def test_year_is_what_our_own_code_gives(system: model.System) -> None:
    """The chain of sun, sky, cells, modules and inverter agrees with one that was written without pvlib."""
    year_is_recomputed(system)


def hour_of(system: model.System, *, cell: float, irradiance: float) -> float:
    """Return the power (kW) of a flat system under the given light from above with cells of that temperature."""
    at_noon = model.read_weather(GREENSBORO)
    one = np.ones(1)
    air = cell - irradiance * np.exp(-3.56) - 3 * irradiance / 1000  # no wind, on a rack
    hour = replace(
        at_noon,
        **dict.fromkeys(("wind", "zenith", "azimuth", "dni"), one * 0),
        temperature=one * air,
        ghi=one * irradiance,
        dhi=one * irradiance,
        extraterrestrial=one * 1366,
    )
    return float(model.simulate_year(system, hour).power[0])


def flat_hours_are_by_hand() -> None:
    """Three hours as PVWatts's manual has them, calculated by hand."""
    flat = replace(USUAL, tilt=0, inverter_ratio=0.8, losses=0)
    # 10 kW of modules at 1000 W/m2 and 25 degC, on an inverter of 12.5 kW: a load of 0.768
    efficiency = 0.96 / 0.9637 * (-0.0162 * 0.768 - 0.0059 / 0.768 + 0.9858)
    assert hour_of(flat, cell=25, irradiance=1000) == pytest.approx(10 * efficiency, rel=1e-9)
    # 20 K hotter: 9.4 % less made; the inverter is a little less loaded
    load = 0.768 * 0.906
    efficiency = 0.96 / 0.9637 * (-0.0162 * load - 0.0059 / load + 0.9858)
    assert hour_of(flat, cell=45, irradiance=1000) == pytest.approx(9.06 * efficiency, rel=1e-9)
    # an inverter of 5 kW gives 5 kW
    small = replace(flat, inverter_ratio=2)
    assert hour_of(small, cell=25, irradiance=1000) == pytest.approx(5, rel=1e-9)


def test_hours_by_hand() -> None:
    """Standard test conditions, hot cells and a full inverter give what the equations give by hand."""
    flat_hours_are_by_hand()


def all_figures() -> None:
    """Compare with everything."""
    for system in SYSTEMS:
        year_is_recomputed(system)
    flat_hours_are_by_hand()


CHANGES: list[tuple[str, Callable[[], object]]] = [
    ("POWER_PER_KELVIN", lambda: model.POWER_PER_KELVIN * 1.02),
    ("INVERTER_EFFICIENCY", lambda: model.INVERTER_EFFICIENCY * 1.02),
    ("ALBEDO", lambda: model.ALBEDO * 1.02),
    *(
        ("CELL_TEMPERATURE", lambda mount=mount: {**model.CELL_TEMPERATURE, mount: "close_mount_glass_glass" if mount != "roof" else "open_rack_glass_glass"})
        for mount in ("rack", "roof", "insulated")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed"), CHANGES)
def test_a_changed_constant_is_noticed(
    name: str, changed: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constant that is 2 % off, or a mounting that is another, fails at least one of the figures above."""
    all_figures()
    monkeypatch.setattr(model, name, changed())
    with pytest.raises(AssertionError):
        all_figures()


def test_more_of_a_system_is_more_of_its_yield() -> None:
    """Twice the peak power is twice the energy, and no hour exceeds the inverter."""
    weather = model.read_weather(GREENSBORO)
    one, two = (
        model.simulate_year(replace(USUAL, peak_power=power), weather).power for power in (10, 20)
    )
    assert two == pytest.approx(2 * one)
    assert one.max() == pytest.approx(10 / 1.2)
    assert one.min() >= 0


def test_hours_and_months_add_up(tmp_path: Path) -> None:
    """The file and the frame hold the year: 8760 hours, 12 months, the same sums."""
    weather = model.read_weather(GREENSBORO)
    year = model.simulate_year(USUAL, weather)
    model.write_hours(year, weather, tmp_path / "hours.csv")
    rows = (tmp_path / "hours.csv").read_text("utf-8").splitlines()
    assert rows[0] == '"hour_start","irradiance_W_m2","cell_degC","power_kW"'
    assert len(rows) == 8761
    power = sum(float(row.rsplit(",", 1)[1]) for row in rows[1:])
    months = model.monthly_sums(year, weather)
    assert list(months["month"]) == list(range(1, 13))
    assert months["energy"].sum() == pytest.approx(power, abs=0.5)
    assert months["irradiation"].sum() == pytest.approx(year.irradiance.sum() / 1000)
    assert months["energy"][5:8].min() > months["energy"][[0, 10, 11]].max()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hour_start,dry\n", "has 0 hours"),
        ("hour_start,dry\n" + "1988-01-01T00,1\n" * 8760, "has no 'latitude_deg'"),
    ],
)
def test_weather_that_is_none_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A file that is not a whole year, or lacks its site, is refused with its name and what is missing."""
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"mine.csv {said}"):
        model.read_weather(path)
