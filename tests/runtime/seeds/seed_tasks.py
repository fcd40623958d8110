"""Experiments as scythe-engine's guide and README write them."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, Field

from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.registry import ExperimentRegistry
from scythe_runtime.utils.filesys import FileReference, OptionalFileReference


class BuildingSimulationInput(ExperimentInputSpec):
    """Simulation inputs for a building energy model."""

    r_value: float = Field(
        default=..., description="The R-Value of the building [m2K/W]", ge=0, le=15
    )
    lpd: float = Field(default=..., description="Lighting power density [W/m2]", ge=0, le=20)
    setpoint: float = Field(default=..., description="Thermostat setpoint [deg.C]", ge=12, le=30)
    economizer: Literal["NoEconomizer", "DifferentialDryBulb", "DifferentialEnthalpy"] = Field(
        default=..., description="The type of economizer to use"
    )
    weather_file: FileReference = Field(default=..., description="Weather file [.epw]")
    design_day_file: FileReference = Field(default=..., description="Weather file [.ddy]")


class BuildingSimulationOutput(ExperimentOutputSpec):
    """Simulation outputs for a building energy model."""

    heating: float = Field(default=..., description="Annual heating energy usage, kWh/m2", ge=0)
    lighting: float = Field(default=..., description="Annual lighting energy usage, kWh/m2", ge=0)
    timeseries: FileReference = Field(default=..., description="High-res Timeseries data.")


@ExperimentRegistry.Register()
def simulate_energy(input_spec: BuildingSimulationInput, tempdir: Path) -> BuildingSimulationOutput:
    """Initialize and execute an energy model of a building."""
    weather = [float(line) for line in Path(str(input_spec.weather_file)).read_text().split()]
    design_day = float(Path(str(input_spec.design_day_file)).read_text())
    hours = [max(0.0, input_spec.setpoint - t) / (input_spec.r_value + 0.1) for t in weather]
    input_spec.log(f"simulated {len(hours)} hours")
    timeseries = pd.DataFrame({"heating": hours})
    timeseries_fpath = tempdir / "timeseries.pq"
    timeseries.to_parquet(timeseries_fpath)
    monthly = pd.DataFrame(
        {"peak": [max(hours), design_day]}, index=input_spec.make_multiindex(n_rows=2)
    )
    return BuildingSimulationOutput(
        heating=sum(hours),
        lighting=input_spec.lpd * len(hours),
        timeseries=timeseries_fpath,
        dataframes={"monthly": monthly},
    )


class Site(BaseModel):
    """A nested model."""

    name: str
    height: float = 0.0


class MyInput(ExperimentInputSpec):
    """A cell at a temperature and a pressure."""

    temperature: float
    pressure: float
    material: Literal["steel", "aluminum", "copper"]
    site: Site | None = None
    layers: list[float] | None = None
    notes: dict[str, str] = Field(default_factory=dict)
    drawing: OptionalFileReference = None

    @property
    def computed_features(self) -> dict[str, int | float | str]:
        """The temperature in another unit."""
        return {"celsius": self.temperature - 273.15}


class MyOutput(ExperimentOutputSpec):
    """How it fared."""

    strain: float


@ExperimentRegistry.Register(name="cell", retries=0)
def simulate_cell(input_spec: MyInput) -> MyOutput:
    """Return a strain; steel at high pressure cannot be simulated."""
    if input_spec.material == "steel" and input_spec.pressure > 9e6:
        message = f"no convergence at {input_spec.pressure:g} Pa"
        raise ValueError(message)
    return MyOutput(strain=input_spec.temperature / input_spec.pressure)


def cells(n: int, *, failing: frozenset[int] = frozenset()) -> list[MyInput]:
    """Return n cells, of which some fail."""
    return [
        MyInput(
            temperature=300.0 + k,
            pressure=1e7 if k in failing else 1e5,
            material="steel" if k in failing else ("aluminum", "copper")[k % 2],
            site=Site(name=f"site {k}"),
            layers=[0.1 * k, 0.2] if k % 2 else None,
            extra=f"undeclared {k}",
        )
        for k in range(n)
    ]
