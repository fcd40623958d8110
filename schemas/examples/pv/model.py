"""A photovoltaic system over one year of weather, with pvlib."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pvlib import (  # type: ignore[import-untyped]
    inverter,
    irradiance,
    pvsystem,
    solarposition,
    temperature,
)
from pyarrow import csv

Series: TypeAlias = NDArray[np.float64]

HOURS = 8760

# PVWatts version 5 (Dobos 2014, NREL/TP-6A20-62641): the standard module, and the inverter.
POWER_PER_KELVIN = -0.0047
INVERTER_EFFICIENCY = 0.96
# Assumptions of this example.
ALBEDO = 0.2
# King, Boyson and Kratochvil (2004), SAND2004-3535, as named in pvlib.
CELL_TEMPERATURE = {
    "rack": "open_rack_glass_polymer",
    "roof": "close_mount_glass_glass",
    "insulated": "insulated_back_glass_polymer",
}


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """A year of weather, one value for each hour, and where the sun stands in the middle of it.

    Attributes:
        hour_start: Local standard time, datetime64[h].
        month: 1 to 12.
        temperature: Of the air, degC.
        wind: At 10 m, m/s.
        ghi: Irradiance on the ground, W/m2.
        dni: Irradiance of the sun's disc on a plane that faces it, W/m2.
        dhi: Irradiance of the sky on the ground, W/m2.
        extraterrestrial: Normal irradiance outside the atmosphere, W/m2.
        zenith: Of the sun as it is seen, degrees.
        azimuth: Of the sun from north over east, degrees.
    """

    hour_start: NDArray[np.datetime64]
    month: NDArray[np.int64]
    temperature: Series
    wind: Series
    ghi: Series
    dni: Series
    dhi: Series
    extraterrestrial: Series
    zenith: Series
    azimuth: Series


@dataclass(frozen=True, slots=True)
class System:
    """A photovoltaic system; units as in io.yaml."""

    tilt: float
    azimuth: float
    mounting: Literal["rack", "roof", "insulated"]
    peak_power: float
    inverter_ratio: float
    losses: float


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """What a system does, one value for each hour.

    Attributes:
        irradiance: On the modules, W/m2.
        cell: Temperature of the cells, degC.
        power: To the grid, kW.
    """

    irradiance: Series
    cell: Series
    power: Series


@lru_cache(maxsize=8)
def read_weather(path: Path) -> Weather:
    """Return the weather year of a csv file: `# key=value` lines for the site, a header, a row an hour.

    Raises:
        ValueError: A key of the site or a column is missing, a value is not one, or the year is not whole.
    """
    with path.open(encoding="utf-8") as lines:
        notes = [line.lstrip("# ").strip() for line in lines if line.startswith("#")]
    site = dict(note.split("=", 1) for note in notes if "=" in note)
    table = pd.read_csv(path, comment="#")
    if len(table) != HOURS:
        raise ValueError(f"{path.name} has {len(table)} hours; a year has {HOURS}.")
    try:
        start = table["hour_start"].to_numpy().astype("datetime64[h]")
        place = float(site["latitude_deg"]), float(site["longitude_deg"])
        offset = np.timedelta64(round(float(site["utc_offset_h"]) * 60), "m")
        utc = pd.DatetimeIndex(start + np.timedelta64(30, "m") - offset, tz="UTC")
        sun = solarposition.get_solarposition(utc, *place)
        series = {name: table[name].to_numpy(float) for name in table.columns[1:]}
        return Weather(
            hour_start=start,
            month=pd.DatetimeIndex(start).month.to_numpy().astype(np.int64),
            temperature=series["temp_air_degC"],
            wind=series["wind_m_s"],
            ghi=series["ghi_W_m2"],
            dni=series["dni_W_m2"],
            dhi=series["dhi_W_m2"],
            extraterrestrial=np.asarray(irradiance.get_extra_radiation(utc), float),
            zenith=sun["apparent_zenith"].to_numpy(float),
            azimuth=sun["azimuth"].to_numpy(float),
        )
    except KeyError as error:
        raise ValueError(f"{path.name} has no {error}. Compare it with greensboro.csv.") from None


def simulate_year(system: System, weather: Weather) -> Year:
    """Return what the system does in each hour of the year."""
    on_modules = irradiance.get_total_irradiance(
        system.tilt,
        system.azimuth,
        weather.zenith,
        weather.azimuth,
        dni=weather.dni,
        ghi=weather.ghi,
        dhi=weather.dhi,
        dni_extra=weather.extraterrestrial,
        albedo=ALBEDO,
        model="haydavies",
    )["poa_global"]
    parameters = temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]
    cell = temperature.sapm_cell(
        on_modules,
        weather.temperature,
        weather.wind,
        **parameters[CELL_TEMPERATURE[system.mounting]],
    )
    made = pvsystem.pvwatts_dc(on_modules, cell, system.peak_power, POWER_PER_KELVIN)
    rated = system.peak_power / system.inverter_ratio / INVERTER_EFFICIENCY
    power = inverter.pvwatts(made * (1 - system.losses / 100), rated, INVERTER_EFFICIENCY)
    return Year(irradiance=on_modules, cell=cell, power=power)


def write_hours(year: Year, weather: Weather, path: Path) -> None:
    """Write a row for each hour: irradiance on the modules, temperature of the cells, power to the grid."""
    columns = {
        "hour_start": weather.hour_start.astype("datetime64[s]"),
        "irradiance_W_m2": year.irradiance.round(1),
        "cell_degC": year.cell.round(1),
        "power_kW": year.power.round(4),
    }
    csv.write_csv(pa.table(columns), path)


def monthly_sums(year: Year, weather: Weather) -> pd.DataFrame:
    """Return a row for each month: irradiation on the modules (kWh/m2) and energy to the grid (kWh)."""
    return pd.DataFrame(
        {
            "month": np.arange(1, 13),
            "irradiation": np.bincount(weather.month, year.irradiance / 1000, 13)[1:],
            "energy": np.bincount(weather.month, year.power, 13)[1:],
        }
    )
