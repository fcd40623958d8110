"""The experiment: one photovoltaic system, one year."""

from pathlib import Path

from scythe_runtime import ExperimentRegistry

from .model import System, monthly_sums, read_weather, simulate_year, write_hours
from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input, tempdir: Path) -> Output:
    """Return the yearly yield of a photovoltaic system, its hours as a file and its months as a frame."""
    # A file input is a path on this machine by now, wherever the file came from.
    # read_weather keeps the files that it read last, so most samples read none.
    weather = read_weather(Path(str(input_spec.weather)))
    system = System(
        tilt=input_spec.tilt,
        azimuth=input_spec.azimuth,
        mounting=input_spec.mounting,
        peak_power=input_spec.peak_power,
        inverter_ratio=input_spec.inverter_ratio,
        losses=input_spec.losses,
    )
    year = simulate_year(system, weather)
    energy_per_kw = float(year.power.sum()) / input_spec.peak_power

    # An output file is written into tempdir, and its path returned.
    hourly = tempdir / "hourly.csv"
    write_hours(year, weather, hourly)

    return Output(
        yearly_yield=energy_per_kw,
        capacity_factor=energy_per_kw / len(year.power),
        hourly=hourly,
        # A frame is a table with the columns that io.yaml names; those of all samples end in one file.
        dataframes={"monthly": monthly_sums(year, weather)},
    )
