"""The room example: its own physics tests, what breaks them, and the equations integrated by someone else."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.integrate import solve_ivp

NOT_PHYSICS = {"HOURS", "WARM_UP_HOURS"}


def physics_checks(physics: ModuleType) -> Iterator[Callable[[], None]]:
    """Yield every case of the tests that the example brings along, as a call without arguments."""
    for name, test in inspect.getmembers(physics, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        marks = getattr(test, "pytestmark", [])
        if not marks:
            yield test
            continue
        names, cases = marks[0].args
        for case in cases:
            values = case if isinstance(names, tuple) else (case,)
            yield lambda test=test, values=values: test(*values)


def forget(room) -> None:
    """Drop what the model has kept, so that changed constants count."""
    room.module("weather").facade_irradiance.cache_clear()


def constants(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield (name, a wrong value) for every constant of the module, and for every entry of a table."""
    own = set(re.findall(r"^([A-Z][A-Z0-9_]+) = ", Path(module.__file__).read_text(), re.MULTILINE))
    for name in sorted(own - NOT_PHYSICS):
        value = getattr(module, name)
        if isinstance(value, dict):
            for key in value:
                yield name, value | {key: value[key] * 1.02 or 7.2}
        elif isinstance(value, tuple):
            for i in range(len(value)):
                yield name, (*value[:i], value[i] + 1, *value[i + 1 :])
        elif isinstance(value, np.datetime64):
            yield name, value + np.timedelta64(1, "h")
        else:
            yield name, value * 1.02


def test_every_constant_matters_to_the_physics_tests(room, monkeypatch):
    """A constant of the model that is wrong by 2 % (an hour, for times) fails at least one physics test."""
    physics = room.physics()
    checks = list(physics_checks(physics))
    for check in checks:  # also fills what the independent solution keeps, with true sunshine
        check()
    survived, tried = [], 0
    for module in (room.module("model"), room.module("weather")):
        for name, wrong in constants(module):
            tried += 1
            with monkeypatch.context() as patch:
                patch.setattr(module, name, wrong)
                forget(room)
                if not any(_fails(check) for check in checks):
                    survived.append(f"{name} = {wrong}")
    forget(room)
    assert survived == []
    assert tried > 40


def _fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(
    ("first_day", "demand"),
    [(14, "heating"), (196, "cooling")],
)
def test_three_weeks_agree_with_the_differential_equation(room, first_day, demand):
    """Heat for three weeks is within 0.2 % of the same room in continuous time, by scipy at a tolerance of 1e-9.

    In continuous time the set point is kept at each instant, not as a mean of the hour: that is the difference.
    """
    model, weather = room.module("model"), room.module("weather")
    year = weather.read_weather(room.folder / "artifacts" / "weather" / "greensboro.csv")
    case = model.Room("south", "medium", 0.5, 0.3, 1.0, 2, False, 20.0)
    stretch = slice(24 * first_day, 24 * (first_day + 21))
    hours = model.balance(case, year)
    ours = np.clip(hours.hvac[stretch] * (1 if demand == "heating" else -1), 0, None).sum()

    irradiance = weather.facade_irradiance(year, "south")
    h_ve, h_is, h_ms, h_w = 18.0, 310.5, 455.0, 7.02
    h_em = 1 / (1 / (0.3 * 5.4) - 1 / h_ms)

    def integrate(hour: int, mass: float) -> tuple[float, float]:
        outdoor = year.outdoor[hour]
        people = 310.0 if 8 <= hour % 24 < 18 else 0.0
        inside = people / 2 + 0.378 * 5.4 * irradiance[hour]
        to_mass, to_surface = inside * 50 / 90, inside * (1 - 50 / 90 - h_w / (9.1 * 90))

        def rates(_: float, state: np.ndarray) -> tuple[float, float]:
            # Air and surface have no capacity: two linear equations, once with free air, once with held air.
            at_surface = h_ms * state[0] + h_w * outdoor + to_surface
            free_air = h_ve * outdoor + people / 2
            surface = (at_surface + h_is * free_air / (h_is + h_ve)) / (
                h_is + h_ms + h_w - h_is**2 / (h_is + h_ve)
            )
            air = (free_air + h_is * surface) / (h_is + h_ve)
            held = min(max(air, 20.0), 25.0)
            surface = (at_surface + h_is * held) / (h_is + h_ms + h_w)
            power = 0.0 if held == air else (h_ve + h_is) * held - h_is * surface - free_air
            warming = h_em * (outdoor - state[0]) + h_ms * (surface - state[0]) + to_mass
            return warming * 3600 / 3.3e6, max(power, 0.0) if demand == "heating" else max(
                -power, 0.0
            )

        end = solve_ivp(rates, (0.0, 1.0), [mass, 0.0], rtol=1e-9, atol=1e-9).y[:, -1]
        return float(end[0]), float(end[1])

    mass, theirs = float(hours.mass_start[stretch][0]), 0.0
    for hour in range(stretch.start, stretch.stop):
        mass, heat = integrate(hour, mass)
        theirs += heat
    assert theirs > 10_000
    assert ours == pytest.approx(theirs, rel=0.002)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda text: text.replace("# latitude_deg=36.1\n", ""),
            "broken.csv has no 'latitude_deg'",
        ),
        (lambda text: text.replace("dni_W_m2", "dni"), "broken.csv has no 'dni_W_m2'"),
        (lambda text: text.replace(",10.0,0,0,0", ",warm,0,0,0", 1), "broken.csv: .*'warm'"),
        (lambda text: text.rsplit("\n", 3)[0], "broken.csv has 8758 hours; a year has 8760"),
        (lambda text: text.replace(",10.0,0,0,0", ",10.0", 1), "broken.csv: "),
        (lambda text: text.partition("hour_start")[0], "broken.csv has 0 hours"),
    ],
)
def test_a_broken_weather_file_is_named(room, tmp_path, damage, message):
    """A weather file that cannot be used is refused with its name and what is wrong with it."""
    text = (room.folder / "artifacts" / "weather" / "greensboro.csv").read_text()
    (tmp_path / "broken.csv").write_text(damage(text))
    with pytest.raises(ValueError, match=message):
        room.module("weather").read_weather(tmp_path / "broken.csv")
