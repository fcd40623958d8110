"""Weather years, where the sun stands, and how much of it falls on a wall."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Series: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.datetime64]

HOURS = 8760
GROUND_REFLECTANCE = 0.2

# The sun as seen from the earth on a Kepler orbit, epoch J2000 (Meeus, Astronomical Algorithms, 2nd ed., chapters 12, 25).
MEAN_LONGITUDE_DEG = 280.4665
MEAN_MOTION_DEG_PER_DAY = 0.98564736
PERIHELION_DEG = 282.9373
ECCENTRICITY = 0.016709
OBLIQUITY_DEG = 23.4393
SIDEREAL_DEG = 280.46062
SIDEREAL_DEG_PER_DAY = 360.98564737
J2000 = np.datetime64("2000-01-01T12:00", "s")

AZIMUTH_DEG = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """A year of weather, one value for each hour.

    Attributes:
        hour_start: Local standard time, datetime64[h].
        outdoor: Air temperature, degC.
        global_horizontal: Solar irradiance on the ground, W/m2.
        direct_normal: Irradiance of the sun's disc on a plane that faces it, W/m2.
        diffuse_horizontal: Irradiance of the sky on the ground, W/m2.
    """

    latitude_deg: float
    longitude_deg: float
    utc_offset_h: float
    hour_start: Times
    outdoor: Series
    global_horizontal: Series
    direct_normal: Series
    diffuse_horizontal: Series


@lru_cache(maxsize=8)
def read_weather(path: Path) -> Weather:
    """Return the weather year of a csv file: `# key=value` lines for the site, a header, a row an hour.

    Raises:
        ValueError: A key of the site or a column is missing, a value is not one, or the year is not whole.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    notes = [line for line in lines if line.startswith("#")]
    site = dict(note.lstrip("# ").split("=", 1) for note in notes if "=" in note)
    header, *rows = lines[len(notes) :] or [""]
    if len(rows) != HOURS:
        raise ValueError(f"{path.name} has {len(rows)} hours; a year has {HOURS}.")
    try:
        columns = dict(
            zip(header.split(","), np.loadtxt(rows, "U20", delimiter=",").T, strict=True)
        )
        return Weather(
            latitude_deg=float(site["latitude_deg"]),
            longitude_deg=float(site["longitude_deg"]),
            utc_offset_h=float(site["utc_offset_h"]),
            hour_start=columns["hour_start"].astype("datetime64[h]"),
            outdoor=columns["dry_bulb_degC"].astype(float),
            global_horizontal=columns["ghi_W_m2"].astype(float),
            direct_normal=columns["dni_W_m2"].astype(float),
            diffuse_horizontal=columns["dhi_W_m2"].astype(float),
        )
    except KeyError as error:
        raise ValueError(f"{path.name} has no {error}. Compare it with greensboro.csv.") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def sun_direction(utc: Times, latitude_deg: float, longitude_deg: float) -> Series:
    """Return where the sun stands (not where refraction shows it) as unit vectors east, north, up: shape (3, n)."""
    days = (utc - J2000) / np.timedelta64(1, "D")
    longitude = np.radians(MEAN_LONGITUDE_DEG + MEAN_MOTION_DEG_PER_DAY * days)
    anomaly = longitude - np.radians(PERIHELION_DEG)
    # Equation of the centre to the second order of the eccentricity.
    longitude += 2 * ECCENTRICITY * np.sin(anomaly) + 1.25 * ECCENTRICITY**2 * np.sin(2 * anomaly)
    obliquity = np.radians(OBLIQUITY_DEG)
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    sidereal = np.radians(SIDEREAL_DEG + SIDEREAL_DEG_PER_DAY * days + longitude_deg)
    hour_angle = sidereal - ascension
    latitude = np.radians(latitude_deg)
    towards_equator = np.cos(declination) * np.cos(hour_angle)
    return np.stack(
        [
            -np.cos(declination) * np.sin(hour_angle),
            np.cos(latitude) * np.sin(declination) - np.sin(latitude) * towards_equator,
            np.sin(latitude) * np.sin(declination) + np.cos(latitude) * towards_equator,
        ]
    )


@lru_cache(maxsize=32)
def facade_irradiance(weather: Weather, orientation: str) -> Series:
    """Return the solar irradiance on a wall (W/m2): sun, evenly bright sky, and ground.

    The sun's place is that of the middle of the hour.

    Source: Liu and Jordan (1963), Solar Energy 7, 53-74, for sky and ground.
    """
    local = weather.hour_start + np.timedelta64(30, "m")
    utc = local - np.timedelta64(round(weather.utc_offset_h * 60), "m")
    east, north, up = sun_direction(utc, weather.latitude_deg, weather.longitude_deg)
    azimuth = np.radians(AZIMUTH_DEG[orientation])
    cosine = np.where(up > 0, east * np.sin(azimuth) + north * np.cos(azimuth), 0.0)
    direct = weather.direct_normal * np.maximum(cosine, 0.0)
    return (
        direct + (weather.diffuse_horizontal + GROUND_REFLECTANCE * weather.global_horizontal) / 2
    )
