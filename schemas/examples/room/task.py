"""The experiment: one room, one year."""

from pathlib import Path

from scythe_runtime import ExperimentRegistry

from .model import Room, balance, yearly_results
from .specs import Input, Output
from .weather import read_weather


@ExperimentRegistry.Register()
def simulate(input_spec: Input) -> Output:
    """Return what heating, cooling and warm hours a room has in a typical year."""
    # A file input is a path on this machine by now, wherever the file came from.
    # read_weather keeps the files that it read last, so most samples read none.
    weather = read_weather(Path(str(input_spec.weather)))
    room = Room(
        orientation=input_spec.orientation,
        construction=input_spec.construction,
        window_share=input_spec.window_share,
        u_wall=input_spec.u_wall,
        air_changes=input_spec.air_changes,
        occupants=input_spec.occupants,
        night_ventilation=input_spec.night_ventilation,
        heating_setpoint=input_spec.heating_setpoint,
    )
    year = yearly_results(balance(room, weather))
    return Output(
        heating_demand=year.heating_demand,
        cooling_demand=year.cooling_demand,
        peak_heating=year.peak_heating,
        peak_cooling=year.peak_cooling,
        hours_above_26=year.hours_above_26,
    )
